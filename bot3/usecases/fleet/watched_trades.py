"""Open trades of bots of other programs, read from the databases that the fleet file lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Protocol

from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.foreign_sources import AWAY

REREAD_S = 4.0
"""Seconds of wall time within which a database is not queried again: PostgreSQL's token changes with every transaction of the server."""


class WatchedReader(Protocol):
    """The queries of a fleet database.

    `open_trades` and `count_closed` raise DataError while the database is unavailable; `change_token` returns `foreign_sources.AWAY` then.
    """

    @property
    def bot(self) -> str:
        """Return the bot's name."""
        ...

    @property
    def run_mode(self) -> RunMode:
        """Return the run mode of all its trades."""
        ...

    @property
    def store_id(self) -> str:
        """Return a text that identifies the database."""
        ...

    def change_token(self) -> str:
        """Return a token that differs after every commit of another connection."""
        ...

    def open_trades(self) -> list[Trade]:
        """Return the open trades, by open_date."""
        ...

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count the trades with close_date >= the given time (all closed trades for None)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Contents of a fleet database: its open trades, and how many trades are closed."""

    open_trades: tuple[Trade, ...]
    closed: int


class WatchedTrades:
    """Cache of one fleet database's open trades.

    It queries the database at most once in `REREAD_S`, and reads the trades again if another connection has committed to it.
    """

    def __init__(self, reader: WatchedReader) -> None:
        self._reader = reader
        self._lock = Lock()
        self._token: str | None = None
        self._read_at: datetime | None = None
        self._held = Watched(open_trades=(), closed=0)

    def read(self, *, wall_now: datetime) -> Watched:
        """Return the contents of the database, at most `REREAD_S` old.

        Raises
        ------
        DataError
            If a query is due and the database cannot be read; older contents are not returned instead.
        """
        with self._lock:
            if self._read_at is not None and abs((wall_now - self._read_at).total_seconds()) < REREAD_S:
                return self._held
            self._read_at = None
            token = self._reader.change_token()
            if token != self._token or token == AWAY:
                # Read the count first: a trade that closes in between is in the count at the next read.
                closed = self._reader.count_closed(closed_since=None)
                self._held, self._token = Watched(open_trades=tuple(self._reader.open_trades()), closed=closed), token
            self._read_at = wall_now
            return self._held
