"""Faults behind the ports: exchanges that return errors, and a process that is killed at a given call."""

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
    """Scripted response to orders of some legs; `accepts` is whether the order exists in spite of the error."""

    error: Exception
    legs: frozenset[IntentLeg] = frozenset(IntentLeg)
    accepts: bool = False
    times: int = 1_000


@dataclass
class FaultyExchange:
    """An `Exchange` with scripted faults; all other calls go to the real one."""

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
    """An `Exchange` that delays the fills of some pairs; each order takes a moment, so that no two fills have the same time."""

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
    """The process ends here as by SIGKILL: no later code runs."""


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
    """Kill at the nth durable step of a store or an exchange, before the step or right after it; 0 only counts."""

    at: int = 0
    is_after: bool = False
    steps: list[str] = field(default_factory=list)
    is_dead: bool = False

    def over(self, port: Any) -> Doomed:
        return Doomed(real=port, guillotine=self)

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        if self.is_dead:
            raise KilledError(f"the process is dead already, but called {name}")
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
    """A port whose durable steps the guillotine counts."""

    real: Any
    guillotine: Guillotine

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name not in WRITES:
            return found
        return lambda *args, **named: self.guillotine.run(name, lambda: found(*args, **named))
