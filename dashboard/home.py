"""Access to one home for the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pandas as pd

from bot3.ports.candles import CandleReader
from bot3.ports.trades import TradeReader
from bot3.settings import Settings
from bot3.trading.costs import Costs
from bot3.trading.orders import Intent
from bot3.usecases.fleet.home import FleetHome, FleetPorts


class TradeJournal(TradeReader, Protocol):
    """The part of a bot's database that the pages read: its trades, their orders, and the decisions on signals."""

    def intents_of_trade(self, trade_id: int) -> list[Intent]:
        """Return the intents (planned orders) of a trade, oldest first."""
        ...

    def decisions_frame(self, *, limit: int) -> pd.DataFrame:
        """Return the newest decisions on signals with their results, newest first."""
        ...


class HomePorts(FleetPorts, Protocol):
    """The part of the platform that the pages read."""

    @property
    def settings(self) -> Settings:
        """Return the settings of this process."""
        ...

    @property
    def candles(self) -> CandleReader:
        """Return the reader of the market's candles."""
        ...

    @property
    def costs(self) -> Costs:
        """Return the trading costs."""
        ...

    def bot_store(self, name: str) -> TradeJournal:
        """Return a bot's own store. Raises StoreError if it does not exist yet."""
        ...

    def history_store(self, name: str) -> TradeJournal:
        """Return the store of a bot's backtest history. Raises StoreError if it does not exist yet."""
        ...


class DashboardHome(FleetHome):
    """One home, shared by all sessions of the dashboard.

    Parameters
    ----------
    is_current : callable
        Returns whether the opened files still belong to the home; False after it was seeded, or deleted and seeded again.
    """

    def __init__(self, ports: HomePorts, *, is_seeded: bool, is_current: Callable[[], bool]) -> None:
        super().__init__(ports)
        self.ports = ports
        self.is_current = is_current
        self.is_seeded = is_seeded

    @property
    def settings(self) -> Settings:
        """Return the settings of this process."""
        return self.ports.settings
