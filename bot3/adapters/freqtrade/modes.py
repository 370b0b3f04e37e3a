"""Detect whether a freqtrade database contains trades of a dry run, from the ids of its orders: nothing else in it shows that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.errors import DataError, SettingsError
from bot3.trading.trades import RunMode

MODE_COLUMNS = frozenset({"ft_trade_id", "order_id"})
_PREFIX, _BEYOND = "dry_run_", "dry_run`"
_ORDERS = sa.table("orders")
_ORDER_ID: sa.ColumnClause[str] = sa.column("order_id", sa.String())
_TRADE_ID: sa.ColumnClause[Any] = sa.column("ft_trade_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKinds:
    """Whether a database contains orders of freqtrade's dry run (`paper`), and other orders, which an exchange accepted (`live`)."""

    paper: bool
    live: bool

    def contradicts(self, mode: RunMode) -> bool:
        """Return whether orders contradict a run mode: only a dry run's do, in mode LIVE; an exchange's may be PAPER (a test network)."""
        return self.paper and mode is RunMode.LIVE


def order_kinds(connection: Connection) -> OrderKinds:
    """Return which kinds of orders a database contains."""
    is_dry = _is_dry(connection)
    return OrderKinds(paper=_exists(connection, is_dry), live=_exists(connection, ~is_dry))


def trades_of_dry_run(connection: Connection) -> set[str]:
    """Return the ids, as texts, of the trades that have an order of freqtrade's dry run."""
    found = sa.select(_TRADE_ID).distinct().select_from(_ORDERS).where(_is_dry(connection))
    return {str(trade_id) for trade_id in connection.execute(found).scalars()}


def settled_mode(kinds: OrderKinds, *, asked: RunMode | None, shown: str) -> RunMode:
    """Return the run mode of a database's trades: the configured one, else the one inferred from the orders.

    Parameters
    ----------
    asked : RunMode or None
        The configured mode; None to infer it from the orders.

    Raises
    ------
    SettingsError
        If the mode is not configured and cannot be inferred: there are no orders, or orders of both kinds.
    DataError
        If the configured mode is live and every order belongs to a dry run.
    """
    if asked is None:
        if kinds.paper == kinds.live:
            found = "it contains orders of freqtrade's dry run and of an exchange" if kinds.paper else "it contains no orders"
            raise SettingsError(f"the run mode of {shown} cannot be inferred ({found}): set --run-mode paper or --run-mode live")
        return RunMode.PAPER if kinds.paper else RunMode.LIVE
    if kinds.contradicts(asked) and not kinds.live:
        raise DataError(f"{shown} contains no live trades: all its orders are of freqtrade's dry run (dry_run_...); its run mode is paper")
    return asked


def _is_dry(connection: Connection) -> sa.ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        # SQLite compares bytes, so this range uses the index.
        return sa.and_(_ORDER_ID >= _PREFIX, _ORDER_ID < _BEYOND)
    return sa.func.substr(_ORDER_ID, 1, len(_PREFIX)) == _PREFIX


def _exists(connection: Connection, condition: sa.ColumnElement[bool]) -> bool:
    return connection.execute(sa.select(sa.literal(1)).select_from(_ORDERS).where(condition).limit(1)).first() is not None
