"""Describe one bot as the daemon uses it (rules, store, account), and what all bots share."""

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
"""Prefix of the client order id of every order of this platform (`Intent.client_order_id`)."""

UNANSWERED = (IntentState.SENT, IntentState.ACKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all bots share: market data, clock, control store, costs and the limits of the daemon.

    Parameters
    ----------
    protect_deadline : timedelta
        Wall time after which a position without a working stop is closed at market.
    halt_file : Path
        While this file exists every bot is HALTED, whatever state the stores contain.
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
        """Return the duration of one candle."""
        return timeframe_duration(self.timeframe)

    def newest_close(self, now: datetime) -> datetime:
        """Return the close time of the newest closed candle."""
        return candle_open_time(now, self.timeframe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """One bot's rules and ports.

    Parameters
    ----------
    flag : LatchStore
        Stores the bot's latch a second time, outside its database, so that the loss of either copy does not lose the latch.
    lease : Lease or None
        Without the lease the bot enters no trade. None where the lock on the home is sufficient, because the bot's store is a file in
        that home.
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
    """The state of the exchange account and the journal at one time.

    Positions and open trades are keyed by pair, orders and intents by client order id.
    """

    positions: Mapping[str, Position]
    trades: Mapping[str, Trade]
    orders: Mapping[str, OrderStatus]
    unsettled: Mapping[str, Intent]
    mismatch: str | None

    def waiting(self, leg: IntentLeg, *, trade_id: int) -> list[Intent]:
        """Return the intents of one leg of a trade that were sent and are not settled yet."""
        return [i for i in self.unsettled.values() if i.leg is leg and i.trade_id == trade_id and i.state in UNANSWERED]

    def entries_in_flight(self) -> list[Intent]:
        """Return the entry intents that may or may not have opened a position."""
        return [i for i in self.unsettled.values() if i.leg is IntentLeg.ENTRY]
