"""Restore the contents of a control store that was lost, from the bots' databases and flag files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from bot3.errors import StoreBusyError, StoreError
from bot3.trading.risk import RiskLatch, TradingState, strictest
from bot3.usecases.fleet.bot_state import CANDLE_DONE

if TYPE_CHECKING:
    from bot3.ports.control import ControlStore
    from bot3.ports.latches import LatchStore
    from bot3.ports.trades import BotStore

log = structlog.get_logger()


def restore_latches(control: ControlStore, bots: Iterable[tuple[str, Iterable[LatchStore]]], *, at: datetime) -> None:
    """Write each bot's trading state to the control store: the strictest of those in its other stores, ACTIVE if they contain none.

    An invalid stored state is logged and ignored. Raises StoreBusyError if a store is unavailable.
    """
    for name, stores in bots:
        kept = [latch for latch in map(_latch, stores) if latch is not None]
        state, reason = strictest([(latch.state, latch.reason) for latch in kept] or [(TradingState.ACTIVE, "")])
        control.set_trading_state(name, state, reason=reason, at=at)
        log.warning("control_restored", bot=name, state=state.value, reason=reason)


def last_lived(stores: Iterable[BotStore], *, at_least: datetime) -> datetime:
    """Return the close time of the newest candle that any bot decided on, at least `at_least`: the market clock continues from there."""
    return max([at_least, *(done for store in stores if (done := store.bookmark(CANDLE_DONE)) is not None)])


def _latch(store: LatchStore) -> RiskLatch | None:
    try:
        return store.latch()
    except StoreBusyError:
        raise
    except StoreError as error:
        log.error("latch_not_read", error=str(error))  # noqa: TRY400  # the bot's other store contains the state too
        return None
