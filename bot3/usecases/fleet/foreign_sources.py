"""Read the databases of bots of other programs: while one is unavailable, its queries fail at once and the others are still read."""

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

AWAY = "away"  # `change_token` of a database that cannot be queried
RETRY_AFTER_S = 15.0  # after a failure the database is not opened again for this long
_T = TypeVar("_T")


class ClosableReader(ForeignTradeReader, ColumnReader, Protocol):
    """A reader of another program's database that has connections to close and can return closed trades as columns."""

    def close(self) -> None:
        """Close all connections of this reader."""
        ...


class UnreliableReader:
    """A `ForeignTradeReader` of a database that may be unavailable: it is opened at the first query.

    The query that fails raises its own DataError. During the next `retry_after_s` seconds every query raises StoreBusyError with the text
    of that failure without trying; then the database is opened again. Only `change_token` does not raise: it returns `AWAY`, which no open
    database returns, so that commits made in the meantime are detected as a change.

    Parameters
    ----------
    store_id : str
        Identity of the database, known before the database was ever opened.
    connect : callable
        Opens the database; raises DataError or a subclass.
    monotonic : callable
        Returns seconds that never decrease.
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
        """Return the run mode of all its trades."""
        return self._run_mode

    @property
    def store_id(self) -> str:
        """Return a text that identifies the database."""
        return self._store_id

    @property
    def trouble(self) -> str | None:
        """Return why the database could not be queried the last time; None after a successful query or before the first one."""
        return self._trouble

    def is_away(self) -> bool:
        """Return whether the database cannot be queried now; this sends a query, unless a retry is not due yet."""
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
        """Return a page of all trades, open and closed, newest open_date first."""
        return self._ask(lambda reader: reader.trades_frame(limit=limit, offset=offset))

    def refused_trades(self) -> tuple[RefusedTrade, ...]:
        """Return the rows of the database that are not valid trades, with the reasons, sorted by id."""
        return self._ask(lambda reader: reader.refused_trades())

    def read_all(self) -> ForeignTrades:
        """Return all trades as of one instant."""
        return self._ask(lambda reader: reader.read_all())

    def close(self) -> None:
        """Close all connections; the next query opens the database again."""
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
        """Store the error and close the connections: a query after the retry delay opens the database again."""
        with self._turn:
            if self._trouble is not None and self._monotonic() < self._again_at:
                return
            if self._trouble != str(error):
                log.warning("source_not_read", bot=self._bot, run_mode=str(self._run_mode), error=str(error))
            self._trouble, self._again_at = str(error), self._monotonic() + self._retry_after_s
            self.close()


def reachable(sources: Sequence[TradeSource]) -> list[TradeSource]:
    """Return the sources without those whose database is unavailable now: such a database delays only the learning from its own trades."""
    return [source for source in sources if trouble_of(source.reader) is None]


def trouble_of(reader: TradeReader) -> str | None:
    """Return why the database of a source cannot be read now; None if it can.

    Only an `UnreliableReader` is queried. None for the stores of the platform's own bots: they raise an error when they are read.
    """
    return reader.trouble if isinstance(reader, UnreliableReader) and reader.is_away() else None
