"""The state of a bot as other processes than the daemon can know it: its latch, and the contents of a recent heartbeat of the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot3.errors import StoreError
from bot3.ports.control import ControlStore, Heartbeat, TradingState
from bot3.trading.risk import strictest

DAEMON = "execution"
"""Process name in the daemon's heartbeat."""
CANDLE_DONE = "candle_done"
"""The daemon's bookmark in a bot's store: close of the newest candle that was decided on."""
TELEGRAM = "telegram"
"""Process name in the heartbeat of the Telegram process, which answers commands and sends notices."""
ENDED = frozenset({"failed", "stopped"})
"""States that the daemon reports in its last heartbeat."""
LISTENING = "listening"
"""State that the Telegram process reports while it reaches Telegram."""
STALE = timedelta(seconds=15)
"""Wall time after which a process that should send a heartbeat every second or two is considered silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInForce:
    """A bot's state and its reason.

    Parameters
    ----------
    is_latched : bool
        It is in the control store: only a person's `resume` removes it; else it ends with its cause (a flag file, a day's loss).
    is_reported : bool
        The daemon reported it recently; else only the latch is known, and no process trades.
    """

    state: TradingState
    reason: str
    is_latched: bool
    is_reported: bool


def daemon_beat(beats: Sequence[Heartbeat]) -> Heartbeat | None:
    """Return the daemon's heartbeat; None if it never sent one."""
    return next((beat for beat in beats if beat.process == DAEMON), None)


def last_candle(beat: Heartbeat | None) -> datetime | None:
    """Return the close of the candle that the daemon decided on last, as its heartbeat reports it; None if it reports none.

    Raises
    ------
    StoreError
        If the reported value is not an instant with a time zone.
    """
    told = None if beat is None else beat.detail.get("last_candle")
    if told is None:
        return None
    try:
        at = datetime.fromisoformat(str(told))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise StoreError(f"the daemon's heartbeat reports the last candle {told!r}: check the daemon's version")
    return at


def is_silent(beat: Heartbeat | None, *, wall_now: datetime) -> bool:
    """Return whether a process never sent a heartbeat, or not recently: its last report is out of date then."""
    return beat is None or wall_now - beat.wall_at > STALE


def state_in_force(control: ControlStore, bot: str, *, wall_now: datetime) -> StateInForce:
    """Return the stricter of a bot's latch and the state that a recent heartbeat reports. Raises StoreError."""
    latch = control.trading_state(bot)
    told = _told(daemon_beat(control.heartbeats()), bot, wall_now=wall_now)
    state, reason = latch if told is None else strictest([latch, told])
    return StateInForce(
        state=state, reason=reason, is_latched=state is latch[0] and state is not TradingState.ACTIVE, is_reported=told is not None
    )


def _told(beat: Heartbeat | None, bot: str, *, wall_now: datetime) -> tuple[TradingState, str] | None:
    if beat is None or is_silent(beat, wall_now=wall_now):
        return None
    state = beat.detail.get(f"{bot}_state")
    if state is None:
        return None
    if state not in set(TradingState):
        raise StoreError(f"the daemon's heartbeat reports for {bot} the state {state!r}: check the daemon's version")
    return TradingState(str(state)), str(beat.detail.get(f"{bot}_reason") or "")
