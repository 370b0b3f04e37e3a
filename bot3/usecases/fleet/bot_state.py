"""The trading state of a bot, as processes other than the daemon read it: the stored state, and the daemon's heartbeat if it is recent."""

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
"""Name of the daemon's bookmark in a bot's store: the close time of the last candle whose signals the daemon decided on."""
TELEGRAM = "telegram"
"""Process name in the heartbeat of the Telegram process, which answers commands and sends notices."""
ENDED = frozenset({"failed", "stopped"})
"""States in the heartbeat that the daemon writes when it ends: after an error, and on request."""
LISTENING = "listening"
"""State in the heartbeat of the Telegram process while it can reach Telegram."""
STALE = timedelta(seconds=15)
"""Wall time: a process whose last heartbeat is older is considered silent; a running one writes heartbeats every few seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInForce:
    """The trading state in force for a bot, and its reason ("" for an active bot).

    Parameters
    ----------
    is_latched : bool
        True if the control store contains this state and it is not ACTIVE: only the command `resume` removes it. A state that only the
        daemon reports ends with its cause (the file HALT, the loss of a day, a lost lease).
    is_reported : bool
        True if a heartbeat of the daemon that is not older than `STALE` contains a state of this bot; else only the stored state is known.
    """

    state: TradingState
    reason: str
    is_latched: bool
    is_reported: bool


def daemon_beat(beats: Sequence[Heartbeat]) -> Heartbeat | None:
    """Return the daemon's heartbeat from a list of all processes' heartbeats, however old it is; None if there is none."""
    return next((beat for beat in beats if beat.process == DAEMON), None)


def last_candle(beat: Heartbeat | None) -> datetime | None:
    """Return the close time of the last candle that the daemon decided on, from its heartbeat, which may be old.

    Several bots may differ: it is the oldest of their last candles. None without a heartbeat, or if no bot has decided on a candle yet.

    Raises
    ------
    StoreError
        If the value in the heartbeat is not an ISO time with a time zone.
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
    """Return whether a process wrote its last heartbeat more than `STALE` ago, or never wrote one (`beat` is None)."""
    return beat is None or wall_now - beat.wall_at > STALE


def state_in_force(control: ControlStore, bot: str, *, wall_now: datetime) -> StateInForce:
    """Return the stricter of two states of a bot: the one in the control store, and the one in the daemon's heartbeat.

    The heartbeat is ignored if it is older than `STALE` or contains no state of this bot.

    Raises
    ------
    StoreError
        If the control store cannot be read, or the heartbeat contains an unknown state.
    """
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
