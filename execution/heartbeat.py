"""Write the daemon's heartbeat to the control store."""

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
    """Writes the heartbeat, which is due every second of wall time; `beat` writes it immediately."""

    def __init__(self, control: ControlStore, *, clock: Clock) -> None:
        self._control, self._clock = control, clock
        self._started_at = clock.wall_now()
        self._beat_at: datetime | None = None

    def is_due(self) -> bool:
        """Return whether a second has passed since the last heartbeat, or the wall clock was set back."""
        return self._beat_at is None or not timedelta(0) <= self._clock.wall_now() - self._beat_at < _EVERY

    def beat(self, state: str, detail: Mapping[str, str | float | int | bool | None]) -> None:
        """Write the heartbeat now."""
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
    """Return the equity marks that a bot's losses are measured from, as heartbeat details; a restart reads them back."""
    if marks is None:
        return {}
    return {f"{bot}_day": marks.day.isoformat(), f"{bot}_day_start_abs": marks.day_start_abs, f"{bot}_peak_abs": marks.peak_abs}


def marks_before(control: ControlStore, bot: str) -> EquityMarks | None:
    """Return the equity marks of a bot from the last heartbeat; None if there are none or they are invalid."""
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
