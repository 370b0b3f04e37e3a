"""One bot as the daemon sees it: its rules, its store, its account; and what all bots share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bot3.market.timeframes import candle_open_time, timeframe_duration
from bot3.ports.candles import CandleReader, MarketReader
from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore
from bot3.ports.exchange import Exchange
from bot3.ports.latches import LatchStore
from bot3.ports.lease import Lease
from bot3.ports.trades import BotStore
from bot3.trading.costs import Costs
from bot3.trading.orders import Intent, IntentLeg, IntentState, OrderStatus, Position
from bot3.trading.profiles import BotProfile
from bot3.trading.trades import RunMode, Trade

OWN_PREFIX = "b3"
"""With it begins the client order id of every order of ours (`Intent.client_order_id`)."""

UNANSWERED = (IntentState.SENT, IntentState.ACKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all bots share: market, time, control, costs and limits of the daemon.

    Parameters
    ----------
    protect_deadline : timedelta
        Wall time after which a position without a working stop is flattened.
    halt_file : Path
        While it exists every bot is HALTED, whatever the stores say.
    """

    clock: Clock
    candles: CandleReader
    markets: MarketReader
    control: ControlStore
    costs: Costs
    run_mode: RunMode
    timeframe: str
    protect_deadline: timedelta
    halt_file: Path

    @property
    def candle(self) -> timedelta:
        """Return how long a candle lasts."""
        return timeframe_duration(self.timeframe)

    def newest_close(self, now: datetime) -> datetime:
        """Return when the newest closed candle closed."""
        return candle_open_time(now, self.timeframe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """One bot's rules and ports.

    Parameters
    ----------
    flag : LatchStore
        Keeps the bot's latch beside its store: losing either loses none.
    lease : Lease or None
        Without it nothing is entered; None where the lock of the home is enough, because the bot's store is a file of it.
    """

    profile: BotProfile
    store: BotStore
    flag: LatchStore
    exchange: Exchange
    lease: Lease | None
    shared: Shared

    @property
    def name(self) -> str:
        """Return the bot's name."""
        return self.profile.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the exchange and the journal say at one look; positions and open trades by pair, orders and intents by client order id."""

    positions: Mapping[str, Position]
    trades: Mapping[str, Trade]
    orders: Mapping[str, OrderStatus]
    unsettled: Mapping[str, Intent]
    mismatch: str | None

    def waiting(self, leg: IntentLeg, *, trade_id: int) -> list[Intent]:
        """Return the intents of one step of a trade that were sent and are not settled."""
        return [i for i in self.unsettled.values() if i.leg is leg and i.trade_id == trade_id and i.state in UNANSWERED]

    def entries_in_flight(self) -> list[Intent]:
        """Return entries that may or may not have become a position."""
        return [i for i in self.unsettled.values() if i.leg is IntentLeg.ENTRY]
