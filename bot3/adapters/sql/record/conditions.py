"""Conditions that the queries of several repositories share."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from bot3.trading.trades import RunMode


def in_modes(column: sa.ColumnElement[str], run_modes: Sequence[RunMode]) -> sa.ColumnElement[bool]:
    """Return the condition that a run mode is one of the given ones."""
    return column.in_([RunMode(mode).value for mode in run_modes])


def in_groups(table: sa.Table, groups: Sequence[tuple[str, str, str]] | None) -> sa.ColumnElement[bool]:
    """Return the condition that a row belongs to one of the groups (pair, direction, leverage_bin).

    None selects all rows, an empty sequence no row.
    """
    if groups is None:
        return sa.true()
    return sa.or_(
        sa.false(),
        *(
            sa.and_(table.c.pair == pair, table.c.direction == direction, table.c.leverage_bin == leverage_bin)
            for pair, direction, leverage_bin in groups
        ),
    )
