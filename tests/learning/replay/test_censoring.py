from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import LearningError
from bot3.learning.parameters.learner import ParameterLearner
from bot3.learning.parameters.settings import LearningSettings
from bot3.learning.promotion.permissions import Permission
from bot3.learning.replay.censoring import LONGEST_WAIT_US, CloseCounts, is_late, longest_wait_us
from bot3.market.instants import DAY_US
from bot3.trading.trades import OrderPattern
from tests.learning.worlds import NOW, PAIRS, START, learner_with, trade_row

DUE_US = DAY_US + 300_000_000
OPENED = START + timedelta(days=5, hours=10, seconds=4)
kinds = st.sampled_from(["roi", "force_exit", "liquidation", "in parts", "late", "late and forced"])
closes = st.tuples(kinds, st.integers(0, 200), st.sampled_from(PAIRS), st.booleans())


def close(trade_id: int, kind: str, *, candle: int = 0, pair: str = PAIRS[0], is_short: bool = False) -> dict[str, object]:
    """Return a closed trade of a kind; two with the same pair, direction and candle are one signal."""
    opened = OPENED + timedelta(minutes=5 * candle)
    reason = kind if kind in {"force_exit", "liquidation"} else "force_exit" if kind == "late and forced" else "roi"
    pattern = OrderPattern.MULTIPLE if kind == "in parts" else OrderPattern.SINGLE
    row = trade_row(trade_id, opened=opened, pair=pair, is_short=is_short, exit_reason=reason) | {"order_pattern": pattern}
    if kind.startswith("late"):
        row["close_date"] = pd.Timestamp(opened + timedelta(days=3))
    return row


def rows_of(learner: ParameterLearner, pair: str, side: str) -> np.ndarray:
    table = learner.table
    return np.array([row for row in range(len(table)) if table.group(row)[:2] == (pair, side)], dtype=np.int64)


def test_is_late_given_the_instant_from_which_a_day_may_be_folded_then_only_what_closes_after_it_is() -> None:
    opened = np.full(3, 10 * DAY_US + 5)
    closed = np.array([opened[0] + 3_600_000_000, 11 * DAY_US + DUE_US, 11 * DAY_US + DUE_US + 1])

    late = [is_late(opened[[place]], closed[[place]], source=np.zeros(1, np.int64), due_after_us=DUE_US)[0] for place in range(3)]

    assert late == [False, False, True]


def test_is_late_given_earlier_closes_of_its_source_as_long_then_reviews_waited_for_it() -> None:
    opened = np.array([10, 12, 12, 12, 12]) * DAY_US
    closed = opened + np.array([4, 4, 4, 5, 20]) * DAY_US
    source = np.array([0, 0, 1, 0, 0])

    assert is_late(opened, closed, source=source, due_after_us=DUE_US).tolist() == [True, False, True, False, True]
    assert is_late(opened[::-1], closed[::-1], source=source[::-1], due_after_us=DUE_US).tolist() == [True, False, True, False, True]


def test_is_late_given_trades_open_longer_than_reviews_wait_then_all_of_them_are() -> None:
    opened = np.arange(10, 14) * DAY_US
    closed = opened + LONGEST_WAIT_US + 2 * DAY_US

    assert is_late(opened, closed, source=np.zeros(4, np.int64), due_after_us=DUE_US).all()
    assert longest_wait_us(opened, closed) == LONGEST_WAIT_US
    assert longest_wait_us(opened, opened + 3) == 3
    assert longest_wait_us(opened[:0], opened[:0]) == 0


@pytest.mark.parametrize(("left_out", "late"), [(-1, 0), (6, 5)])
def test_close_counts_given_more_missing_than_there_are_then_refuse(left_out: int, late: int) -> None:
    with pytest.raises(LearningError):
        CloseCounts(closed=10, left_out=left_out, late=late)


def test_close_counts_given_exactly_the_share_then_do_not_exceed_it() -> None:
    found = [CloseCounts(closed=closed, left_out=1, late=1).exceed(0.1) for closed in (20, 19)]

    assert found == [False, True]
    assert not CloseCounts(closed=0, left_out=0, late=0).exceed(0.0)


@settings(max_examples=60, deadline=None)
@given(trades=st.lists(closes, max_size=25), seed=st.integers(0, 1_000))
def test_counts_given_any_closes_in_any_order_then_every_trade_counts_once(trades: list[tuple[str, int, str, bool]], seed: int) -> None:
    rows = [close(place, kind, candle=candle, pair=pair, is_short=is_short) for place, (kind, candle, pair, is_short) in enumerate(trades)]
    order = np.random.default_rng(seed).permutation(len(rows))
    learner = learner_with(pd.DataFrame([rows[place] for place in order]))

    counts = learner.table.closes_by_node()

    expected: Counter[tuple[str, str, str]] = Counter()
    # Reviews wait for closes that are as late as those before them.
    first = min((candle for kind, candle, *_ in trades if kind.startswith("late")), default=None)
    for kind, candle, pair, is_short in trades:
        is_counted = kind == "roi" or (kind == "late" and candle != first)
        what = "counted" if is_counted else "late" if kind == "late" else "left_out"
        expected[pair, "short" if is_short else "long", what] += 1
    assert sum(count.closed for count in counts.values()) == len(trades)
    for (pair, side), count in counts.items():
        assert (count.left_out, count.late) == (expected[pair, side, "left_out"], expected[pair, side, "late"])
        assert count.closed == count.left_out + count.late + expected[pair, side, "counted"]
        assert count == learner.table.count_closes(rows_of(learner, pair, side))
    whole = learner.table.count_closes(np.arange(len(learner.table)))
    assert whole.closed == len(trades)
    assert whole.left_out + whole.late == len(trades) - sum(n for (_, _, what), n in expected.items() if what == "counted")


def test_counts_given_trades_without_candles_then_are_left_out() -> None:
    rows = [trade_row(1, opened=OPENED, pair="ZZZ/USDT:USDT"), trade_row(2, opened=OPENED)]

    counts = learner_with(pd.DataFrame(rows)).table.closes_by_node()

    assert counts["ZZZ/USDT:USDT", "long"] == CloseCounts(closed=1, left_out=1, late=0)
    assert counts[PAIRS[0], "long"] == CloseCounts(closed=1, left_out=0, late=0)


def test_counts_given_a_corrected_exit_then_follow_it() -> None:
    learner = learner_with(pd.DataFrame([close(1, "force_exit"), close(2, "roi", candle=3)]))
    before = learner.table.closes_by_node()[PAIRS[0], "long"]

    learner.ingest(pd.DataFrame([close(1, "roi")]))

    assert before == CloseCounts(closed=2, left_out=1, late=0)
    assert learner.table.closes_by_node()[PAIRS[0], "long"] == CloseCounts(closed=2, left_out=0, late=0)


def learner_of(*, forced: int, whole: int, limit: float) -> ParameterLearner:
    rows = [close(place, "force_exit" if place < forced else "roi", candle=place) for place in range(forced + whole)]
    rows += [close(900 + place, "roi", candle=place, is_short=True) for place in range(whole)]
    return learner_with(pd.DataFrame(rows), settings=LearningSettings(max_censored_share=limit))


def test_censored_nodes_given_a_limit_then_are_those_above_it() -> None:
    found = [learner_of(forced=3, whole=17, limit=limit).censored_nodes() for limit in (0.10, 0.15)]

    assert found == [frozenset({(PAIRS[0], "long")}), frozenset()]


def test_published_rows_given_a_censored_node_then_say_so_with_their_counts() -> None:
    learner = learner_of(forced=3, whole=17, limit=0.10)
    permission = Permission(closed=learner.censored_nodes())

    learned = learner.learn_all(now=NOW, computed_at=NOW, life=timedelta(days=7), revision=1, permission=permission)

    cell, node, other = (learned.rows[f"{PAIRS[0]}|{rest}"] for rest in ("long|2.0-3.5", "long|*", "short|*"))
    assert [(row.trades_count, row.left_out_count, row.late_count) for row in (cell, node, other)] == [(20, 3, 0), (20, 3, 0), (17, 0, 0)]
    assert [row.is_censored for row in (cell, node, other, learned.rows["*|*|*"])] == [True, True, False, None]
    assert learned.censored() == [node]


def test_learn_touched_given_a_node_that_was_closed_then_withdraws_all_its_groups_that_traded() -> None:
    learner = learner_of(forced=3, whole=17, limit=0.10)
    learner.learn_all(now=NOW, computed_at=NOW, life=timedelta(days=7), revision=1)
    node = (PAIRS[0], "long", "*")
    permission = Permission(raised=frozenset({node}), closed=frozenset({(PAIRS[0], "long")}))

    learned = learner.learn_touched(
        {(PAIRS[0], "short", "2.0-3.5")}, now=NOW, computed_at=NOW, life=timedelta(days=7), revision=2, permission=permission
    )

    assert learned.rows[f"{PAIRS[0]}|long|*"].is_censored


def test_learn_touched_given_a_trade_that_was_given_up_then_counts_it_as_learning_everything_does() -> None:
    soon, later = OPENED + timedelta(hours=3), OPENED + timedelta(days=3)
    learner = learner_with(pd.DataFrame([close(1, "roi")]), now=soon)
    when: dict[str, Any] = {"computed_at": soon, "life": timedelta(days=7), "revision": 1}
    learner.learn_all(now=soon, **when)

    touched = learner.replay_due(now=later)

    assert learner.learn_touched(touched, now=later, **when).rows[f"{PAIRS[0]}|long|2.0-3.5"].left_out_count == 1
