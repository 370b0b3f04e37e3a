"""The rows of groups, cached until they are forgotten."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from bot3.learning.parameters.group_rows import GroupRows
from bot3.learning.replay.groups import ROOT
from bot3.learning.replay.replay_frame import ReplayFrame
from bot3.learning.replay.trade_table import TradeTable
from tests.learning.worlds import PAIRS, START, trade_row

FIRST, SECOND = PAIRS
LONG, SHORT = (FIRST, "long", "2.0-3.5"), (SECOND, "short", "2.0-3.5")


def table_of(*rows: dict[str, object]) -> TradeTable:
    table = TradeTable(ReplayFrame(horizon_candles=288, candle_us=300_000_000))
    table.ingest(pd.DataFrame(rows))
    return table


def row(trade_id: int, *, hours: int, pair: str = FIRST, is_short: bool = False) -> dict[str, object]:
    return trade_row(trade_id, opened=START + timedelta(hours=hours), pair=pair, is_short=is_short)


def test_rows_given_groups_then_are_sorted_by_cell_and_entry() -> None:
    table = table_of(row(1, hours=5, pair=SECOND, is_short=True), row(2, hours=9), row(3, hours=2))
    rows = GroupRows(table)

    assert rows.members(ROOT) == [LONG, SHORT]
    assert rows.realised(ROOT).tolist() == [2, 1, 0]
    assert rows.realised((FIRST, "long", "*")).tolist() == [2, 1]
    assert rows.realised(("*", "*", "5.0-7.5")).tolist() == []
    assert rows.members(("*", "*", "5.0-7.5")) == []


def test_observed_given_no_replay_yet_then_is_empty() -> None:
    table = table_of(row(1, hours=5), row(2, hours=9))
    rows = GroupRows(table)

    assert rows.observed(ROOT).tolist() == []
    table._facts["state"][1] = 1
    assert rows.observed(ROOT).tolist() == [1]


def test_forget_given_changed_cells_then_only_those_are_read_again() -> None:
    table = table_of(row(1, hours=5), row(2, hours=9, pair=SECOND, is_short=True))
    rows = GroupRows(table)
    before = rows.realised(ROOT).tolist()

    table.ingest(pd.DataFrame([row(3, hours=1), row(4, hours=1, pair=SECOND, is_short=True)]))
    rows.forget(set())
    assert rows.realised(ROOT).tolist() == before == [0, 1]

    rows.forget({LONG})
    assert rows.realised(ROOT).tolist() == [2, 0, 1]

    rows.forget({SHORT})
    assert rows.realised(ROOT).tolist() == [2, 0, 3, 1]


def test_forget_given_a_new_cell_then_is_a_member() -> None:
    table = table_of(row(1, hours=5))
    rows = GroupRows(table)
    rows.members(ROOT)

    table.ingest(pd.DataFrame([row(2, hours=9, pair=SECOND, is_short=True)]))
    rows.forget({SHORT})

    assert rows.members(ROOT) == [LONG, SHORT]
