"""Which trades are observations, and what is said of those that are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.learning.replay.censoring import CloseCounts
from bot3.learning.replay.groups import OUTSIDE_CANDLES, SEVERAL_ORDERS, Group
from bot3.learning.replay.paths import ReplayCandles
from bot3.learning.replay.replay_frame import STATE_NAMES, ReplayFrame, ReplayState
from bot3.learning.replay.trade_table import TradeTable
from bot3.market.instants import instant_us
from bot3.market.volatility import expected_sigma
from bot3.trading.leverage_bins import DEFAULT_BINS
from tests.learning.worlds import NOW, PAIRS, START, candle_frame, learner_with, many_trades, trade_row
from tests.markets import arrays
from tests.markets import random_candles as random_walk


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


FRAME = ReplayFrame(horizon_candles=20, candle_us=300_000_000)
STEP = timedelta(minutes=5)
WALK = random_walk(1, candles=400, first=START)


def replayed(
    opened: timedelta, *, candles: int = 400, without: slice = slice(0), now: timedelta = timedelta(days=9), pair: str = PAIRS[0]
) -> TradeTable:
    """Return a table with one trade, replayed on the first candles of a walk without some of them."""
    frame = WALK.iloc[:candles].drop(index=WALK.index[without]).reset_index(drop=True)
    table = TradeTable(FRAME)
    table.ingest(pd.DataFrame([trade_row(1, opened=START + opened, pair=pair)]))
    replay(table, frame, now=now)
    return table


def replay(table: TradeTable, frame: pd.DataFrame, *, now: timedelta) -> set[Group]:
    candles = {PAIRS[0]: arrays(frame)} if len(frame) else {}
    walked = {pair: ReplayCandles.of(own) for pair, own in candles.items()}
    return table.replay_due(candles, walked, now_us=instant_us(START + now))


def state_of(table: TradeTable) -> tuple[str, str]:
    return STATE_NAMES[ReplayState(int(table.fact("state")[0]))], table.reasons[0]


NO_START = ("no_candles", "no candles before and at the entry")
NO_END = ("no_candles", "candles end before the horizon")
DUE = 300 * STEP + 21 * STEP


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"opened": 288 * STEP}, ("complete", "")),
        ({"opened": 288 * STEP - timedelta(seconds=1)}, NO_START),  # fewer candles than the warm-up
        ({"opened": 11 * STEP - timedelta(seconds=1), "candles": 11, "now": 12 * STEP}, NO_START),  # in the last candle
        ({"opened": 11 * STEP, "candles": 11, "now": 12 * STEP}, ("pending", "")),  # after it
        ({"opened": 300 * STEP, "now": DUE}, ("complete", "")),
        ({"opened": 300 * STEP, "now": DUE - timedelta(seconds=1)}, ("pending", "")),
        ({"opened": 300 * STEP, "candles": 321, "now": DUE}, ("complete", "")),
        ({"opened": 300 * STEP, "candles": 320, "now": DUE}, ("pending", "")),
        ({"opened": 300 * STEP, "candles": 320, "now": DUE + timedelta(days=1)}, NO_END),
        ({"opened": 300 * STEP, "candles": 320, "now": DUE + timedelta(days=1, seconds=-1)}, ("pending", "")),
        ({"opened": 300 * STEP, "candles": 300, "now": DUE}, ("pending", "")),  # an entry after the last candle
        ({"opened": 300 * STEP, "candles": 300, "now": DUE + timedelta(days=1)}, NO_END),
        ({"opened": 300 * STEP, "candles": 301, "now": DUE}, ("pending", "")),
        ({"opened": 300 * STEP, "without": slice(300, 301)}, NO_START),
        ({"opened": 300 * STEP, "without": slice(301, 303)}, ("complete", "")),
        ({"opened": 300 * STEP, "without": slice(301, 304)}, ("no_candles", "too many candles of the horizon are missing")),
        ({"opened": 300 * STEP, "candles": 0}, ("no_candles", f"no candles of {PAIRS[0]}")),
    ],
)
def test_replay_due_given_the_candles_of_a_trade_then_is_complete_pending_or_without_candles(
    given: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert state_of(replayed(**given)) == expected


@pytest.mark.parametrize(
    ("candles", "now", "unchecked"),
    [
        (400, DUE, set()),
        (300, DUE, {0}),
        (0, DUE + timedelta(days=1, seconds=-1), {0}),
        (0, DUE + timedelta(days=1), set()),
    ],
)
def test_replay_due_given_an_entry_without_orders_then_is_checked_once_its_candle_is_there_or_overdue(
    candles: int, now: timedelta, unchecked: set[int]
) -> None:
    table = TradeTable(FRAME)
    table.ingest(pd.DataFrame([trade_row(1, opened=START + 300 * STEP) | {"order_pattern": "unknown"}]))
    before = set(table.unchecked)

    replay(table, WALK.iloc[:candles], now=now)

    assert (before, table.unchecked) == ({0}, unchecked)


def test_replay_due_given_a_trade_then_its_path_is_the_horizon_after_its_candle() -> None:
    table = replayed(300 * STEP + timedelta(seconds=299), without=slice(310, 312))

    found = {name: int(table.fact(name)[0]) for name in ("entry", "end", "candles")}
    assert found == {"entry": 300, "end": 319, "candles": 18}
    moves = WALK["close"].iloc[320] / 100.0 - 1.0
    assert table.fact("exit_move")[0] == pytest.approx(moves, rel=1e-5)


@pytest.mark.parametrize(("candle_us", "candles"), [(60_000_000, 21), (120_000_000, 20)])
def test_replay_due_given_candles_of_a_minute_then_the_path_begins_with_the_entrys_own(candle_us: int, candles: int) -> None:
    table = TradeTable(ReplayFrame(horizon_candles=20, candle_us=candle_us))
    made = arrays(WALK)
    made = replace(made, open_us=instant_us(START) + np.arange(400) * candle_us)
    opened = START + timedelta(microseconds=300 * candle_us + 7)
    table.ingest(pd.DataFrame([trade_row(1, opened=opened)]))

    table.replay_due({PAIRS[0]: made}, {PAIRS[0]: ReplayCandles.of(made)}, now_us=instant_us(START + timedelta(days=9)))

    assert (table.has_entry_candle, int(table.fact("candles")[0])) == (candles == 21, candles)


def test_replay_due_given_no_volatility_at_the_entry_then_has_no_candles_to_learn_from() -> None:
    flat = WALK.assign(**dict.fromkeys(("open", "high", "low", "close"), 100.0))
    table = TradeTable(FRAME)
    table.ingest(pd.DataFrame([trade_row(1, opened=START + 300 * STEP)]))

    replay(table, flat, now=timedelta(days=9))

    assert state_of(table) == NO_START


def test_replay_due_given_a_pair_without_candles_then_is_tried_again_after_an_hour_and_replayed_once_they_are_there() -> None:
    table = replayed(300 * STEP, candles=0)
    tried = instant_us(START + timedelta(days=9))

    assert table.pairs_to_retry(now_us=tried + 3_599_999_999) == set()
    assert table.pairs_to_retry(now_us=tried + 3_600_000_000) == {PAIRS[0]}
    replay(table, WALK.iloc[:0], now=timedelta(days=9, hours=1))
    assert table.pairs_to_retry(now_us=tried + 3_600_000_000) == set()
    touched = replay(table, WALK, now=timedelta(days=9, hours=1))

    assert (state_of(table), touched) == (("complete", ""), {(PAIRS[0], "long", "2.0-3.5")})
    assert table.pairs_to_retry(now_us=tried + 10 * 3_600_000_000) == set()


def test_unsaved_rows_given_states_and_funding_then_are_those_that_the_record_has_not() -> None:
    table = replayed(300 * STEP)
    replays = pd.DataFrame(
        {
            "bot": ["BOT1"], "run_mode": ["paper"], "trade_id": [1], "version": ["x1"], "state": ["complete"],
            "open_date": pd.Series([START + 300 * STEP], dtype="datetime64[us, UTC]"), "funding_move": [0.0],
        }
    )  # fmt: skip

    unsaved = [table.unsaved_rows().tolist()]
    for funding, version, state in ((0.0, "x2", "complete"), (2e-9, "x1", "complete"), (1e-9, "x1", "complete"), (0.0, "x1", "pending")):
        table.mark_saved(replays.assign(funding_move=funding, state=state), version=version)
        unsaved.append(table.unsaved_rows().tolist())
    table.confirm_saved(np.array([0]))

    assert unsaved == [[0], [0], [0], [], [0]]
    assert table.unsaved_rows().tolist() == []
    table.mark_saved(replays.assign(trade_id=99), version="x1")


def test_horizons_given_a_pair_then_are_the_spans_of_its_replayed_trades() -> None:
    table = replayed(300 * STEP)
    opened = instant_us(START + 300 * STEP)

    assert [found.tolist() for found in table.horizons(PAIRS[0])] == [[0], [opened], [opened + 20 * 300_000_000]]
    assert [found.tolist() for found in table.horizons(PAIRS[1])] == [[], [], []]
    table.replay_again(np.array([0]))
    assert (state_of(table), table.horizons(PAIRS[0])[0].tolist()) == (("pending", ""), [])
    replay(table, WALK, now=timedelta(days=9))
    assert state_of(table) == ("complete", "")


@pytest.mark.parametrize(("horizon", "candles"), [("8h", 96), ("24h", 288), ("3d", 864), (None, 20), ("?", 20)])
def test_replay_due_given_a_trade_with_a_horizon_then_its_path_and_volatility_are_those_of_the_horizon(
    horizon: str | None, candles: int
) -> None:
    walk = random_walk(1, candles=1_300, first=START)
    table = TradeTable(FRAME)
    table.ingest(pd.DataFrame([trade_row(1, opened=START + 300 * STEP) | {"horizon": horizon}]))

    replay(table, walk, now=(300 + candles + 1) * STEP - timedelta(seconds=1))
    early = state_of(table)
    replay(table, walk, now=(300 + candles + 1) * STEP)

    assert (early, state_of(table)) == (("pending", ""), ("complete", ""))
    assert (int(table.fact("candles")[0]), table.days(np.array([0]))) == (candles, max(1, -(-candles // 288)))
    assert table.fact("sigma")[0] == pytest.approx(arrays(walk).sigma[299] * (candles / 20) ** 0.5)
    assert [found.tolist()[0] for found in table.horizons(PAIRS[0])[1:]] == [instant_us(START + n * STEP) for n in (300, 300 + candles)]


def test_rows_given_entries_at_one_instant_then_are_by_bot_and_id() -> None:
    table = TradeTable(FRAME)
    keys = [("BOT2", 1), ("BOT1", 9), ("BOT1", 2)]
    table.ingest(pd.DataFrame([trade_row(number, opened=START, bot=bot) for bot, number in keys]))

    assert table.rows((PAIRS[0], "long", "2.0-3.5")).tolist() == [2, 1, 0]
    assert table.by_entry(np.array([0, 1, 2])).tolist() == [2, 1, 0]
    assert table.rows((PAIRS[1], "long", "2.0-3.5")).tolist() == []
    assert (len(table), table.ingest(pd.DataFrame())) == (3, set())


def test_ingest_given_more_trades_than_there_is_room_for_then_keeps_all() -> None:
    table, ends = TradeTable(FRAME), [0, 1_500, 1_510, 4_600]
    for start, end in pairwise(ends):
        table.ingest(pd.DataFrame([trade_row(number, opened=START + number * STEP) for number in range(start, end)]))

    assert len(table) == 4_600
    assert ((table.fact("open_us") - instant_us(START)) // 300_000_000).tolist() == list(range(4_600))


def test_elect_given_a_signal_then_the_earliest_represents_it_and_the_others_name_it() -> None:
    table = TradeTable(FRAME)
    late, first = (trade_row(number, opened=START + 300 * STEP + timedelta(seconds=number), bot="BOT3") for number in (9, 4))
    other = trade_row(5, opened=START + 301 * STEP, bot="BOT3")

    touched = table.ingest(pd.DataFrame([late, first, other]))

    assert table.reasons == ["same signal as BOT3 trade 4", "", ""]
    assert table.fact("state").tolist() == [3, 0, 0]
    assert (touched, table.pending) == ({(PAIRS[0], "long", "2.0-3.5")}, {1, 2})
    assert table.count_closes(np.arange(3)) == CloseCounts(closed=3, left_out=0, late=0)
