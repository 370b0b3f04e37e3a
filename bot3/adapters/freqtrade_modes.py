"""Whether a freqtrade database holds trades of a dry run: its order ids say so, and nothing else in it does."""

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
    """Which orders a database holds: of freqtrade's dry run (`paper`), and such as an exchange took (`live`)."""

    paper: bool
    live: bool

    def contradicts(self, mode: RunMode) -> bool:
        """Say whether an order cannot be of a mode: a dry run's is never live. An exchange's may be paper, on a test network."""
        return self.paper and mode is RunMode.LIVE


def order_kinds(connection: Connection) -> OrderKinds:
    """Look for orders of each kind."""
    is_dry = _is_dry(connection)
    return OrderKinds(paper=_exists(connection, is_dry), live=_exists(connection, ~is_dry))


def trades_of_dry_run(connection: Connection) -> set[str]:
    """Return the ids, as texts, of trades that have orders of freqtrade's dry run."""
    found = sa.select(_TRADE_ID).distinct().select_from(_ORDERS).where(_is_dry(connection))
    return {str(trade_id) for trade_id in connection.execute(found).scalars()}


def settled_mode(kinds: OrderKinds, *, asked: RunMode | None, shown: str) -> RunMode:
    """Return the mode that a database's trades were made in.

    Parameters
    ----------
    asked : RunMode or None
        What a person says; None to go by the orders.

    Raises
    ------
    SettingsError
        If nobody says it and the orders do not either: there are none, or of both kinds.
    DataError
        If a person says live and every order is of a dry run.
    """
    if asked is None:
        if kinds.paper == kinds.live:
            found = "it holds orders of freqtrade's dry run and of an exchange" if kinds.paper else "it holds no orders"
            raise SettingsError(f"{shown} does not say where its trades were made ({found}): name --run-mode paper or --run-mode live")
        return RunMode.PAPER if kinds.paper else RunMode.LIVE
    if kinds.contradicts(asked) and not kinds.live:
        raise DataError(f"{shown} holds no live trades: all its orders are of freqtrade's dry run (dry_run_...); its run mode is paper")
    return asked


def _is_dry(connection: Connection) -> sa.ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        # SQLite compares bytes: its index answers at once.
        return sa.and_(_ORDER_ID >= _PREFIX, _ORDER_ID < _BEYOND)
    return sa.func.substr(_ORDER_ID, 1, len(_PREFIX)) == _PREFIX


def _exists(connection: Connection, condition: sa.ColumnElement[bool]) -> bool:
    return connection.execute(sa.select(sa.literal(1)).select_from(_ORDERS).where(condition).limit(1)).first() is not None
