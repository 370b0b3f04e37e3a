"""What can go wrong, behind the ports: exchanges that answer badly, and a process that is killed at a given call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot3.errors import ExchangeBusyError, OrderAmbiguousError, OrderRejectedError
from bot3.ports.exchange import Exchange
from bot3.trading.orders import Fill, Intent, IntentLeg, OrderStatus
from tests.clocks import MovableClock

BUSY = ExchangeBusyError("busy: nothing happened")
REFUSED = OrderRejectedError("refused for good")
UNKNOWN = OrderAmbiguousError("no answer")


QUESTIONS = frozenset(name for name in vars(Exchange) if name.startswith("fetch_"))


@dataclass
class Fault:
    """How orders of some legs are answered; `accepts` says whether the order exists all the same."""

    error: Exception
    legs: frozenset[IntentLeg] = frozenset(IntentLeg)
    accepts: bool = False
    times: int = 1_000


@dataclass
class FaultyExchange:
    """An `Exchange` with scripted faults; what is not scripted is the real one's."""

    real: Exchange
    faults: list[Fault] = field(default_factory=list)
    watch: Callable[[Intent], None] = lambda _: None
    away: frozenset[str] = frozenset()
    sent: list[Intent] = field(default_factory=list)

    def create_order(self, intent: Intent) -> OrderStatus:
        self.watch(intent)
        self.sent.append(intent)
        fault = next((fault for fault in self.faults if intent.leg in fault.legs and fault.times > 0), None)
        if fault is None:
            return self.real.create_order(intent)
        fault.times -= 1
        if fault.accepts:
            self.real.create_order(intent)
        raise fault.error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name not in self.away:
            return found

        def refuse(*_args: object, **_named: object) -> Any:
            raise ExchangeBusyError("cannot be reached: nothing happened")

        return refuse


@dataclass
class LateFills:
    """An `Exchange` that does not report the fills of some pairs yet; a moment passes with each order, so that no two fills are at once."""

    real: Exchange
    late: frozenset[str] = frozenset()
    clock: MovableClock | None = None

    def create_order(self, intent: Intent) -> OrderStatus:
        status = self.real.create_order(intent)
        if self.clock is not None:
            self.clock.move(0.05)
        return status

    def fetch_fills(self, *, since: datetime) -> list[Fill]:
        return [fill for fill in self.real.fetch_fills(since=since) if fill.pair not in self.late]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class KilledError(BaseException):
    """The process ends here, as SIGKILL ends it: nothing that follows runs."""


WRITES = frozenset(
    {
        "plan_intent",
        "move_intent",
        "book",
        "mark_rates",
        "record_decisions",
        "set_bookmark",
        "create_order",
        "cancel_order",
    }
)


@dataclass
class Guillotine:
    """Kills at the nth durable step of a store or an exchange, before it happens or right after; 0 only counts."""

    at: int = 0
    is_after: bool = False
    steps: list[str] = field(default_factory=list)
    is_dead: bool = False

    def over(self, port: Any) -> Doomed:
        return Doomed(real=port, guillotine=self)

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        if self.is_dead:
            raise KilledError(f"dead already, and still asked for {name}")
        self.steps.append(name)
        is_due = len(self.steps) == self.at
        if is_due and not self.is_after:
            self._fall()
        result = step()
        if is_due:
            self._fall()
        return result

    def _fall(self) -> None:
        self.is_dead = True
        raise KilledError(f"killed {'after' if self.is_after else 'before'} step {self.at}, {self.steps[-1]}")


@dataclass
class Doomed:
    """A port under the guillotine."""

    real: Any
    guillotine: Guillotine

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name not in WRITES:
            return found
        return lambda *args, **named: self.guillotine.run(name, lambda: found(*args, **named))
