"""Access to one home for readers of the fleet's state, with a cache of closed trades between two reads."""

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
    """The ports of one home from which the state of its bots is read."""

    @property
    def bot_names(self) -> tuple[str, ...]:
        """Return the names of the platform's own bots."""
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
        """Return readers of the databases that the fleet file lists: bots of other programs."""
        ...

    def bot_store(self, name: str) -> TradeReader:
        """Return the store of one of the platform's own bots. Raises StoreError if there is none yet."""
        ...

    def history_store(self, name: str) -> TradeReader:
        """Return the store of a bot's backtest history. Raises StoreError if there is none yet."""
        ...


class FleetHome:
    """One home, shared by all readers of a process; it caches closed trades and reads only what has changed."""

    def __init__(self, ports: FleetPorts) -> None:
        self.fleet_ports = ports
        self._closes: dict[str, BotCloses] = {}
        self._watched: dict[tuple[str, str], WatchedTrades] = {}
        self._lock = Lock()

    @cached_property
    def trades(self) -> RecordedTrades:
        """Return the cache of the record's closed trades."""
        return RecordedTrades(self.fleet_ports.record)

    def closes(self, bot: str) -> BotCloses:
        """Return the cache of the closed trades in a bot's own store. Raises StoreError if there is no store yet."""
        with self._lock:
            if bot not in self._closes:
                self._closes[bot] = BotCloses(self.fleet_ports.bot_store(bot))
            return self._closes[bot]

    def watched(self, reader: WatchedReader) -> WatchedTrades:
        """Return the cache of a fleet database's open trades and number of closed trades."""
        with self._lock:
            return self._watched.setdefault((reader.bot, reader.run_mode.value), WatchedTrades(reader))

    def newest_publication(self) -> datetime | None:
        """Return the wall time at which the published parameters or recommendation were computed, the later of both.

        Expired ones count; missing or invalid ones do not. None if neither counts.
        """
        record, now = self.fleet_ports.record, self.fleet_ports.clock.now()
        parameters, recommendation = (
            known(lambda: record.parameters.as_of(now)).value,
            known(lambda: record.recommendations.as_of(now)).value,
        )
        return max((found.computed_at for found in (parameters, recommendation) if found is not None), default=None)
