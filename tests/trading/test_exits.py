"""Where a trade ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import LearningError
from bot3.market.regimes import Regime
from bot3.trading.exit_rules import ExitRule
from bot3.trading.exits import ExitLevels, decide_exit, learned_levels, static_levels
from bot3.trading.matching import OpenPath, match_trade
from bot3.trading.trades import ExitReason
from bot3.trading.units import profit_of_move
from tests.learned import a_row, a_set
from tests.markets import CANDLE, COSTS, FIRST, NOON, a_profile, arrays, random_candles

RULE = ExitRule(giveback_activation_move=0.02, giveback_share=0.5, expires_at=NOON)


@pytest.mark.parametrize("is_short", [False, True])
def test_static_levels_given_a_profile_then_are_3_percent_of_the_stake_and_of_no_version(is_short: bool) -> None:
    levels = static_levels(profile=a_profile(), leverage=10.0, is_short=is_short, costs=COSTS)

    side = -1.0 if is_short else 1.0
    assert levels.stop_move == pytest.approx(-0.003)
    assert levels.take_profit_move == pytest.approx(side * ((1.0 + side * 0.0005) * (1.0 + side * 0.003) / (1.0 - side * 0.0005) - 1.0))
    assert (levels.source, levels.version) == ("static", None)


@pytest.mark.parametrize("is_short", [False, True])
def test_learned_levels_given_a_regime_then_are_its_factors_times_sigma(is_short: bool) -> None:
    parameters = a_set("p1", regime_factors={Regime.VOLATILE: (1.5, 0.5)})
    row = replace(a_row(stop_sigma=-1.0, take_profit_sigma=2.0), version="p1")

    levels = learned_levels(row, parameters=parameters, regime=Regime.VOLATILE, sigma=0.02, is_short=is_short)

    assert levels == ExitLevels(stop_move=-0.03, take_profit_move=0.02, source="*|*|*", version="p1")


def test_learned_levels_given_a_regime_without_factors_then_are_refused() -> None:
    with pytest.raises(LearningError, match="no factors for the regime"):
        learned_levels(a_row(), parameters=a_set("p1", regime_factors={}), regime=Regime.SIDEWAYS, sigma=0.02, is_short=False)


@pytest.mark.parametrize(
    ("best", "close", "at", "reason"),
    [
        (102.0, 101.0, NOON - CANDLE, ExitReason.GIVEBACK),
        (102.0, 101.1, NOON - CANDLE, None),
        (101.9, 99.0, NOON - CANDLE, None),
        (101.0, 100.9, NOON, ExitReason.TIME_EXIT),
        (102.0, 100.0, NOON, ExitReason.GIVEBACK),
    ],
)
def test_decide_exit_given_a_close_then_says_whether_and_why(best: float, close: float, at: datetime, reason: ExitReason | None) -> None:
    decided = decide_exit(RULE, is_short=False, open_rate=100.0, best_rate=best, close_rate=close, candle_close_time=at)

    assert decided is reason


@given(leverage=st.floats(1.0, 10.0), is_short=st.booleans())
def test_static_levels_given_a_leverage_then_the_target_is_a_profit_after_fees_and_the_stop_a_distance_before(
    leverage: float, is_short: bool
) -> None:
    levels = static_levels(profile=a_profile(), leverage=leverage, is_short=is_short, costs=COSTS)

    earned = profit_of_move(levels.take_profit_move, leverage=leverage, is_short=is_short, fee_open=0.0005, fee_close=0.0005)
    assert earned == pytest.approx(0.03)
    assert levels.stop_move * leverage == pytest.approx(-0.03)


def test_learned_levels_given_a_wild_pair_then_a_shorts_target_stays_above_zero() -> None:
    parameters = a_set("p1", regime_factors=dict.fromkeys(Regime, (1.0, 1.0)))

    short, long = (
        learned_levels(a_row(take_profit_sigma=6.0), parameters=parameters, regime=Regime.SIDEWAYS, sigma=0.5, is_short=is_short)
        for is_short in (True, False)
    )

    assert (short.take_profit_move, long.take_profit_move) == (0.99, 3.0)


@given(seed=st.integers(0, 10_000), is_short=st.booleans())
def test_decide_exit_given_every_close_of_a_path_then_agrees_with_the_matching(seed: int, is_short: bool) -> None:
    candles = arrays(random_candles(seed, candles=60))
    path = OpenPath(
        entry=0,
        is_short=is_short,
        leverage=1.0,
        open_rate=100.0,
        stop_rate=1e9 if is_short else 1e-9,
        take_profit_rate=1e-9 if is_short else 1e9,
        maintenance_margin_ratio=0.0,
        rule=replace(RULE, giveback_activation_move=0.01, expires_at=FIRST + 40 * CANDLE),
        break_even_rate=100.0,
    )

    found = match_trade(candles, path, costs=COSTS, candle_us=CANDLE // timedelta(microseconds=1))

    closes = range(len(candles))
    best = [min(100.0, candles.low[: i + 1].min()) if is_short else max(100.0, candles.high[: i + 1].max()) for i in closes]
    decided = [
        decide_exit(
            path.rule,
            is_short=is_short,
            open_rate=100.0,
            best_rate=float(best[i]),
            close_rate=float(candles.close[i]),
            candle_close_time=FIRST + (i + 1) * CANDLE,
        )
        for i in closes
    ]
    first = next(i for i in closes if decided[i] is not None)
    assert found is not None
    assert (found.index, found.reason) == (first + 1, decided[first])
