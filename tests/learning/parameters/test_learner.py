from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import LearningError
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.learning.promotion.permissions import Permission
from bot3.learning.replay.groups import group_of_key
from bot3.learning.validity import problems_of
from bot3.market.regimes import Regime
from bot3.trading.exit_rules import NO_RULES, ExitRules
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.units import stop_inside_liquidation
from tests.learned import a_row, a_set
from tests.learning.worlds import NOW, PAIRS, START, candle_frame, funding_frame, learner_with, many_trades, trade_row

WHEN: dict[str, Any] = {"now": NOW, "computed_at": NOW, "life": timedelta(days=7), "revision": 1}


def touched_and_everything(trades: pd.DataFrame) -> tuple[dict[str, ExitParameters], Mapping[str, ExitParameters]]:
    """Return the rows that trades after the first 120 change, and the same rows of a learner that learns from all at equal fits."""
    learner = learner_with(trades.iloc[:120])
    learner.learn_all(**WHEN)
    changed = learner.ingest(trades.iloc[120:]) | learner.replay_due(now=NOW)

    touched = learner.learn_touched(changed, **WHEN)

    everything = learner_with(trades, hyper=learner.hyper)
    expected = everything.rows_of([group_of_key(key) for key in touched.rows], now=NOW, version=touched.version)
    return dict(touched.rows), expected


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), new=st.integers(1, 5))
def test_learn_touched_equals_learning_everything_at_equal_hyperparameters(seed: int, new: int) -> None:
    trades = many_trades(120 + new, seed=seed)
    rows, expected = touched_and_everything(trades)

    assert rows == expected


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_learn_all_does_not_depend_on_the_order_of_arrival(seed: int) -> None:
    trades = many_trades(80, seed=seed)

    forwards = learner_with(trades).learn_all(**WHEN)
    backwards = learner_with(trades.iloc[::-1]).learn_all(**WHEN)

    assert forwards == backwards


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), n=st.integers(0, 150))
def test_learn_all_keeps_every_row_within_its_bounds(seed: int, n: int) -> None:
    learner = learner_with(many_trades(n, seed=seed) if n else pd.DataFrame())

    rows = learner.learn_all(**WHEN).rows

    costs = learner.settings.costs
    for row in rows.values():
        assert -1.0 < row.stop_loss < 0.0
        assert row.take_profit_move > costs.round_trip
        assert row.take_profit_target > 0.0
        assert 0.0 <= row.own_share <= 1.0
        assert row.lower_bound <= row.expectancy <= row.upper_bound


def with_horizons(trades: pd.DataFrame, *, share: float = 0.5) -> pd.DataFrame:
    """Return trades of which a share has a horizon of 8 h, and the others of 24 h."""
    is_short_lived = np.random.default_rng(5).random(len(trades)) < share
    return trades.assign(horizon=np.where(is_short_lived, "8h", "24h"))


def test_learn_all_given_trades_of_two_horizons_then_each_has_rows_of_its_own_trades() -> None:
    trades = with_horizons(many_trades(150))
    learner = learner_with(trades)

    rows = learner.learn_all(**WHEN).rows

    counts = trades["horizon"].value_counts()
    assert (rows["*|*|*"].trades_count, rows["*|*|*@8h"].trades_count) == (counts["24h"], counts["8h"])
    assert rows["*|*|*@8h"].parent == "*|*|*"
    assert rows["*|*|*@8h"].sigma_ref / rows["*|*|*"].sigma_ref == pytest.approx((8 / 24) ** 0.5, rel=0.15)
    assert {row.horizon.value for row in rows.values()} == {"8h", "24h"}
    assert not any(problems_of(row) for row in rows.values())


def test_learn_touched_given_two_horizons_then_equals_learning_everything_at_equal_hyperparameters() -> None:
    trades = with_horizons(many_trades(124, seed=8))
    rows, expected = touched_and_everything(trades)

    assert rows == expected
    assert any("@8h" in key for key in expected)


def with_a_new_horizon(n: int = 120) -> pd.DataFrame:
    """Return trades of 24 h, and four of 7 d whose horizons have not passed."""
    days = [trade_row(n + k, opened=NOW - timedelta(days=4, hours=-7 * k)) for k in range(4)]
    return pd.concat([many_trades(n).assign(horizon="24h"), pd.DataFrame(days).assign(horizon="7d")], ignore_index=True)


def test_learn_all_given_no_replay_of_a_horizon_yet_then_its_deviation_is_of_the_volatility_over_it() -> None:
    learner = learner_with(with_a_new_horizon())

    rows = learner.learn_all(**WHEN).rows

    hyper = learner.hyper
    assert hyper is not None
    cell = rows[f"{PAIRS[0]}|long|2.0-3.5@7d"]
    assert (cell.trades_count, cell.replays_count) == (4, 0)
    assert cell.deviation_move is not None
    units = np.sqrt(hyper.spread.units)
    assert cell.sigma_ref > 2.0 * hyper.spread.sigma
    assert np.isclose(units * cell.sigma_ref, cell.deviation_move).any()


def test_learn_all_given_no_replay_of_a_horizon_yet_then_its_rows_may_not_trade_though_others_earn() -> None:
    learner, opened = ParameterLearner(LearningSettings()), frozenset({(PAIRS[0], "long")})
    frame = candle_frame(seed=0)
    for name in ("open", "high", "low", "close"):
        frame[name] *= np.exp(0.0005 * np.arange(len(frame)))
    learner.add_candles(PAIRS[0], frame, funding_frame())
    entries = [(place, "24h") for place in range(400, 400 + 60 * 80, 80)] + [(len(frame) - 288 * 4 + 80 * k, "7d") for k in range(4)]
    trades = [
        trade_row(number, opened=frame["open_time"][place] + timedelta(seconds=4), open_rate=frame["open"][place])
        for number, (place, _) in enumerate(entries)
    ]
    learner.ingest(pd.DataFrame(trades).assign(horizon=[horizon for _, horizon in entries]))
    learner.replay_due(now=NOW)

    rows = learner.learn_all(**WHEN, permission=Permission(opened=opened, day=20)).rows

    day, week = (rows[f"{PAIRS[0]}|long|2.0-3.5{at}"] for at in ("", "@7d"))
    assert (day.state.value, week.state.value) == ("trade", "probe")
    assert week.lower_bound > 0.0


def test_learn_all_given_no_trades_then_is_near_the_static_set() -> None:
    rows = learner_with(pd.DataFrame()).learn_all(**WHEN).rows

    assert rows["*|*|*"].parent == "static"
    assert rows["*|*|*"].stop_loss == pytest.approx(-0.03, rel=0.15)
    assert rows["*|*|*"].win_rate is None
    assert {row.state.value for row in rows.values()} == {"probe"}


def test_learn_all_given_fewer_trades_than_the_minimum_then_shows_the_parent() -> None:
    trades = pd.DataFrame([trade_row(k, opened=START + timedelta(days=3, hours=k)) for k in range(4)])

    row = learner_with(trades).learn_all(**WHEN).rows[f"{PAIRS[0]}|long|2.0-3.5"]

    assert row.own_share == 0.0
    assert row.parent == f"{PAIRS[0]}|long|*"
    assert row.trades_count == 4


def test_learn_all_given_the_future_changed_then_learns_the_same() -> None:
    trades = many_trades(100)
    now = START + timedelta(days=12)
    then = trades[trades["close_date"] <= pd.Timestamp(now)]
    when = WHEN | {"now": now}

    known_then = learner_with(then, now=now).learn_all(**when)
    all_candles = learner_with(then)
    state = all_candles.table.fact("open_us") + 86_700_000_000 <= int(now.timestamp() * 1e6)

    learner = learner_with(then, now=now)
    assert (learner.table.fact("state") == state).all()
    assert known_then == learner.learn_all(**when)


def test_learn_touched_given_nothing_learned_yet_then_says_so() -> None:
    with pytest.raises(LearningError, match="learn_all first"):
        ParameterLearner(LearningSettings()).learn_touched(set(), **WHEN)


def replay_states(trades: list[dict[str, object]]) -> dict[int, tuple[str, str]]:
    replays, _ = learner_with(pd.DataFrame(trades)).unsaved_replays()
    return {int(row["trade_id"]): (row["state"], row["reason"]) for row in replays.to_dict("records")}


def test_replays_given_one_signal_taken_by_several_bots_then_the_earliest_fill_stands_for_it() -> None:
    opened = START + timedelta(days=5)
    states = replay_states(
        [
            trade_row(1, opened=opened + timedelta(seconds=9), bot="BOT1"),
            trade_row(2, opened=opened + timedelta(seconds=4), bot="BOT3"),
        ]
    )

    assert states == {1: ("left_out", "same signal as BOT3 trade 2"), 2: ("complete", "")}


def test_replays_given_equal_fills_then_the_control_bot_stands_for_the_signal() -> None:
    opened = START + timedelta(days=5)

    states = replay_states([trade_row(1, opened=opened, bot="BOT3"), trade_row(2, opened=opened, bot="BOT1")])

    assert states[2][0] == "complete"


def test_replays_given_a_forced_exit_then_is_left_out_with_its_reason() -> None:
    states = replay_states([trade_row(1, opened=START + timedelta(days=5), exit_reason="force_exit")])

    assert states == {1: ("left_out", "ended by force_exit")}


def test_replays_given_no_candles_then_are_listed() -> None:
    states = replay_states([trade_row(1, opened=START + timedelta(days=5), pair="ZZZ/USDT:USDT")])

    assert states == {1: ("no_candles", "no candles of ZZZ/USDT:USDT")}


def test_replays_given_an_open_horizon_then_are_pending_until_due() -> None:
    opened = NOW - timedelta(hours=24)

    replays, _ = learner_with(pd.DataFrame([trade_row(1, opened=opened)])).unsaved_replays()

    assert replays["state"].tolist() == ["pending"]
    assert replays["due_at"].tolist() == [pd.Timestamp(opened + timedelta(hours=24, minutes=5))]
    assert replays["sigma"].notna().all()


def test_unsaved_replays_given_they_were_confirmed_then_none_is_left() -> None:
    learner = learner_with(many_trades(20))
    _, rows = learner.unsaved_replays()

    learner.confirm_saved(rows)

    assert learner.unsaved_replays()[0].empty


def test_learn_all_given_one_regime_then_keeps_its_factors_at_1() -> None:
    learner = learner_with(many_trades(150))
    regimes = pd.DataFrame({"known_at": pd.Series([pd.Timestamp(START)]).astype("datetime64[us, UTC]"), "regime": ["sideways"]})

    learned = learner.learn_all(**WHEN, regimes=regimes)

    assert learned.regime_factors == dict.fromkeys(Regime, (1.0, 1.0))


def test_version_given_other_content_then_differs() -> None:
    learned = learner_with(many_trades(30)).learn_all(**WHEN)
    again = learner_with(many_trades(31)).learn_all(**WHEN)

    assert learned.version != again.version
    assert isinstance(replace(learned), ParameterSet)


def test_refit_given_the_same_day_then_keeps_the_memory_and_on_another_chooses_anew() -> None:
    fitted = learner_with(many_trades(60))
    fitted.refit(now=NOW)
    assert fitted.hyper is not None
    learner = learner_with(many_trades(60), hyper=replace(fitted.hyper, half_life_days=10.0))

    learner.refit(now=NOW)
    same_day = learner.hyper
    learner.refit(now=NOW + timedelta(days=1))

    assert same_day is not None
    assert learner.hyper is not None
    assert (same_day.half_life_days, same_day.model.weights.tolist()) == (10.0, pytest.approx([0.125, 1.0]))
    assert learner.hyper.half_life_days is None
    assert learner.hyper.model.weights.tolist() == [1.0, 1.0]


def test_version_given_another_memory_then_differs_even_if_no_row_does() -> None:
    fitted = learner_with(pd.DataFrame())
    fitted.refit(now=NOW)
    assert fitted.hyper is not None
    learner = learner_with(pd.DataFrame(), hyper=replace(fitted.hyper, half_life_days=365.0))

    forgetful, endless = learner.learn_all(**WHEN), learner_with(pd.DataFrame()).learn_all(**WHEN)

    assert [replace(row, version="") for row in forgetful.rows.values()] == [replace(row, version="") for row in endless.rows.values()]
    assert forgetful.version != endless.version


def test_windows_given_a_group_then_tell_its_first_and_last_observation() -> None:
    opened = [START + timedelta(days=3, hours=k) for k in range(4)]
    learner = learner_with(pd.DataFrame([trade_row(k, opened=at) for k, at in enumerate([*opened, NOW - timedelta(hours=3)])]))
    rows = learner.learn_all(**WHEN).rows

    windows = learner.windows(rows)

    cell = f"{PAIRS[0]}|long|2.0-3.5"
    assert windows[cell] == windows["*|*|*"] == (opened[0], opened[-1])
    assert "*|*|7.5-10.0" not in windows


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_learn_all_publishes_no_stop_that_the_daemon_would_bring_nearer(seed: int) -> None:
    learner = learner_with(many_trades(150, seed=seed))

    rows = learner.learn_all(**WHEN).rows.values()

    maintenance = learner.settings.costs.maintenance_margin_ratio
    for row in rows:
        short = row.direction != "long"
        kept = stop_inside_liquidation(row.stop_move, leverage=row.leverage_ref, maintenance_margin_ratio=maintenance, is_short=short)
        assert kept == row.stop_move


@pytest.mark.parametrize(("rules", "move"), [(NO_RULES, 0.0), (ExitRules(giveback_activation_sigma=1.0, giveback_share=0.5), 0.04)])
def test_entered_on_given_a_rise_that_is_lost_again_then_nets_what_the_bots_rule_would_keep(rules: ExitRules, move: float) -> None:
    learner = ParameterLearner(LearningSettings(exit_rules=rules))
    candles = peak_frame(height=0.08)
    learner.add_candles(PAIRS[0], candles, funding_frame().iloc[:0])
    opened = candles["open_time"].iloc[PEAK_STARTS].to_pydatetime() + timedelta(seconds=4)
    learner.ingest(pd.DataFrame([trade_row(1, opened=opened, open_rate=100.0)]))
    learner.replay_due(now=NOW)

    entered = learner.entered_on(int(opened.timestamp()) // 86_400, published=a_set("v1", a_row(stop_sigma=-4.0, take_profit_sigma=6.0)))

    assert entered.net.tolist() == pytest.approx([move - learner.settings.costs.round_trip], abs=0.003)
    assert entered.worst.tolist() == pytest.approx(
        (4.5 * learner.table.fact("sigma") + learner.settings.costs.round_trip + learner.settings.costs.stop_slippage).tolist()
    )


PEAK_STARTS = 900


def peak_frame(*, height: float) -> pd.DataFrame:
    """Return candles that swing by 0.1 %, and once rise by `height` within 60 candles and fall back within 60."""
    frame = candle_frame(seed=0)
    n = len(frame)
    close = 100.0 * (1.0 + np.interp(np.arange(n), [PEAK_STARTS, PEAK_STARTS + 60, PEAK_STARTS + 120], [0.0, height, 0.0]))
    close += 0.05 * (-1.0) ** np.arange(n)
    opened = np.concatenate(([100.0], close[:-1]))
    return frame.assign(open=opened, close=close, high=np.maximum(opened, close), low=np.minimum(opened, close))


def test_replay_version_given_other_exit_rules_then_is_another() -> None:
    giveback = ExitRules(giveback_activation_sigma=1.0, giveback_share=0.5)
    rules = (NO_RULES, giveback, replace(giveback, giveback_share=0.4), replace(giveback, break_even_activation_sigma=1.0))

    assert len({LearningSettings(exit_rules=rule).digest for rule in rules}) == 4


@pytest.mark.parametrize("step", [1e-6, 1e-5, 2e-5, 4e-5, 1e-4])
def test_learn_all_given_a_pair_that_hardly_moves_then_publishes_no_row_that_readers_refuse(step: float) -> None:
    frame = candle_frame(seed=0)
    close = 1.0 + np.random.default_rng(1).integers(0, 2, len(frame)) * step
    opened = np.concatenate(([1.0], close[:-1]))
    flat = frame.assign(open=opened, close=close, high=np.maximum(opened, close), low=np.minimum(opened, close))
    entries = [START + timedelta(days=5, hours=3 * number, seconds=4) for number in range(8)]
    rows = [trade_row(number, opened=at, pair="USDC/USDT:USDT", open_rate=1.0, leverage=1.0) for number, at in enumerate(entries)]
    learner = learner_with(pd.DataFrame([trade_row(100 + number, opened=at) for number, at in enumerate(entries)]))
    learner.add_candles("USDC/USDT:USDT", flat, funding_frame())
    learner.ingest(pd.DataFrame(rows))
    learner.replay_due(now=NOW)

    learned = learner.learn_all(**WHEN)

    assert {key: problems_of(row) for key, row in learned.rows.items() if problems_of(row)} == {}
    assert f"{PAIRS[0]}|long|2.0-3.5" in learned.rows
    assert learned.find(pair="USDC/USDT:USDT", is_short=False, leverage_bin="1.0-2.0").take_profit_sigma > 0.0
