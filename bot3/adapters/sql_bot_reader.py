"""Reads the trades of one bot's store."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from bot3.adapters.sql_engine import Database
from bot3.adapters.sql_projection import StoreIdentity
from bot3.adapters.sql_rows import read_frame, to_naive
from bot3.adapters.sql_tables_bot import store_identity, trades
from bot3.adapters.sql_trade_rows import TRADE_COLUMNS, trade_of_row
from bot3.trading.trades import RunMode, Trade


class SqlTradeReader:
    """A `TradeReader` on a bot store of ours."""

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
        """Return the mode of all trades in it."""
        return self._identity.run_mode

    @property
    def account(self) -> str:
        """Return the account that every journal row carries."""
        return self._identity.account

    @property
    def store_id(self) -> str:
        """Return the identity of the database."""
        return self._identity.store_id

    def change_token(self) -> str:
        """Return a token that differs after every commit of another connection.

        On SQLite it covers every writer (`PRAGMA data_version`); on PostgreSQL the store's own write counter, which every method of
        this adapter raises, and nothing else does.
        """
        if self._database.is_sqlite:
            return self._database.data_version()
        with self._database.read() as connection:
            return str(connection.execute(sa.select(store_identity.c.writes)).scalar_one())

    def closed_trades(self, *, closed_since: datetime | None) -> list[Trade]:
        """Return closed trades with close_date >= the given time (all for None), by close_date."""
        return self._trades(sa.select(*TRADE_COLUMNS).where(_closed(closed_since)).order_by(trades.c.close_date, trades.c.id))

    def open_trades(self) -> list[Trade]:
        """Return the trades that are open, by open_date."""
        return self._trades(sa.select(*TRADE_COLUMNS).where(trades.c.is_open).order_by(trades.c.open_date, trades.c.id))

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count what `closed_trades` would return."""
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(trades).where(_closed(closed_since))).scalar_one())

    def trades_frame(self, *, limit: int, offset: int) -> pd.DataFrame:
        """Return a page of all trades, newest open first; columns are `Trade`'s fields."""
        query = sa.select(*TRADE_COLUMNS).order_by(trades.c.open_date.desc(), trades.c.id.desc()).limit(limit).offset(offset)
        with self._database.read() as connection:
            frame = read_frame(connection, query)
        own = {"bot": self.bot, "run_mode": self.run_mode.value, "account": self.account}
        named = frame.rename(columns={"id": "trade_id"}).assign(**own)
        for name in ("close_rate", "close_profit", "close_profit_abs", "exit_reason"):
            named[name] = named[name].mask(named["is_open"])
        return named[list(Trade.__dataclass_fields__)]

    def _trades(self, query: sa.Select[tuple[object, ...]]) -> list[Trade]:
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [trade_of_row(row, bot=self.bot, run_mode=self.run_mode, account=self.account) for row in rows]


def _closed(since: datetime | None) -> sa.ColumnElement[bool]:
    closed = ~trades.c.is_open
    return closed if since is None else sa.and_(closed, trades.c.close_date >= to_naive(since))
