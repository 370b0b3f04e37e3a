"""Databases of foreign bots as sources: one may be unavailable, and nothing else waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from bot3.errors import DataError, StoreBusyError
from bot3.ports.foreign_trades import ForeignTradeReader, ForeignTrades, RefusedTrade
from bot3.ports.trade_columns import ColumnReader, TradeColumns
from bot3.ports.trades import TradeReader
from bot3.trading.trades import RunMode, Trade

if TYPE_CHECKING:
    import pandas as pd

    from bot3.usecases.learning.relearn import TradeSource

log = structlog.get_logger()

AWAY = "away"
RETRY_AFTER_S = 15.0
_T = TypeVar("_T")


class ClosableReader(ForeignTradeReader, ColumnReader, Protocol):
    """A foreign reader that owns connections and returns many closed trades as columns."""

    def close(self) -> None:
        """Close every connection."""
        ...


class UnreliableReader:
    """A `ForeignTradeReader` of a database that may be unavailable: opened at the first query, not retried for a while after a failure.

    Every query of an unavailable database raises the error of the first one (StoreBusyError until the next retry), except `change_token`:
    it returns `AWAY` then, which is no token of an open database, so that commits made in the meantime are detected as a change.

    Parameters
    ----------
    store_id : str
        Identity of the database, known before it was ever reached.
    connect : callable
        Opens the database; raises DataError or a subclass.
    """

    def __init__(
        self,
        *,
        bot: str,
        run_mode: RunMode,
        store_id: str,
        connect: Callable[[], ClosableReader],
        retry_after_s: float = RETRY_AFTER_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bot, self._run_mode, self._store_id = bot, run_mode, store_id
        self._connect, self._retry_after_s, self._monotonic = connect, retry_after_s, monotonic
        self._turn = RLock()
        self._reader: ClosableReader | None = None
        self._trouble: str | None = None
        self._again_at = 0.0

    @property
    def bot(self) -> str:
        """Return the bot's name."""
        return self._bot

    @property
    def run_mode(self) -> RunMode:
        """Return the mode of all its trades."""
        return self._run_mode

    @property
    def store_id(self) -> str:
        """Return the identity of the database."""
        return self._store_id

    @property
    def trouble(self) -> str | None:
        """Return why the last query of the database failed; None if it succeeded."""
        return self._trouble

    def is_away(self) -> bool:
        """Query whether the database is unavailable now."""
        return self.change_token() == AWAY

    def change_token(self) -> str:
        """Return a token that differs after every commit of another connection; `AWAY` while the database cannot be queried."""
        try:
            return self._ask(lambda reader: reader.change_token())
        except DataError:
            return AWAY

    def closed_trades(self, *, closed_since: datetime | None) -> list[Trade]:
        """Return closed trades with close_date >= the given time (all for None), by close_date."""
        return self._ask(lambda reader: reader.closed_trades(closed_since=closed_since))

    def closed_columns(self, *, closed_since: datetime | None) -> TradeColumns:
        """Return the trades of `closed_trades` as columns, in any order."""
        return self._ask(lambda reader: reader.closed_columns(closed_since=closed_since))

    def open_trades(self) -> list[Trade]:
        """Return the open trades, by open_date."""
        return self._ask(lambda reader: reader.open_trades())

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count the trades that `closed_trades` would return."""
        return self._ask(lambda reader: reader.count_closed(closed_since=closed_since))

    def trades_frame(self, *, limit: int, offset: int) -> pd.DataFrame:
        """Return a page of all trades, newest open first."""
        return self._ask(lambda reader: reader.trades_frame(limit=limit, offset=offset))

    def refused_trades(self) -> tuple[RefusedTrade, ...]:
        """Return the rows that cannot be trades, sorted by id."""
        return self._ask(lambda reader: reader.refused_trades())

    def read_all(self) -> ForeignTrades:
        """Return all trades as of one instant."""
        return self._ask(lambda reader: reader.read_all())

    def close(self) -> None:
        """Close every connection."""
        with self._turn:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _ask(self, question: Callable[[ClosableReader], _T]) -> _T:
        try:
            answer = question(self._opened())
        except DataError as error:
            self._leave(error)
            raise
        if self._trouble is not None:
            log.info("source_read_again", bot=self._bot, run_mode=str(self._run_mode))
            self._trouble = None
        return answer

    def _opened(self) -> ClosableReader:
        with self._turn:
            if self._trouble is not None and self._monotonic() < self._again_at:
                raise StoreBusyError(self._trouble)
            if self._reader is None:
                self._reader = self._connect()
            return self._reader

    def _leave(self, error: DataError) -> None:
        """Store the error and close the connections: the next query opens the database again."""
        with self._turn:
            if self._trouble is not None and self._monotonic() < self._again_at:
                return
            if self._trouble != str(error):
                log.warning("source_not_read", bot=self._bot, run_mode=str(self._run_mode), error=str(error))
            self._trouble, self._again_at = str(error), self._monotonic() + self._retry_after_s
            self.close()


def reachable(sources: Sequence[TradeSource]) -> list[TradeSource]:
    """Return the sources that can be read now: a foreign bot with an unavailable database delays only its own learning."""
    return [source for source in sources if trouble_of(source.reader) is None]


def trouble_of(reader: TradeReader) -> str | None:
    """Query a source; return why it cannot be read now, None if it can (our own stores raise instead, and have no unavailable state)."""
    return reader.trouble if isinstance(reader, UnreliableReader) and reader.is_away() else None
