"""The ports of one home from which the fleet's state is read, and a cache of closed trades between two reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Protocol

from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore
from bot3.ports.record import PlatformRecord
from bot3.ports.trades import TradeReader
from bot3.usecases.fleet.trade_cache import BotCloses, RecordedTrades, known
from bot3.usecases.fleet.watched_trades import WatchedReader, WatchedTrades


class FleetPorts(Protocol):
    """The ports of the platform that the fleet's state is read from."""

    @property
    def bot_names(self) -> tuple[str, ...]:
        """Return the names of our own bots."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the market clock."""
        ...

    @property
    def control(self) -> ControlStore:
        """Return the store of heartbeats, states and the clock's anchor."""
        ...

    @property
    def record(self) -> PlatformRecord:
        """Return the platform's record."""
        ...

    @property
    def fleet(self) -> Sequence[WatchedReader]:
        """Return the databases of the fleet file."""
        ...

    def bot_store(self, name: str) -> TradeReader:
        """Return a bot's own store. Raises StoreError if there is none yet."""
        ...

    def history_store(self, name: str) -> TradeReader:
        """Return the store of a bot's backtest history. Raises StoreError if there is none yet."""
        ...


class FleetHome:
    """One home, shared by all readers of a process; closed trades are cached and updated."""

    def __init__(self, ports: FleetPorts) -> None:
        self.fleet_ports = ports
        self._closes: dict[str, BotCloses] = {}
        self._watched: dict[tuple[str, str], WatchedTrades] = {}
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

    def watched(self, reader: WatchedReader) -> WatchedTrades:
        """Return the open trades and the count of closes of a fleet database."""
        with self._lock:
            return self._watched.setdefault((reader.bot, reader.run_mode.value), WatchedTrades(reader))

    def newest_publication(self) -> datetime | None:
        """Return the wall time at which the newest parameters or recommendation in force were computed; None before the first."""
        record, now = self.fleet_ports.record, self.fleet_ports.clock.now()
        parameters, recommendation = (
            known(lambda: record.parameters.as_of(now)).value,
            known(lambda: record.recommendations.as_of(now)).value,
        )
        return max((found.computed_at for found in (parameters, recommendation) if found is not None), default=None)
