"""Which trades are observations, and what is said of those that are not."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.groups import OUTSIDE_CANDLES, SEVERAL_ORDERS, left_out_reason
from bot3.learning.params import ParameterLearner
from tests.learning.worlds import NOW, PAIRS, START, learner_with, many_trades, trade_row


@pytest.mark.parametrize("reason", ["force_exit", "emergency_exit", "liquidation", "sold_on_exchange"])
def test_left_out_reason_given_a_hand_ended_it_then_names_it(reason: str) -> None:
    assert left_out_reason({"exit_reason": reason, "order_pattern": "single"}) == f"ended by {reason}"


def test_left_out_reason_given_several_orders_then_names_them() -> None:
    assert left_out_reason({"exit_reason": "roi", "order_pattern": "multiple"}) == SEVERAL_ORDERS
    assert [left_out_reason({"exit_reason": "roi", "order_pattern": pattern}) for pattern in ("single", "unknown")] == [None, None]


def test_replays_given_a_trade_of_several_orders_then_is_left_out_and_named() -> None:
    trades = pd.DataFrame([trade_row(1, opened=START + timedelta(days=5))]).assign(order_pattern="multiple")

    replays, _ = learner_with(trades).unsaved_replays()

    assert replays[["state", "reason"]].to_numpy().tolist() == [["left_out", SEVERAL_ORDERS]]


def without_orders(n: int, *, outside: int, bot: str) -> pd.DataFrame:
    """Return trades of one bot without orders, the first ones at a rate that their candles do not hold."""
    trades = many_trades(n).assign(order_pattern="unknown", bot=bot)
    return trades.assign(open_rate=trades["open_rate"].where(trades.index >= outside, 0.97 * trades["open_rate"]))


def states(learner: ParameterLearner, *, bot: str) -> set[tuple[str, str]]:
    replays, _ = learner.unsaved_replays()
    own = replays[replays["bot"] == bot]
    return set(own[["state", "reason"]].itertuples(index=False, name=None))


def test_replays_given_most_rates_outside_their_candles_then_all_of_the_bot_without_orders_are_left_out() -> None:
    others = many_trades(20, seed=1).assign(bot="BOT1")

    learner = learner_with(pd.concat([without_orders(20, outside=11, bot="GRID"), others], ignore_index=True))

    assert states(learner, bot="GRID") == {("left_out", OUTSIDE_CANDLES)}
    assert ("complete", "") in states(learner, bot="BOT1")


def test_replays_given_few_rates_outside_their_candles_then_they_are_used() -> None:
    assert {state for state, _ in states(learner_with(without_orders(20, outside=9, bot="GRID")), bot="GRID")} == {"complete"}


@given(cuts=st.lists(st.integers(0, 24), max_size=3), outside=st.integers(8, 16), seed=st.integers(0, 5))
def test_replays_given_trades_without_orders_in_any_portions_then_states_are_those_of_all_at_once(
    cuts: list[int], outside: int, seed: int
) -> None:
    trades = without_orders(24, outside=outside, bot="GRID").sample(frac=1.0, random_state=seed)
    whole = learner_with(trades)
    ends = [0, *sorted(cuts), len(trades)]

    learner = learner_with(trades.iloc[:0])
    for start, end in pairwise(ends):
        learner.ingest(trades.iloc[start:end])
        learner.replay_due(now=NOW)

    expected, found = (each.unsaved_replays()[0].sort_values("trade_id", ignore_index=True) for each in (whole, learner))
    pd.testing.assert_frame_equal(found, expected)


def test_replays_given_a_trade_was_corrected_then_it_is_replayed_again() -> None:
    opened = START + timedelta(days=5)
    learner = learner_with(pd.DataFrame([trade_row(1, opened=opened)]))
    _, rows = learner.unsaved_replays()
    learner.table.confirm_saved(rows)

    learner.ingest(pd.DataFrame([trade_row(1, opened=opened, open_rate=90.0)]))
    learner.replay_due(now=NOW)

    replays, _ = learner.unsaved_replays()
    assert replays["state"].tolist() == ["complete"]
    assert len(learner.table) == 1


def test_funding_missing_share_given_trades_before_the_first_rate_then_counts_them() -> None:
    learner = learner_with(many_trades(40))
    assert learner.funding_missing_share() == 0.0

    learner.ingest(pd.DataFrame([trade_row(900 + k, opened=START + timedelta(days=6, hours=k), pair="ZZZ/USDT:USDT") for k in range(10)]))

    assert learner.funding_missing_share() == pytest.approx(0.2)


def test_rows_of_a_cell_given_any_order_of_arrival_then_are_by_entry() -> None:
    trades = pd.DataFrame([trade_row(k, opened=START + timedelta(days=5, hours=h)) for k, h in enumerate((7, 1, 4))])

    table = learner_with(trades).table

    assert table.fact("open_us")[table.rows((PAIRS[0], "long", "2.0-3.5"))].tolist() == sorted(table.fact("open_us").tolist())
