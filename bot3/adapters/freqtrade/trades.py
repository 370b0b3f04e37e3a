"""Read the trades of a freqtrade bot from its own database (of freqtrade 2022.4 or later, SQLite or PostgreSQL)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.freqtrade.conditions import CLOSE_DATE, IS_OPEN, is_doubtful
from bot3.adapters.freqtrade.database import FreqtradeDatabase
from bot3.adapters.freqtrade.modes import MODE_COLUMNS, OrderKinds, order_kinds, settled_mode, trades_of_dry_run
from bot3.adapters.freqtrade.rows import (
    AMOUNT_COLUMNS,
    OPTIONAL_COLUMNS,
    OPTIONAL_ORDER_COLUMNS,
    ORDER_COLUMNS,
    REQUIRED_COLUMNS,
    TradeOrigin,
    filled_orders,
    is_filled,
    trade_or_refusal,
    truth,
)
from bot3.adapters.sql.bot.order_counts import COUNTED_COLUMNS, ORDER_COUNTS, count_columns, order_counts
from bot3.errors import Bot3Error, DataError, SettingsError
from bot3.ports.foreign_trades import FilledOrder, ForeignTrades, RefusedTrade
from bot3.trading.trades import RunMode, Trade

_TYPED_COLUMNS = frozenset(REQUIRED_COLUMNS) - {"pair", "exit_reason", "open_date", "close_date"}
_OLD_COLUMNS = frozenset({"sell_reason", "buy_tag"})
_ZONE_SLACK = timedelta(hours=27)
"""More than the largest difference of a local time from UTC, so that a comparison with this margin excludes no trade."""
_INSTANTS = ("open_date", "close_date")
_NUMBERS = tuple(name for name, kind in Trade.__annotations__.items() if kind in {"float", "float | None"})


class FreqtradeTrades:
    """A `ForeignTradeReader` of a freqtrade database.

    Columns that were added after 2022.4 may be missing, and all may be of type text (an import from CSV). Tables `trades_bak*` are ignored.
    Rows that are not valid trades are returned by `refused_trades` and `read_all`, and left out of all other results.
    """

    def __init__(self, database: FreqtradeDatabase, origin: TradeOrigin, *, is_mixed: bool = False) -> None:
        self._database = database
        self._origin = origin
        self._is_mixed = is_mixed
        optional = (name for name in (*OPTIONAL_COLUMNS, *AMOUNT_COLUMNS) if name in database.columns["trades"])
        self._names = (*REQUIRED_COLUMNS, *optional)
        self._has_orders = set(COUNTED_COLUMNS) <= database.columns["orders"]
        self._is_texts = bool(_TYPED_COLUMNS & database.texts["trades"])
        self._has_text_orders = self._has_orders and bool({"ft_trade_id", "filled"} & database.texts["orders"])
        # SQL conditions can select the rows only if no column contains text instead of numbers and no trade of a dry run must be refused.
        self._is_plain = not self._is_texts and not is_mixed

    @classmethod
    def open(
        cls,
        address: str,
        *,
        bot: str,
        run_mode: RunMode | None = RunMode.LIVE,
        account: str | None = None,
        source_timezone: str = "UTC",
        busy_timeout_s: float = 5.0,
        leaves_no_trace: bool = False,
        is_any_mode: bool = False,
    ) -> Self:
        """Open a bot's database for reading.

        Parameters
        ----------
        address : str
            Path of a SQLite file, or a URL.
        run_mode : RunMode or None
            Mode in which its trades were made; None to infer it from the ids of its orders. With LIVE, trades of a dry run are refused.
        is_any_mode : bool
            Assign all trades to `run_mode`, also if their orders show another mode; if it is None, to PAPER if all orders are of
            freqtrade's dry run, else to LIVE.
        account : str, optional
            Exchange account of the trades; the default is "foreign-" and the bot's name.
        source_timezone : str
            Time zone of its dates. In SQLite they are in UTC, in PostgreSQL in the time zone of the bot's sessions.
        leaves_no_trace : bool
            Create no file beside a SQLite database that no process has open (read it as immutable, or a copy of it): for a single read,
            since later changes are not detected.

        Raises
        ------
        SettingsError
            If the address or the zone is invalid, or the mode of the trades is neither configured nor inferred.
        DataError
            If it is no freqtrade database of 2022.4 or later, or the mode is LIVE and all its orders are of a dry run.
        StoreError
            If the database cannot be read (StoreBusyError: locked or unreachable).
        """
        zone = _zone(source_timezone)
        database = FreqtradeDatabase.open(address, busy_timeout_s=busy_timeout_s, leaves_no_trace=leaves_no_trace)
        try:
            _require_columns(database)
            kinds = _order_kinds(database)
            if is_any_mode:
                mode = run_mode or (RunMode.PAPER if kinds.paper and not kinds.live else RunMode.LIVE)
            else:
                mode = settled_mode(kinds, asked=run_mode, shown=database.shown)
        except Bot3Error:
            database.close()
            raise
        origin = TradeOrigin(bot=bot, run_mode=mode, account=account or f"foreign-{bot}", zone=zone)
        return cls(database, origin, is_mixed=not is_any_mode and kinds.contradicts(mode))

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    @property
    def bot(self) -> str:
        """Return the bot's name."""
        return self._origin.bot

    @property
    def run_mode(self) -> RunMode:
        """Return the run mode of all its trades."""
        return self._origin.run_mode

    @property
    def store_id(self) -> str:
        """Return the identity of the database: a digest of its path or of its URL without the password; freqtrade stores no identity."""
        return hashlib.blake2s(self._database.shown.encode(), digest_size=12).hexdigest()

    def change_token(self) -> str:
        """Return a token that differs after every commit to the database; it may also differ without one."""
        return self._database.change_token()

    def closed_trades(self, *, closed_since: datetime | None) -> list[Trade]:
        """Return the closed trades with close_date >= the given time (all for None), sorted by close_date."""
        if not self._is_plain:
            closed = [trade for trade in self._every()[0] if not trade.is_open]
        else:
            with self._database.read() as connection:
                closed, _ = self._trades(connection, ~IS_OPEN, perhaps_closed_since(closed_since))
        return _by_close(trade for trade in closed if closed_since is None or _closed_at(trade) >= closed_since)

    def open_trades(self) -> list[Trade]:
        """Return the open trades, sorted by open_date."""
        if not self._is_plain:
            return _by_open(trade for trade in self._every()[0] if trade.is_open)
        with self._database.read() as connection:
            trades, _ = self._trades(connection, IS_OPEN)
        return _by_open(trades)

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count the trades that `closed_trades` would return; if possible in SQL, so that only rows that may be invalid are read."""
        if closed_since is not None or self._origin.zone.key != "UTC" or not self._is_plain:
            return len(self.closed_trades(closed_since=closed_since))
        texts = [name for name in ("enter_tag", "exit_reason") if name in self._names]
        table, doubtful = self._table(), is_doubtful(is_sqlite=self._database.is_sqlite, texts=texts)
        counts = sa.select(sa.func.count(), sa.func.count().filter(doubtful)).select_from(table).where(~IS_OPEN)
        with self._database.read() as connection:
            rows, looked_at = connection.execute(counts).one()
            refused = self._trades(connection, ~IS_OPEN, doubtful)[1] if looked_at else []
        return int(rows) - len(refused)

    def trades_frame(self, *, limit: int, offset: int) -> pd.DataFrame:
        """Return a page of all trades, newest open_date first; columns are `Trade`'s fields. A page with refused rows may be shorter."""
        if not self._is_plain:
            return _frame(_by_open(self._every()[0])[::-1][offset : offset + limit])
        ids: sa.Select[Any] = sa.select(sa.column("id")).select_from(sa.table("trades"))
        page = ids.order_by(sa.column("open_date").desc(), sa.column("id").desc()).limit(limit).offset(offset)
        with self._database.read() as connection:
            trades, _ = self._trades(connection, sa.column("id").in_(page))
        return _frame(sorted(trades, key=lambda trade: (trade.open_date, trade.trade_id), reverse=True))

    def refused_trades(self) -> tuple[RefusedTrade, ...]:
        """Return the rows that are not valid trades, sorted by id."""
        return self.read_all().refused

    def read_all(self) -> ForeignTrades:
        """Return all trades as of one instant with their filled orders, and the rows that are not valid trades."""
        with self._database.read() as connection:
            trades, refused = self._trades(connection)
            orders = self._orders(connection, trades)
        return ForeignTrades(
            closed=tuple(_by_close(trade for trade in trades if not trade.is_open)),
            open=tuple(_by_open(trade for trade in trades if trade.is_open)),
            refused=tuple(sorted(refused, key=lambda row: row.trade_id)),
            orders=orders,
        )

    def _every(self) -> tuple[list[Trade], list[RefusedTrade]]:
        with self._database.read() as connection:
            return self._trades(connection)

    def _table(self) -> sa.TableClause:
        # The selected columns are untyped: one invalid timestamp must not abort the query of all other rows.
        return sa.table("trades", *map(sa.column, self._names))

    def _trades(self, connection: Connection, *conditions: sa.ColumnElement[bool]) -> tuple[list[Trade], list[RefusedTrade]]:
        """Return the trades of the rows that match all conditions, and those rows that are not valid trades."""
        query = self._with_counts(self._table(), *conditions)
        names = (*self._names, *ORDER_COUNTS)
        counted = self._counted_texts(connection) if self._has_text_orders or self._is_texts else {}
        trades: list[Trade] = []
        refused: list[RefusedTrade] = []
        paper = trades_of_dry_run(connection) if self._is_mixed else set()
        for values in connection.execute(query).all():
            # A text table contains an empty text where a value is missing.
            given = dict(zip(names, (None if value == "" and self._is_texts else value for value in values), strict=True))
            read = trade_or_refusal(given | counted.get(str(given["id"]), {}), self._origin)
            if isinstance(read, Trade) and str(read.trade_id) in paper:
                refused.append(_of_dry_run(read))
            elif isinstance(read, Trade):
                trades.append(read)
            else:
                refused.append(read)
        return trades, refused

    def _with_counts(self, table: sa.TableClause, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
        """Return the query of a table's columns and `ORDER_COUNTS`."""
        is_short = sa.column("is_short", sa.Boolean())
        if not self._has_orders or self._has_text_orders or self._is_texts:
            return sa.select(table, *count_columns(None, is_short=is_short)).where(*conditions)
        ids: sa.Select[Any] = sa.select(sa.column("id")).select_from(sa.table("trades")).where(*conditions)
        counts = order_counts(of_trades=ids if conditions else None)
        joined = table.outerjoin(counts, table.c.id == counts.c.counted_trade_id)
        return sa.select(table, *count_columns(counts, is_short=is_short)).select_from(joined).where(*conditions)

    def _counted_texts(self, connection: Connection) -> dict[str, dict[str, int]]:
        """Return `ORDER_COUNTS` by the trade's id as a text, counted here because SQL would compare numbers in text columns wrongly."""
        if not self._has_orders:
            return {}
        trades = sa.table("trades", sa.column("id"), sa.column("is_short"))
        orders = sa.table("orders", *map(sa.column, COUNTED_COLUMNS))
        shorts = {str(trade_id): bool(truth(value)) for trade_id, value in connection.execute(sa.select(trades))}
        counts = {trade_id: dict.fromkeys(ORDER_COUNTS, 0) for trade_id in shorts}
        for of_trade, side, filled in connection.execute(sa.select(orders)):
            if str(of_trade) in shorts and is_filled(filled):
                entries, exits = ORDER_COUNTS
                counts[str(of_trade)][entries if side == ("sell" if shorts[str(of_trade)] else "buy") else exits] += 1
        return counts

    def _orders(self, connection: Connection, trades: Sequence[Trade]) -> dict[int, tuple[FilledOrder, ...]]:
        have = self._database.columns["orders"]
        if not set(ORDER_COLUMNS) <= have:
            return {}
        names = (*ORDER_COLUMNS, *(name for name in OPTIONAL_ORDER_COLUMNS if name in have))
        orders = sa.table("orders", *map(sa.column, names))
        rows = [dict(zip(names, values, strict=True)) for values in connection.execute(sa.select(orders).order_by(orders.c.id))]
        return filled_orders(rows, shorts={trade.trade_id: trade.is_short for trade in trades}, zone=self._origin.zone)


def perhaps_closed_since(at: datetime | None) -> sa.ColumnElement[bool]:
    """Return a condition that is true for all trades closed since a time, in any time zone of the database, and for some closed before."""
    return sa.true() if at is None else (at - _ZONE_SLACK).astimezone(UTC).replace(tzinfo=None) <= CLOSE_DATE


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(f"source_timezone {name!r} is not a time zone: set one such as UTC or Europe/Berlin") from error


def _require_columns(database: FreqtradeDatabase) -> None:
    have = database.columns["trades"]
    missing = ", ".join(name for name in REQUIRED_COLUMNS if name not in have)
    if not missing:
        return
    if have & _OLD_COLUMNS:
        raise DataError(
            f"{database.shown} was written by a freqtrade before 2022.4 (`trades` lacks {missing}): "
            "start a current freqtrade once on a copy of it, which migrates the copy, and name the copy"
        )
    raise DataError(f"{database.shown} is no freqtrade database: its table `trades` lacks {missing}; name the bot's own database")


def _order_kinds(database: FreqtradeDatabase) -> OrderKinds:
    if not database.columns["orders"] >= MODE_COLUMNS:
        return OrderKinds(paper=False, live=False)
    with database.read() as connection:
        return order_kinds(connection)


def _of_dry_run(trade: Trade) -> RefusedTrade:
    reason = "its orders are of freqtrade's dry run, and the source is live"
    return RefusedTrade(trade_id=trade.trade_id, pair=trade.pair, is_open=trade.is_open, reason=reason, detail="")


def _closed_at(trade: Trade) -> datetime:
    assert trade.close_date is not None  # noqa: S101  # it is closed
    return trade.close_date


def _by_close(trades: Iterable[Trade]) -> list[Trade]:
    return sorted(trades, key=lambda trade: (_closed_at(trade), trade.trade_id))


def _by_open(trades: Iterable[Trade]) -> list[Trade]:
    return sorted(trades, key=lambda trade: (trade.open_date, trade.trade_id))


def _frame(trades: Sequence[Trade]) -> pd.DataFrame:
    columns: dict[str, pd.Series[Any]] = {}
    for name in Trade.__dataclass_fields__:
        values = [getattr(trade, name) for trade in trades]
        if name in _INSTANTS:
            columns[name] = pd.to_datetime(pd.Series(values, dtype="object"), utc=True).dt.as_unit("us")
        else:
            columns[name] = pd.Series(values, dtype=_dtype(name))
    return pd.DataFrame(columns)


def _dtype(name: str) -> Any:
    if name in _NUMBERS:
        return "float64"
    return {"trade_id": "int64", "is_short": "bool", "is_open": "bool"}.get(name, "str")
