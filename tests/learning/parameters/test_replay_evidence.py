"""Evidence from replays, by cell and period, and its cache."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from bot3.learning.parameters.replay_evidence import PERIOD_US, UNKNOWN_PAIR, Periods, ReplayEvidence
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.groups import Group
from bot3.learning.replay.paths import ReplayCandles, ReplayCosts
from bot3.learning.replay.replay_frame import ReplayFrame
from bot3.learning.replay.trade_table import TradeTable
from bot3.market.instants import DAY_US, instant_us
from tests.learning.worlds import PAIRS, START, trade_row
from tests.markets import arrays, random_candles

GRID = ExitGrid(stops=np.array([0.5, 2.0]), targets=np.array([0.5, 1.0, 3.0]))
FIRST, SECOND = PAIRS
LONG, SHORT = (FIRST, "long", "2.0-3.5"), (SECOND, "short", "7.5-10.0")
CELLS = [LONG, SHORT]
CANDLES = 288 * 4


def table_of(*rows: dict[str, object]) -> tuple[TradeTable, ReplayEvidence]:
    """Return a table whose trades were replayed over 12 candles of five minutes, and evidence over the same candles."""
    frames = {pair: random_candles(seed, candles=CANDLES, first=START) for seed, pair in enumerate(PAIRS)}
    candles = {pair: arrays(frame) for pair, frame in frames.items()}
    walked = {pair: ReplayCandles.of(own) for pair, own in candles.items()}
    table = TradeTable(ReplayFrame(horizon_candles=12, candle_us=300_000_000))
    table.ingest(pd.DataFrame(rows))
    table.replay_due(candles, walked, now_us=instant_us(START + timedelta(days=4)))
    evidence = ReplayEvidence(grid=GRID, costs=ReplayCosts())
    evidence.candles = walked
    return table, evidence


def row(trade_id: int, *, hours: float, cell: Group = LONG) -> dict[str, object]:
    pair, side, _ = cell
    leverage = 3.0 if cell == LONG else 8.0
    return trade_row(trade_id, opened=START + timedelta(hours=hours, seconds=4), pair=pair, is_short=side == "short", leverage=leverage)


ROWS = [row(1, hours=30), row(2, hours=50), row(3, hours=40, cell=SHORT), row(4, hours=60, cell=SHORT), row(5, hours=70)]


def test_periods_given_entries_then_cover_them_and_age_backwards() -> None:
    periods = Periods.of(np.array([3 * PERIOD_US - 1, PERIOD_US + 5, 2 * PERIOD_US]))

    assert (periods.first, periods.count) == (1, 2)
    assert periods.places(np.array([0, 1, 2, 9])).tolist() == [0, 0, 1, 1]
    assert periods.ages_days.tolist() == [30.0, 0.0]
    assert Periods.of(np.zeros(0, dtype=np.int64)) == Periods(first=0, count=1)
    assert PERIOD_US == 30 * DAY_US


def test_evidence_given_cells_then_has_the_sums_of_their_replays_in_their_order() -> None:
    table, evidence = table_of(*ROWS)

    found = evidence.evidence(table, [SHORT, LONG], pairs=(SECOND,), periods=Periods.of(table.fact("open_us")))

    sums = evidence.sums_of(table, np.arange(5), group=np.array([1, 1, 0, 0, 1]), groups=2)
    assert found.n.tolist() == [[2.0], [3.0]]
    np.testing.assert_allclose(found.totals[:, 0], sums.sums[:, 0], rtol=1e-12)
    assert (found.pair.tolist(), found.direction.tolist(), found.leverage_bin.tolist()) == ([0, UNKNOWN_PAIR], [1, 0], [4, 1])


def test_evidence_given_periods_that_end_earlier_then_later_trades_count_in_the_last_one() -> None:
    table, evidence = table_of(*ROWS)
    first = int(table.fact("open_us").min()) // PERIOD_US

    found = evidence.evidence(table, [LONG], pairs=(FIRST,), periods=Periods(first=first - 2, count=2))
    later = evidence.evidence(table, [LONG], pairs=(FIRST,), periods=Periods(first=first - 1, count=3))

    assert (found.n.tolist(), later.n.tolist()) == ([[0.0, 3.0]], [[0.0, 3.0, 0.0]])


def test_evidence_given_two_periods_then_each_trade_counts_in_its_own() -> None:
    table, evidence = table_of(*ROWS)
    opened = table._facts["open_us"]
    opened[0] -= PERIOD_US  # the replay stays on its candles

    found = evidence.evidence(table, CELLS, pairs=PAIRS, periods=Periods.of(table.fact("open_us")))

    assert found.n.tolist() == [[1.0, 2.0], [0.0, 2.0]]
    alone = evidence.sums_of(table, np.array([0]), group=np.zeros(1, np.int64), groups=1)
    np.testing.assert_allclose(found.totals[0, 0], alone.sums[0, 0], rtol=1e-12)


def test_evidence_given_no_trade_then_is_empty() -> None:
    table, evidence = table_of(row(1, hours=30))

    found = evidence.evidence(table, [LONG, (FIRST, "short", "1.0-2.0"), SHORT], pairs=PAIRS, periods=Periods(first=0, count=2))

    assert found.n.sum(axis=1).tolist() == [1.0, 0.0, 0.0]
    assert not found.totals[1:].any()


@pytest.mark.parametrize("forgets", ["nothing", "the cell", "another cell", "all"])
def test_evidence_given_a_new_trade_then_is_cached_until_its_cell_is_forgotten(forgets: str) -> None:
    table, evidence = table_of(*ROWS)
    periods = Periods.of(table.fact("open_us"))
    evidence.evidence(table, CELLS, pairs=PAIRS, periods=periods)
    evidence.outcomes_by_cell(table, CELLS, stop_sigma=0.5, target_sigma=1.0)

    table._facts["state"][1] = 0
    if forgets == "all":
        evidence.forget_all()
    elif forgets != "nothing":
        evidence.forget([LONG if forgets == "the cell" else SHORT])

    n = evidence.evidence(table, CELLS, pairs=PAIRS, periods=periods).n
    lengths = [len(own) for own in evidence.outcomes_by_cell(table, CELLS, stop_sigma=0.5, target_sigma=1.0)]
    expected = [2, 2] if forgets in {"the cell", "all"} else [3, 2]
    assert (n[:, 0].tolist(), lengths) == (expected, expected)


def test_outcomes_given_rows_of_two_pairs_then_are_in_the_order_of_the_rows_and_add_up_to_the_sums() -> None:
    table, evidence = table_of(*ROWS)

    rows = np.array([3, 0, 4, 2, 1])
    found = evidence.outcomes(table, rows, stop_sigma=0.5, target_sigma=np.full(5, 1.0))

    by_row = [evidence.outcomes(table, np.array([each]), stop_sigma=0.5, target_sigma=1.0) for each in rows]
    for name in ("net", "ended_at", "code", "is_ambiguous"):
        assert getattr(found, name).tolist() == [getattr(one, name)[0] for one in by_row]
    sums = evidence.sums_of(table, rows, group=np.zeros(5, np.int64), groups=1)
    assert sums.group(0).total[0, 1] == pytest.approx(found.net.sum())
    assert (sums.n.tolist(), sums.weight.tolist()) == ([5], [5.0])


def test_outcomes_by_cell_given_other_levels_then_are_others_until_they_are_forgotten() -> None:
    table, evidence = table_of(*ROWS)

    near, far = (evidence.outcomes_by_cell(table, [LONG], stop_sigma=stop, target_sigma=3.0)[0] for stop in (0.5, 2.0))

    assert near.net.tolist() != far.net.tolist()
    assert evidence.outcomes_by_cell(table, [LONG], stop_sigma=0.5, target_sigma=3.0)[0] is near
    evidence.forget_outcomes()
    assert evidence.outcomes_by_cell(table, [LONG], stop_sigma=0.5, target_sigma=3.0)[0] is not near


def test_worst_given_stops_then_is_their_distance_with_costs_and_a_gap() -> None:
    table, evidence = table_of(*ROWS)

    worst = evidence.worst(table, np.array([0]), stop_sigma=np.array([2.0]))

    sigma = float(table.fact("sigma")[0])
    assert worst.tolist() == pytest.approx([(2.0 + 0.5) * sigma + 0.0011 + 0.0003])
