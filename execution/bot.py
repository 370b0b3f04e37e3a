"""One bot as the daemon uses it (rules, database, exchange account), and what all bots share."""

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
        Wall time after which a position that is not completely covered by open stops is closed at market.
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
        """Return the close time of the newest candle that has closed by a market time."""
        return candle_open_time(now, self.timeframe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """One bot's rules and ports.

    Parameters
    ----------
    flag : LatchStore
        Stores the bot's latched trading state a second time, in a file outside its database, so that it survives the loss of either.
    lease : Lease or None
        The exclusive right to trade the bot; while it is lost the bot enters no trade. None if the bot's database is a file in the home,
        which has its own lock.
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
    """The state of a bot's exchange account and of its database at one time.

    Parameters
    ----------
    positions, trades : mapping
        Pair to the position on the exchange, and to the open trade in the database.
    orders, unsettled : mapping
        Client order id to the open order on the exchange, and to the intent (planned order) whose result is not final.
    mismatch : str or None
        Where positions and open trades differ; None if they agree.
    """

    positions: Mapping[str, Position]
    trades: Mapping[str, Trade]
    orders: Mapping[str, OrderStatus]
    unsettled: Mapping[str, Intent]
    mismatch: str | None

    def waiting(self, leg: IntentLeg, *, trade_id: int) -> list[Intent]:
        """Return the unsettled intents of one leg (stop, target, exit) of a trade that are SENT or ACKED."""
        return [i for i in self.unsettled.values() if i.leg is leg and i.trade_id == trade_id and i.state in UNANSWERED]

    def entries_in_flight(self) -> list[Intent]:
        """Return the unsettled entry intents, which may have opened a position or not."""
        return [i for i in self.unsettled.values() if i.leg is IntentLeg.ENTRY]
