"""The market clock: wall time when live, otherwise the time of the simulated or replayed candles, which advances at a set speed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock

import structlog

from bot3.adapters.clocks.system import SystemClock
from bot3.errors import SettingsError, StoreError
from bot3.ports.clock import Clock
from bot3.ports.control import ClockAnchor, ClockSource, ControlStore

REFRESH_S = 0.2
_RETRY_S = 2.0  # a server that does not respond costs seconds per request: the clock must not wait for it at every call
_STALE_S = 5.0

log = structlog.get_logger()


class MarketClock:
    """A `Clock` that follows the anchor in the control store.

    The anchor is a market time with the wall time at which it was set, and the speed. The time is computed from the last anchor and the
    wall clock: if the control store is unavailable, or its anchor is missing or invalid, the last valid anchor is still used, and time
    advances.

    Parameters
    ----------
    control : ControlStore
        Store of the anchor; it is read again at most every `REFRESH_S` of wall time, after a failure at most every 2 s.
    wall : Clock, optional
        Source of wall time; the machine's clock by default.
    """

    def __init__(self, control: ControlStore, *, wall: Clock | None = None) -> None:
        self._control = control
        self._wall = wall or SystemClock()
        self._lock = Lock()
        self._anchor: ClockAnchor | None = None
        self._read_at: datetime | None = None
        self._floor: datetime | None = None
        self._wall_at: datetime | None = None
        self._is_set_back = False
        self._is_stale = False

    @property
    def speed(self) -> float:
        """Return the market seconds per wall second; 1.0 when live. Raises StoreError until an anchor was read once."""
        with self._lock:
            anchor = self._fresh_anchor(self._wall.wall_now())
        return 1.0 if anchor.source is ClockSource.WALL else anchor.speed

    def now(self) -> datetime:
        """Return the market's time.

        It never decreases when the wall clock is set back: it stays constant until the market's time reaches it again. It decreases only
        if the anchor is set to a time that is earlier by more than 5 wall seconds. Raises StoreError until an anchor was read once.
        """
        with self._lock:
            wall = self._wall.wall_now()
            self._is_set_back |= self._wall_at is not None and wall < self._wall_at
            self._wall_at = wall
            now = market_time(self._fresh_anchor(wall), wall=wall)
            if self._floor is None or now >= self._floor:
                self._floor, self._is_set_back = now, False
            return self._floor

    def wall_now(self) -> datetime:
        """Return the wall time."""
        return self._wall.wall_now()

    def sleep(self, wall_seconds: float) -> None:
        """Wait for some seconds of wall time."""
        self._wall.sleep(wall_seconds)

    def _fresh_anchor(self, wall: datetime) -> ClockAnchor:
        refresh_s = _RETRY_S if self._is_stale else REFRESH_S
        if self._anchor is None or self._read_at is None or abs((wall - self._read_at).total_seconds()) >= refresh_s:
            self._anchor, self._read_at = self._read_anchor(self._anchor, wall=wall), wall
        return self._anchor

    def _read_anchor(self, last: ClockAnchor | None, *, wall: datetime) -> ClockAnchor:
        """Return the store's anchor, or the last one if the store has none or cannot be read.

        Raises StoreError if no anchor was read before and the store has none or cannot be read.
        """
        try:
            anchor = _require_anchor(self._control) if last is None else self._control.anchor() or self._restored(last, wall=wall)
        except StoreError as error:
            if last is None:
                raise
            if not self._is_stale:
                log.warning("clock_anchor_kept", error=str(error), market_at=market_time(last, wall=wall).isoformat())
            self._is_stale = True
            return last
        if self._is_stale:
            log.info("clock_anchor_read_again")
            self._is_stale = False
        if anchor != last:
            self._let_go_of_floor(anchor, wall=wall)
        return anchor

    def _restored(self, last: ClockAnchor, *, wall: datetime) -> ClockAnchor:
        """Write the last anchor to a store that has none, because it was lost and created again, and return that anchor."""
        self._control.set_anchor(last)
        log.warning("clock_anchor_restored", market_at=market_time(last, wall=wall).isoformat())
        return last

    def _let_go_of_floor(self, anchor: ClockAnchor, *, wall: datetime) -> None:
        # The last returned time may be ahead of the new anchor's, because this process used the old anchor until now. If it is ahead by up
        # to 5 wall seconds, the returned time stays constant until the new anchor reaches it. If it is ahead by more (a resume continues at
        # an earlier time, or the anchor is of another market), the time is set back. If the wall clock was set back, every new anchor
        # is computed from it: then the returned time stays constant, however far it is ahead.
        if self._floor is None or self._is_set_back:
            return
        if (self._floor - market_time(anchor, wall=wall)).total_seconds() > _STALE_S * anchor.speed:
            self._floor = None


def market_time(anchor: ClockAnchor, *, wall: datetime) -> datetime:
    """Return the market's time at a wall time, by an anchor."""
    if anchor.source is ClockSource.WALL:
        return wall
    if not anchor.is_running:
        return anchor.market_at
    passed = max((wall - anchor.wall_at).total_seconds(), 0.0)
    now = anchor.market_at + timedelta(seconds=passed * anchor.speed)
    return now if anchor.ends_at is None else min(now, anchor.ends_at)


def start_clock(
    control: ControlStore,
    *,
    source: ClockSource,
    market_at: datetime,
    speed: float,
    ends_at: datetime | None = None,
    is_running: bool = True,
    wall: Clock | None = None,
) -> ClockAnchor:
    """Set the market clock to a market time (at most `ends_at`), running or paused; with source WALL, `market_at` and `speed` are ignored.

    Raises
    ------
    SettingsError
        If the speed is not above 0.
    """
    if not speed > 0.0:
        raise SettingsError(f"the market clock's speed must be above 0, was {speed}")
    now = (wall or SystemClock()).wall_now()
    if source is ClockSource.WALL:
        market_at, speed = now, 1.0
    if ends_at is not None:
        market_at = min(market_at, ends_at)
    anchor = ClockAnchor(source=source, wall_at=now, market_at=market_at, speed=speed, is_running=is_running, ends_at=ends_at)
    control.set_anchor(anchor)
    return anchor


def pause_clock(control: ControlStore, *, wall: Clock | None = None) -> ClockAnchor:
    """Pause the market clock at its present time; with source WALL the time advances further. Raises StoreError if it was never started."""
    now = (wall or SystemClock()).wall_now()
    anchor = _require_anchor(control)
    # If the wall clock was set back since, the market time computed from it is earlier than what the processes have reached.
    market_at = max(market_time(anchor, wall=now), _last_lived(control, anchor))
    paused = replace(anchor, wall_at=now, market_at=market_at, is_running=False)
    control.set_anchor(paused)
    return paused


def resume_clock(control: ControlStore, *, speed: float | None = None, wall: Clock | None = None) -> ClockAnchor:
    """Resume the market clock where it was paused, at another speed if one is given (ignored with source WALL).

    If the clock was not paused, the processes were killed: it continues from the market time of the newest heartbeat since the clock was
    set (without one, from the time to which it was set), so that no market time passes while no process runs. Raises StoreError if it was
    never started.
    """
    now = (wall or SystemClock()).wall_now()
    anchor = _require_anchor(control)
    market_at = _last_lived(control, anchor) if anchor.is_running else anchor.market_at
    is_wall = anchor.source is ClockSource.WALL
    resumed = replace(
        anchor,
        wall_at=now,
        market_at=now if is_wall else market_at,
        speed=anchor.speed if speed is None or is_wall else speed,
        is_running=True,
    )
    control.set_anchor(resumed)
    return resumed


def _last_lived(control: ControlStore, anchor: ClockAnchor) -> datetime:
    # Heartbeats older than this anchor belong to an earlier run, perhaps of another market.
    beats = [beat for beat in control.heartbeats() if beat.wall_at >= anchor.wall_at]
    if not beats:
        return anchor.market_at
    newest = max(beats, key=lambda beat: beat.wall_at)
    return min(max(newest.market_at, anchor.market_at), market_time(anchor, wall=newest.wall_at))


def _require_anchor(control: ControlStore) -> ClockAnchor:
    anchor = control.anchor()
    if anchor is None:
        raise StoreError("the market clock was never started: run `bot3 init`")
    return anchor
