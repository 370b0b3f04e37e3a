"""Which trades are observations, and what is said of those that are not."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.learning.replay.groups import OUTSIDE_CANDLES, SEVERAL_ORDERS, left_out_reason
from bot3.market.volatility import expected_sigma
from bot3.trading.leverage_bins import DEFAULT_BINS
from tests.learning.worlds import NOW, PAIRS, START, candle_frame, learner_with, many_trades, trade_row


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


@settings(max_examples=20, deadline=None)
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


def test_replays_given_leverage_above_the_bins_then_is_left_out_and_touches_no_group() -> None:
    high = {"leverage": 20.0, "leverage_bin": DEFAULT_BINS.outside[-1]}
    learner = learner_with(pd.DataFrame([trade_row(1, opened=START + timedelta(days=5))]))
    cells = learner.cells()

    touched = learner.ingest(pd.DataFrame([trade_row(2, opened=START + timedelta(days=6)) | high])) | learner.replay_due(now=NOW)

    replays, _ = learner.unsaved_replays()
    assert replays.loc[replays["trade_id"] == 2, ["state", "reason"]].to_numpy().tolist() == [["left_out", "leverage outside the bins"]]
    assert (learner.cells(), touched) == (cells, set())


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


@pytest.mark.parametrize(
    ("pair", "first", "last", "share"),
    [
        (PAIRS[0], -8, 4_000, 0.0),
        (PAIRS[0], -8, 165, 0.5),  # the horizons of five of the ten trades end after the last known rate
        (PAIRS[0], 151, 4_000, 0.5),  # five were entered before the first one
        (PAIRS[0], 0, -8, 1.0),  # none is known
        ("AAA/USDT", 0, -8, 0.0),  # spot has no funding
    ],
)
def test_funding_missing_share_given_known_rates_then_counts_the_replayed_trades_beyond_them(
    pair: str, first: int, last: int, share: float
) -> None:
    times = pd.date_range(START + timedelta(hours=first), START + timedelta(hours=last), freq="8h").as_unit("us")
    funding = pd.DataFrame({"time": pd.Series(times), "funding_rate": np.full(len(times), 1e-4)})
    learner = ParameterLearner(LearningSettings())
    learner.ingest(pd.DataFrame([trade_row(k, opened=START + timedelta(hours=102 + 10 * k), pair=pair) for k in range(10)]))
    learner.ingest(pd.DataFrame([trade_row(99, opened=START + timedelta(hours=102), pair="ZZZ/USDT:USDT")]))
    learner.add_candles(pair, candle_frame(seed=0), funding)
    learner.replay_due(now=NOW)

    assert learner.funding_missing_share() == pytest.approx(share)


def test_rows_of_a_cell_given_any_order_of_arrival_then_are_by_entry() -> None:
    trades = pd.DataFrame([trade_row(k, opened=START + timedelta(days=5, hours=h)) for k, h in enumerate((7, 1, 4))])

    table = learner_with(trades).table

    assert table.fact("open_us")[table.rows((PAIRS[0], "long", "2.0-3.5"))].tolist() == sorted(table.fact("open_us").tolist())


def test_sigma_of_a_trade_is_that_of_the_close_before_its_entry_candle() -> None:
    trades = many_trades(40)
    closes = {pair: candle_frame(seed=place) for place, pair in enumerate(PAIRS)}

    sigma = learner_with(trades).table.fact("sigma")

    for trade, found in zip(trades.to_dict("records"), sigma.tolist(), strict=True):
        frame = closes[trade["pair"]]
        closed = frame["close"][frame["open_time"] + pd.Timedelta(minutes=5) <= trade["open_date"]].to_numpy(dtype=np.float64)
        around = expected_sigma(frame["close"].to_numpy(dtype=np.float64), horizon_candles=288)[len(closed) - 2 : len(closed) + 1]
        assert found == expected_sigma(closed, horizon_candles=288)[-1]
        assert len(set(around.tolist())) == 3


STATES_OF_A_TRADE = st.tuples(
    st.integers(1, 3), st.sampled_from([0, 0, 0, 1]), st.booleans(), st.sampled_from(["roi", "roi", "roi", "force_exit"]), st.booleans()
)
"""Trade id, pair, is short, exit reason, and whether more states of trades arrive before the learner takes them in."""


def state_row(trade_id: int, pair: int, is_short: bool, exit_reason: str) -> dict[str, object]:
    # All enter at one candle, so that whoever has the same pair and direction shares a signal.
    opened = START + timedelta(days=5, seconds=10 * trade_id)
    return trade_row(trade_id, opened=opened, pair=PAIRS[pair], bot=f"BOT{trade_id % 3 + 1}", is_short=is_short, exit_reason=exit_reason)


@settings(max_examples=100, deadline=None)
@given(arrivals=st.lists(STATES_OF_A_TRADE, min_size=4, max_size=12))
def test_ingest_given_trades_and_their_corrections_in_any_order_then_ends_as_if_only_the_last_had_arrived(
    arrivals: list[tuple[int, int, bool, str, bool]],
) -> None:
    learner, waiting = ParameterLearner(LearningSettings()), []
    for *state, is_more in arrivals:
        waiting.append(state_row(*state))
        if not is_more:
            learner.ingest(pd.DataFrame(waiting))
            waiting = []
    if waiting:
        learner.ingest(pd.DataFrame(waiting))
    last = {state[0]: state_row(*state[:4]) for state in arrivals}

    cold = ParameterLearner(LearningSettings())
    cold.ingest(pd.DataFrame([last[trade_id] for trade_id in sorted(last)]))

    assert states_of(learner) == states_of(cold)


def states_of(learner: ParameterLearner) -> list[tuple[object, ...]]:
    columns = ["bot", "trade_id", "pair", "direction", "state", "reason"]
    return sorted(learner.unsaved_replays()[0][columns].itertuples(index=False, name=None))


def test_ingest_given_the_direction_of_a_trade_was_corrected_then_its_twin_stands_for_the_signal() -> None:
    opened = START + timedelta(days=5)
    learner = learner_with(pd.DataFrame([trade_row(1, opened=opened, bot="BOT1"), trade_row(2, opened=opened, bot="BOT3")]))

    touched = learner.ingest(pd.DataFrame([trade_row(1, opened=opened, bot="BOT1", is_short=True)]))
    learner.replay_due(now=NOW)

    assert states_of(learner) == [
        ("BOT1", 1, PAIRS[0], "short", "complete", ""),
        ("BOT3", 2, PAIRS[0], "long", "complete", ""),
    ]
    assert {group[1] for group in touched} == {"long", "short"}


def test_ingest_known_given_a_close_was_corrected_while_it_was_held_back_then_the_correction_stays() -> None:
    opened = START + timedelta(days=5)
    late = trade_row(1, opened=opened, close_profit=0.5) | {"close_date": pd.Timestamp(NOW + timedelta(hours=1))}
    learner = ParameterLearner(LearningSettings())
    learner.ingest_known(pd.DataFrame([late]), now=NOW)

    learner.ingest_known(pd.DataFrame([trade_row(1, opened=opened, close_profit=0.01)]), now=NOW)
    learner.ingest_known(pd.DataFrame(), now=NOW + timedelta(hours=2))

    assert learner.table.fact("close_profit").tolist() == [0.01]
