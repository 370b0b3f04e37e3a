"""Which trades are observations, and what is said of those that are not."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.groups import left_out_reason
from bot3.learning.params import LearningSettings, ParameterLearner
from bot3.market.volatility import expected_sigma
from bot3.trading.leverage_bins import ABOVE_BINS
from tests.learning.worlds import NOW, PAIRS, START, candle_frame, learner_with, many_trades, trade_row


@pytest.mark.parametrize("reason", ["force_exit", "emergency_exit", "liquidation", "sold_on_exchange"])
def test_left_out_reason_given_a_hand_ended_it_then_names_it(reason: str) -> None:
    assert left_out_reason({"exit_reason": reason}) == f"ended by {reason}"


def test_left_out_reason_given_several_fills_then_says_how_many() -> None:
    assert left_out_reason({"exit_reason": "roi", "entries": 3, "exits": 2}) == "in parts: 3 entries, 2 exits"
    assert left_out_reason({"exit_reason": "roi", "entries": 1, "exits": 1}) is None


def test_replays_given_a_trade_in_parts_then_is_left_out_and_told() -> None:
    trades = pd.DataFrame([trade_row(1, opened=START + timedelta(days=5))]).assign(entries=2, exits=1)

    replays, _ = learner_with(trades).unsaved_replays()

    assert replays[["state", "reason"]].to_numpy().tolist() == [["left_out", "in parts: 2 entries"]]


def test_replays_given_leverage_above_the_bins_then_is_left_out_and_touches_no_group() -> None:
    high = {"leverage": 20.0, "leverage_bin": ABOVE_BINS}
    learner = learner_with(pd.DataFrame([trade_row(1, opened=START + timedelta(days=5))]))
    cells, before = learner.cells(), set(learner.touched)

    learner.ingest(pd.DataFrame([trade_row(2, opened=START + timedelta(days=6)) | high]))
    learner.replay_due(now=NOW)

    replays, _ = learner.unsaved_replays()
    assert replays.loc[replays["trade_id"] == 2, ["state", "reason"]].to_numpy().tolist() == [["left_out", "leverage above 10"]]
    assert (learner.cells(), learner.touched) == (cells, before)


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
