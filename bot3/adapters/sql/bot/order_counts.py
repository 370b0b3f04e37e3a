"""Count the filled orders of each trade in SQL, in freqtrade's databases and in this platform's, whose `orders` have the same columns."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

ORDER_COUNTS = ("entries", "exits")
"""Columns of `order_counts` that are added to a trade's row."""
COUNTED_COLUMNS = ("ft_trade_id", "ft_order_side", "filled")

_ORDERS = sa.table("orders", sa.column("ft_trade_id"), sa.column("ft_order_side", sa.String()), sa.column("filled"))


def order_counts(*, of_trades: sa.Select[Any] | None) -> sa.Subquery:
    """Return a subquery that counts the orders of each trade that are filled at least in part.

    Its columns are `counted_trade_id`, `buys`, `sells` and `total`; a stop on the exchange counts only in `total`. Trades without such an
    order have no row.

    Parameters
    ----------
    of_trades : Select or None
        Ids of the trades to count; None for all.
    """
    side, is_filled = _ORDERS.c.ft_order_side, sa.cast(_ORDERS.c.filled, sa.Double()) > 0.0
    counts = [
        _ORDERS.c.ft_trade_id.label("counted_trade_id"),
        sa.func.count(sa.case((side == "buy", 1))).label("buys"),
        sa.func.count(sa.case((side == "sell", 1))).label("sells"),
        sa.func.count().label("total"),
    ]
    query = sa.select(*counts).where(is_filled).group_by(_ORDERS.c.ft_trade_id)
    return (query if of_trades is None else query.where(_ORDERS.c.ft_trade_id.in_(of_trades))).subquery("order_counts")


def count_columns(counts: sa.Subquery | None, *, is_short: sa.ColumnElement[Any]) -> list[sa.Label[int]]:
    """Return the columns `entries` and `exits` of trades that are outer-joined with `order_counts`; zeros if `counts` is None."""
    if counts is None:
        return [sa.literal_column("0", sa.BigInteger()).label(name) for name in ORDER_COUNTS]
    entries = sa.case((is_short, counts.c.sells), else_=counts.c.buys)
    return [
        sa.type_coerce(sa.func.coalesce(number, 0), sa.BigInteger()).label(name)
        for name, number in zip(ORDER_COUNTS, (entries, counts.c.total - entries), strict=True)
    ]
