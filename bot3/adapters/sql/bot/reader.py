"""Read the trades in one bot's database."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql.bot.order_counts import count_columns, order_counts
from bot3.adapters.sql.bot.projection import StoreIdentity
from bot3.adapters.sql.bot.tables import store_identity, trades
from bot3.adapters.sql.bot.trade_rows import TRADE_COLUMNS, trade_of_row
from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.rows import read_frame, to_naive
from bot3.trading.trades import OrderPattern, RunMode, Trade


class SqlTradeReader:
    """A `TradeReader` of the database of one of this platform's bots."""

    def __init__(self, database: Database, identity: StoreIdentity) -> None:
        self._database = database
        self._identity = identity

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    @property
    def bot(self) -> str:
        """Return the bot's name."""
        return self._identity.bot

    @property
    def run_mode(self) -> RunMode:
        """Return the run mode of all its trades."""
        return self._identity.run_mode

    @property
    def account(self) -> str:
        """Return the account to which everything in the database belongs."""
        return self._identity.account

    @property
    def store_id(self) -> str:
        """Return the identity of the database."""
        return self._identity.store_id

    def change_token(self) -> str:
        """Return a token that differs after every commit that changed trades, by this process or another.

        On SQLite every commit of any program changes it (`PRAGMA data_version`); on PostgreSQL it is a counter in the database, which each
        writing method of `SqlBotStore` increments, and no other program.
        """
        if self._database.is_sqlite:
            return self._database.data_version()
        with self._database.read() as connection:
            return str(connection.execute(sa.select(store_identity.c.writes)).scalar_one())

    def closed_trades(self, *, closed_since: datetime | None) -> list[Trade]:
        """Return the closed trades with close_date >= the given time (all for None), sorted by close_date."""
        return self._trades(_closed(closed_since), by=trades.c.close_date)

    def open_trades(self) -> list[Trade]:
        """Return the open trades, sorted by open_date."""
        return self._trades(trades.c.is_open, by=trades.c.open_date)

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count the trades that `closed_trades` would return."""
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(trades).where(_closed(closed_since))).scalar_one())

    def trades_frame(self, *, limit: int, offset: int) -> pd.DataFrame:
        """Return a page of all trades, open and closed, newest open_date first; columns are `Trade`'s fields."""
        page = sa.select(trades.c.id).order_by(trades.c.open_date.desc(), trades.c.id.desc()).limit(limit).offset(offset)
        query = _with_counts(trades.c.id.in_(page)).order_by(trades.c.open_date.desc(), trades.c.id.desc())
        with self._database.read() as connection:
            frame = read_frame(connection, query)
        patterns = [_pattern(entries, exits).value for entries, exits in zip(frame["entries"], frame["exits"], strict=True)]
        own = {"bot": self.bot, "run_mode": self.run_mode.value, "account": self.account, "order_pattern": patterns}
        named = frame.rename(columns={"id": "trade_id"}).assign(**own)
        for name in ("close_rate", "close_profit", "close_profit_abs", "exit_reason"):
            named[name] = named[name].mask(named["is_open"])
        return named[list(Trade.__dataclass_fields__)]

    def _trades(self, condition: sa.ColumnElement[bool], *, by: sa.ColumnElement[datetime]) -> list[Trade]:
        with self._database.read() as connection:
            rows = connection.execute(_with_counts(condition).order_by(by, trades.c.id)).all()
        to_trade = partial(trade_of_row, bot=self.bot, run_mode=self.run_mode, account=self.account)
        return [to_trade(row, order_pattern=_pattern(row.entries, row.exits)) for row in rows]


def _with_counts(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return the query of the trades that match a condition, with the numbers of their filled orders."""
    counts = order_counts(of_trades=sa.select(trades.c.id).where(condition))
    joined = trades.outerjoin(counts, trades.c.id == counts.c.counted_trade_id)
    return sa.select(*TRADE_COLUMNS, *count_columns(counts, is_short=trades.c.is_short)).select_from(joined).where(condition)


def _pattern(entries: int, exits: int) -> OrderPattern:
    """Return the order pattern of a trade; SINGLE without any filled order, since imported trades of backtests have no orders."""
    found = OrderPattern.of_counts(entries=int(entries), exits=int(exits))
    return OrderPattern.SINGLE if found is OrderPattern.UNKNOWN else found


def _closed(since: datetime | None) -> sa.ColumnElement[bool]:
    closed = ~trades.c.is_open
    return closed if since is None else sa.and_(closed, trades.c.close_date >= to_naive(since))
