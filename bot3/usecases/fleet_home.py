"""The ports of one home as the state of the fleet is read from them, and what is kept in memory between two looks."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import Protocol

from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore
from bot3.ports.record import PlatformRecord
from bot3.ports.trades import TradeReader
from bot3.usecases.reading import BotCloses, RecordedTrades


class FleetPorts(Protocol):
    """The part of the wired platform that tells how the fleet is."""

    @property
    def bot_names(self) -> tuple[str, ...]:
        """Return the bots."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the market clock."""
        ...

    @property
    def control(self) -> ControlStore:
        """Return heartbeats, states and the clock's anchor."""
        ...

    @property
    def record(self) -> PlatformRecord:
        """Return the platform's record."""
        ...

    def bot_store(self, name: str) -> TradeReader:
        """Return a bot's own store. Raises StoreError if there is none yet."""
        ...

    def history_store(self, name: str) -> TradeReader:
        """Return the store of a bot's backtest history. Raises StoreError if there is none yet."""
        ...


class FleetHome:
    """One home, shared by everybody in a process who reads it; closed trades are kept and brought up to date."""

    def __init__(self, ports: FleetPorts) -> None:
        self.fleet_ports = ports
        self._closes: dict[str, BotCloses] = {}
        self._lock = Lock()

    @cached_property
    def trades(self) -> RecordedTrades:
        """Return the record's closed trades."""
        return RecordedTrades(self.fleet_ports.record)

    def closes(self, bot: str) -> BotCloses:
        """Return the closed trades of a bot's own store."""
        with self._lock:
            if bot not in self._closes:
                self._closes[bot] = BotCloses(self.fleet_ports.bot_store(bot))
            return self._closes[bot]
