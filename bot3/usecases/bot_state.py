"""What a bot may do now, as a process beside the daemon can know it: its latch, and what a fresh heartbeat of the daemon tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot3.errors import StoreError
from bot3.ports.control import ControlStore, Heartbeat, TradingState
from bot3.trading.risk import strictest

DAEMON = "execution"
"""Name under which the daemon beats."""
CANDLE_DONE = "candle_done"
"""The daemon's bookmark in a bot's store: close of the newest candle that was decided on."""
TELEGRAM = "telegram"
"""Name under which the process that answers and tells beats."""
ENDED = frozenset({"failed", "stopped"})
"""What the daemon tells of itself in its last heartbeat."""
LISTENING = "listening"
"""What it tells of itself while Telegram is reached."""
STALE = timedelta(seconds=15)
"""Wall time after which a process that should beat every second or two is called silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInForce:
    """A bot's state and its reason.

    Parameters
    ----------
    is_latched : bool
        It stands in the control store, so that only a person's `resume` loosens it; else its cause ends it (a flag file, the day's loss).
    is_told : bool
        The daemon told it lately; else only the latch is known, and nobody trades.
    """

    state: TradingState
    reason: str
    is_latched: bool
    is_told: bool


def daemon_beat(beats: Sequence[Heartbeat]) -> Heartbeat | None:
    """Return the daemon's heartbeat; None if it never gave one."""
    return next((beat for beat in beats if beat.process == DAEMON), None)


def last_candle(beat: Heartbeat | None) -> datetime | None:
    """Return the close of the candle that the daemon decided on last, as its heartbeat tells it; None where it tells none.

    Raises
    ------
    StoreError
        If what it tells is not an instant with a zone.
    """
    told = None if beat is None else beat.detail.get("last_candle")
    if told is None:
        return None
    try:
        at = datetime.fromisoformat(str(told))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise StoreError(f"the daemon's heartbeat tells the last candle {told!r}: look at its version")
    return at


def is_silent(beat: Heartbeat | None, *, wall_now: datetime) -> bool:
    """Say whether a process never beat, or not lately: what it told is no news then."""
    return beat is None or wall_now - beat.wall_at > STALE


def state_in_force(control: ControlStore, bot: str, *, wall_now: datetime) -> StateInForce:
    """Return the stricter of a bot's latch and the state that a fresh heartbeat tells. Raises StoreError."""
    latch = control.trading_state(bot)
    told = _told(daemon_beat(control.heartbeats()), bot, wall_now=wall_now)
    state, reason = latch if told is None else strictest([latch, told])
    return StateInForce(
        state=state, reason=reason, is_latched=state is latch[0] and state is not TradingState.ACTIVE, is_told=told is not None
    )


def _told(beat: Heartbeat | None, bot: str, *, wall_now: datetime) -> tuple[TradingState, str] | None:
    if beat is None or is_silent(beat, wall_now=wall_now):
        return None
    state = beat.detail.get(f"{bot}_state")
    if state is None:
        return None
    if state not in set(TradingState):
        raise StoreError(f"the daemon's heartbeat tells of {bot} the state {state!r}: look at its version")
    return TradingState(str(state)), str(beat.detail.get(f"{bot}_reason") or "")
