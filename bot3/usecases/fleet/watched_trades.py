"""Open trades of foreign bots, read from the databases of the fleet file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Protocol

from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.foreign_sources import AWAY

REREAD_S = 4.0
"""Wall time within which a database is not queried again: PostgreSQL's token changes with every transaction of the server."""


class WatchedReader(Protocol):
    """The queries of a fleet database. Every method but `change_token` raises DataError while the database is unavailable."""

    @property
    def bot(self) -> str:
        """Return the bot's name."""
        ...

    @property
    def run_mode(self) -> RunMode:
        """Return the mode of all its trades."""
        ...

    @property
    def store_id(self) -> str:
        """Return the identity of the database."""
        ...

    def change_token(self) -> str:
        """Return a token that differs after every commit of another connection."""
        ...

    def open_trades(self) -> list[Trade]:
        """Return the open trades, by open_date."""
        ...

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count closed trades."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Contents of a fleet database: its open trades, and how many trades are closed."""

    open_trades: tuple[Trade, ...]
    closed: int


class WatchedTrades:
    """Cache of one fleet database's open trades, read again when another connection committed to it."""

    def __init__(self, reader: WatchedReader) -> None:
        self._reader = reader
        self._lock = Lock()
        self._token: str | None = None
        self._read_at: datetime | None = None
        self._held = Watched(open_trades=(), closed=0)

    def read(self, *, wall_now: datetime) -> Watched:
        """Return the contents of the database.

        Raises
        ------
        DataError
            If it cannot be read now; no older contents are returned instead.
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
