"""The trades of each group as rows of the trade table, cached until they change."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from bot3.learning.replay.groups import Group, members_by_group
from bot3.learning.replay.trade_table import TradeTable


class GroupRows:
    """The cells (pair, direction and bin) of every group of a trade table, and their rows; call `forget` for the cells that changed."""

    def __init__(self, table: TradeTable) -> None:
        self._table = table
        self._rows_of_cell: dict[Group, NDArray[np.int64]] = {}
        self._members: dict[Group, list[Group]] | None = None

    def forget(self, cells: AbstractSet[Group]) -> None:
        """Drop the rows of cells whose trades changed."""
        for cell in cells:
            self._rows_of_cell.pop(cell, None)
        if cells:
            self._members = None

    def cells(self) -> list[Group]:
        """Return the cells with trades, of all horizons, sorted."""
        return sorted(cell for cell, rows in self._table.by_group.items() if rows)

    def members(self, group: Group) -> list[Group]:
        """Return the cells with trades in a group, sorted."""
        if self._members is None:
            self._members = members_by_group(self.cells())
        return self._members.get(group, [])

    def realised(self, group: Group) -> NDArray[np.int64]:
        """Return the rows of a group's trades, sorted by cell, then by entry."""
        cells = self.members(group)
        return np.concatenate([self._of_cell(cell) for cell in cells]) if cells else np.zeros(0, dtype=np.int64)

    def observed(self, group: Group) -> NDArray[np.int64]:
        """Return those of a group's rows that have a replay to learn from, sorted by cell, then by entry."""
        return self._table.observations(self.realised(group))

    def _of_cell(self, cell: Group) -> NDArray[np.int64]:
        if cell not in self._rows_of_cell:
            self._rows_of_cell[cell] = self._table.rows(cell)
        return self._rows_of_cell[cell]
