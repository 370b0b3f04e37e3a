"""Filled orders by trade."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.bot.order_counts import COUNTED_COLUMNS, ORDER_COUNTS, count_columns, order_counts

TRADES = sa.table("trades", sa.column("id", sa.Integer), sa.column("is_short", sa.Boolean))


@pytest.fixture
def connection() -> Iterator[Connection]:
    with sa.create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE trades (id, is_short)")
        connection.exec_driver_sql("CREATE TABLE orders (ft_trade_id, ft_order_side, filled)")
        connection.exec_driver_sql("INSERT INTO trades VALUES (1, 0), (2, 1), (3, 0), (4, 0)")
        orders = [
            (1, "buy", 1.0),
            (1, "buy", 0.5),
            (1, "stoploss", 1.5),
            (1, "sell", 0.0),
            (2, "sell", 1.0),
            (2, "buy", "1.0"),
            (3, "buy", None),
        ]
        connection.exec_driver_sql("INSERT INTO orders VALUES (?, ?, ?)", orders)
        yield connection


def counted(connection: Connection, counts: sa.Subquery | None) -> list[tuple[int, int, int]]:
    joined = TRADES if counts is None else TRADES.outerjoin(counts, TRADES.c.id == counts.c.counted_trade_id)
    query = sa.select(TRADES.c.id, *count_columns(counts, is_short=TRADES.c.is_short)).select_from(joined).order_by(TRADES.c.id)
    return [(row.id, row.entries, row.exits) for row in connection.execute(query)]


def test_counts_given_orders_then_are_filled_entries_and_the_rest_as_exits(connection: Connection) -> None:
    assert counted(connection, order_counts(of_trades=None)) == [(1, 2, 1), (2, 1, 1), (3, 0, 0), (4, 0, 0)]
    assert (ORDER_COUNTS, COUNTED_COLUMNS) == (("entries", "exits"), ("ft_trade_id", "ft_order_side", "filled"))


def test_counts_given_some_trades_then_only_those_are_counted(connection: Connection) -> None:
    some = sa.select(TRADES.c.id).where(TRADES.c.id == 2)

    assert counted(connection, order_counts(of_trades=some)) == [(1, 0, 0), (2, 1, 1), (3, 0, 0), (4, 0, 0)]


def test_counts_given_no_orders_table_then_are_zero(connection: Connection) -> None:
    assert counted(connection, None) == [(number, 0, 0) for number in (1, 2, 3, 4)]
