"""Run all bots in one loop, one after the other; an error of one bot does not affect the others, unless it ends the process.

InvalidTradeError (a bug) and AlreadyRunningError (another process trades a bot) end the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from bot3.errors import AlreadyRunningError, ExchangeBusyError, InvalidTradeError, LearningError, StoreBusyError, StoreFullError
from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore
from bot3.ports.learning import LearningReader
from execution.bot import Bot
from execution.closes import Closes, SignalSource
from execution.heartbeat import Detail, Pulse
from execution.learning_watch import LearningWatch
from execution.runner import BotRunner

_ENTRIES_OFF = timedelta(seconds=10)  # wall time without entries after a full disk or invalid learning
_TELL_AGAIN = timedelta(seconds=30)
_AFTER_CLOSE_S = 0.002
_Result = TypeVar("_Result")

log = structlog.get_logger()


class Daemon:
    """Runs the bots until it is stopped.

    Parameters
    ----------
    bots : sequence of Bot
        All bots trade the same market; each has its own database and exchange account.
    poll_s : float
        Longest wait between two ticks, in wall seconds; the wait ends earlier at the close of a candle.
    """

    def __init__(self, bots: Sequence[Bot], *, signals: SignalSource, learning: LearningReader, poll_s: float = 0.2) -> None:
        shared = bots[0].shared
        self._shared, self._poll_s = shared, poll_s
        self._clock: Clock = shared.clock
        self._control: ControlStore = shared.control
        self.learning = LearningWatch(learning, clock=shared.clock)
        closes = Closes(shared, signals=signals)
        self.runners = [BotRunner(bot, closes=closes, learning=self.learning) for bot in bots]
        self._pulse = Pulse(shared.control, clock=shared.clock)
        self._told: dict[str, tuple[str, datetime]] = {}
        self._errors = 0
        self._ticks = 0
        self._tick_ms = 0.0
        self._slowest_ms = 0.0

    def run(self, *, should_stop: Callable[[], bool], until: datetime | None = None, is_once: bool = False) -> None:
        """Call `tick` repeatedly until `should_stop` returns True or the market time `until` is reached, or once if `is_once`.

        The candle that closes at `until` is still decided on. The last heartbeat has the state "stopped", after an error "failed".
        """
        self._guard("heartbeat", lambda: self._pulse.beat("starting", self.detail()))
        state = "failed"
        try:
            while not should_stop():
                # Read the time before the tick: the last candle closes exactly at the end and still needs its tick.
                has_ended = until is not None and self._has_reached(until)
                self.tick(should_stop=should_stop)
                if is_once:
                    break
                if has_ended:
                    log.info("market_ended", at=str(until))
                    break
                self._clock.sleep(self._wait_s())
            state = "stopped"
        finally:
            self._guard("heartbeat", lambda: self._pulse.beat(state, self.detail()))

    def tick(self, *, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Read new learning, run the due steps of every bot, and write the heartbeat if it is due; return early if `should_stop` is True.

        Errors of a bot are logged, and the next tick retries. Raises InvalidTradeError (a bug) and AlreadyRunningError (another process
        trades a bot), which end the process.
        """
        began = self._clock.wall_now()
        is_changed = self._guard("learning", self.learning.look)
        if is_changed:
            # Processes that wait for new learning to take effect read it from this heartbeat.
            self._guard("heartbeat", lambda: self._pulse.beat("running", self.detail()))
        for runner in self.runners:
            if should_stop():
                return
            self._tick_bot(runner)
        took_ms = (self._clock.wall_now() - began).total_seconds() * 1_000.0
        self._ticks, self._tick_ms, self._slowest_ms = self._ticks + 1, took_ms, max(self._slowest_ms, took_ms)
        if self._pulse.is_due():
            self._guard("heartbeat", lambda: self._pulse.beat("running", self.detail()))
            self._slowest_ms = 0.0

    def detail(self) -> Detail:
        """Return the details of the heartbeat: versions of the learning, counters, and the state of each bot.

        `last_candle` is the earliest of the close times up to which the bots have decided, without bots that have not decided yet; None if
        no bot has decided on a candle.
        """
        candles = [runner.last_candle for runner in self.runners if runner.last_candle is not None]
        detail: Detail = {
            **self.learning.versions(),
            "last_candle": min(candles).isoformat() if candles else None,
            "open_positions": sum(runner.open_positions for runner in self.runners),
            "ticks": self._ticks,
            "tick_ms": round(self._tick_ms, 3),
            "slowest_tick_ms": round(self._slowest_ms, 3),
            "errors": self._errors,
        }
        for runner in self.runners:
            detail |= runner.detail()
        return detail

    def _tick_bot(self, runner: BotRunner) -> None:
        try:
            runner.tick()
        except (InvalidTradeError, AlreadyRunningError):
            raise
        except (StoreFullError, LearningError) as error:
            runner.entries_off_until = self._clock.wall_now() + _ENTRIES_OFF
            self._tell("entries_stopped", error, bot=runner.name)
        except (StoreBusyError, ExchangeBusyError) as error:
            self._tell("tick_delayed", error, bot=runner.name)
        # A catch-all, which is allowed only here and in `_guard`: a bug in one bot must not stop the protection of the other bots.
        except Exception as error:  # noqa: BLE001
            self._tell("tick_failed", error, bot=runner.name)

    def _guard(self, what: str, step: Callable[[], _Result]) -> _Result | None:
        """Run a step that is not part of a bot's tick; return None if it failed, after the error was logged.

        InvalidTradeError and AlreadyRunningError are not caught.
        """
        try:
            return step()
        except (InvalidTradeError, AlreadyRunningError):
            raise
        except Exception as error:  # noqa: BLE001  # the same catch-all for steps outside the bots
            self._tell(f"{what}_failed", error, bot="all")
            return None

    def _tell(self, event: str, error: Exception, *, bot: str) -> None:
        """Count and log an error with its traceback; if a bot's error is the same as its last one, it is logged again only after 30 s."""
        self._errors += 1
        wall, key = self._clock.wall_now(), f"{event} {bot}"
        text, at = self._told.get(key, ("", wall))
        if text == str(error) and wall - at < _TELL_AGAIN:
            return
        self._told[key] = (str(error), wall)
        log.error(event, bot=bot, error=str(error), exc_info=error)

    def _has_reached(self, until: datetime) -> bool:
        """Return whether the market time has reached `until`; False while the clock cannot be read."""
        return bool(self._guard("clock", lambda: self._clock.now() >= until))

    def _wait_s(self) -> float:
        """Return the wall seconds until the next tick: the poll interval, or less if a candle closes earlier."""
        left_s = self._guard("clock", self._until_close_s)
        return self._poll_s if left_s is None else min(self._poll_s, left_s)

    def _until_close_s(self) -> float:
        """Return the wall seconds until just after the next candle's close."""
        now = self._clock.now()
        left = self._shared.newest_close(now) + self._shared.candle - now
        return left.total_seconds() / self._clock.speed + _AFTER_CLOSE_S
