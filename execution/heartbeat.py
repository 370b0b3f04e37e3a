"""Write the daemon's heartbeat to the control store, and read the equity marks of an earlier one."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from bot3.errors import StoreBusyError, StoreError
from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore, Heartbeat
from bot3.trading.risk import EquityMarks
from bot3.usecases.fleet.bot_state import DAEMON, daemon_beat

_EVERY = timedelta(seconds=1)

Detail = dict[str, str | float | int | bool | None]


class Pulse:
    """Writes the daemon's heartbeat; `is_due` is True once a second of wall time."""

    def __init__(self, control: ControlStore, *, clock: Clock) -> None:
        self._control, self._clock = control, clock
        self._started_at = clock.wall_now()
        self._beat_at: datetime | None = None

    def is_due(self) -> bool:
        """Return whether no heartbeat was written yet, the last one is at least a second old, or the wall clock was set back since."""
        return self._beat_at is None or not timedelta(0) <= self._clock.wall_now() - self._beat_at < _EVERY

    def beat(self, state: str, detail: Mapping[str, str | float | int | bool | None]) -> None:
        """Write a heartbeat now, whether it is due or not. Raises StoreError if the control store cannot be written."""
        wall = self._clock.wall_now()
        self._control.beat(
            Heartbeat(
                process=DAEMON,
                pid=os.getpid(),
                started_at=self._started_at,
                wall_at=wall,
                market_at=self._clock.now(),
                state=state,
                detail=detail,
            )
        )
        self._beat_at = wall


def marks_detail(bot: str, marks: EquityMarks | None) -> Detail:
    """Return the equities that a bot's losses are measured from as details of the heartbeat; empty for None (see `marks_before`)."""
    if marks is None:
        return {}
    return {f"{bot}_day": marks.day.isoformat(), f"{bot}_day_start_abs": marks.day_start_abs, f"{bot}_peak_abs": marks.peak_abs}


def marks_before(control: ControlStore, bot: str) -> EquityMarks | None:
    """Return the equities that a bot's losses are measured from, from the daemon's last heartbeat.

    None if there is no valid heartbeat, or it contains no valid equities of the bot. Raises StoreBusyError if the control store is
    unavailable.
    """
    try:
        beat = daemon_beat(control.heartbeats())
    except StoreBusyError:
        raise
    except StoreError:
        return None  # the row is invalid; the bot's own store contains the marks
    found = [None if beat is None else beat.detail.get(f"{bot}_{name}") for name in ("day", "day_start_abs", "peak_abs")]
    day, start, peak = found
    if not isinstance(day, str) or not isinstance(start, int | float) or not isinstance(peak, int | float):
        return None
    try:
        marks = EquityMarks(day=date.fromisoformat(day), day_start_abs=float(start), peak_abs=float(peak))
    except (ValueError, OverflowError):
        return None  # invalid values; the bot's own store contains the marks
    return marks if math.isfinite(marks.day_start_abs) and math.isfinite(marks.peak_abs) else None
