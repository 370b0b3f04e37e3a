"""The table of feeders, and the candles that their rules select."""

from __future__ import annotations

import numpy as np
import pytest

from bot3.errors import LearningError
from bot3.learning.feeders.candidates import candidates
from bot3.learning.feeders.rules import Rule, rule_rows
from bot3.learning.feeders.specs import FEEDERS, STOP_SIGMA, find_feeder
from bot3.market.feature_layouts import HOUR, LAYOUTS, SHORT_TIMEFRAME
from bot3.trading.horizons import Horizon
from bot3.trading.signals import FEEDER_IDS

LAYOUT = LAYOUTS[HOUR]


def row_of(**values: float) -> np.ndarray:
    row = np.zeros((1, len(LAYOUT.names)), dtype=np.float32)
    for name, value in ({"daily_sigma": 0.03, "above_high_20d": -1.0, "below_low_20d": -1.0} | values).items():
        row[0, LAYOUT.index(name)] = value
    return row


def test_feeders_given_the_table_then_are_ten_that_differ_on_two_timeframes_and_all_horizons() -> None:
    assert tuple(FEEDERS) == FEEDER_IDS
    assert len({(spec.rule, spec.horizon, spec.timeframe) for spec in FEEDERS.values()}) == 10
    assert {spec.timeframe for spec in FEEDERS.values()} == {SHORT_TIMEFRAME, HOUR}
    assert {spec.horizon for spec in FEEDERS.values()} == set(Horizon)
    assert {spec.rule for spec in FEEDERS.values()} == set(Rule)


@pytest.mark.parametrize(("feeder_id", "candles"), [("F01", 24), ("F04", 168), ("F08", 96)])
def test_barriers_given_a_feeder_then_end_at_its_horizon_with_a_wide_stop_and_no_target(feeder_id: str, candles: int) -> None:
    barriers = find_feeder(feeder_id).barriers

    assert (barriers.horizon_candles, barriers.stop_sigma, barriers.target_sigma) == (candles, STOP_SIGMA, np.inf)


def test_find_feeder_given_an_unknown_one_then_refuses() -> None:
    with pytest.raises(LearningError, match="F11"):
        find_feeder("F11")


@pytest.mark.parametrize(
    ("rule", "values", "long", "short"),
    [
        (Rule.BREAKOUT_20, {"above_high_20d": 0.1}, True, False),
        (Rule.BREAKOUT_20, {"below_low_20d": 0.1}, False, True),
        (Rule.BREAKOUT_20, {"above_high_20d": np.nan}, False, False),
        (Rule.TREND_28, {"trend_28d": 0.6}, True, False),
        (Rule.TREND_28, {"trend_28d": -0.6}, False, True),
        (Rule.TREND_28, {"trend_28d": 0.6, "hour_of_day": 1.0}, False, False),
        (Rule.CROSS_SECTION_7, {"rank_trend_7d": 0.4}, True, False),
        (Rule.CROSS_SECTION_7, {"rank_trend_7d": -0.4}, False, True),
        (Rule.CROSS_SECTION_7, {"rank_trend_7d": np.nan}, False, False),
        (Rule.VOLUME_SHOCK, {"volume_24h": 0.8, "move_24h": -1.2}, True, False),
        (Rule.VOLUME_SHOCK, {"volume_24h": 0.8, "move_24h": 1.2}, False, True),
        (Rule.VOLUME_SHOCK, {"volume_24h": 0.6, "move_24h": 1.2}, False, False),
        (Rule.NONE, {}, True, True),
        (Rule.NONE, {"daily_sigma": np.nan}, False, False),
    ],
)
def test_rule_rows_given_features_then_select_the_direction(rule: Rule, values: dict[str, float], long: bool, short: bool) -> None:
    row = row_of(**values)

    assert [bool(rule_rows(rule, row, LAYOUT, is_short=is_short)[0]) for is_short in (False, True)] == [long, short]


@pytest.mark.parametrize("feeder_id", FEEDER_IDS)
def test_rules_given_the_mirrored_market_then_select_the_other_direction(feeder_id: str) -> None:
    spec = find_feeder(feeder_id)
    rows = np.random.default_rng(1).standard_normal((500, len(spec.layout.names))).astype(np.float32)
    if "hour_of_day" in spec.layout.names:
        rows[:, spec.layout.index("hour_of_day")] = 0.0

    found = [rule_rows(spec.rule, made, spec.layout, is_short=s) for made, s in ((rows, True), (spec.layout.mirror.apply(rows), False))]

    assert np.array_equal(*found)
    assert found[0].any()


@pytest.mark.parametrize("is_short", [False, True])
def test_candidates_given_funding_then_its_cost_grows_with_the_horizon_for_the_side_that_pays(is_short: bool) -> None:
    spec = find_feeder("F04")
    row = row_of(above_high_40d=0.1, below_low_40d=0.1, funding_7d=3.0)

    made = candidates(spec, row, is_short=is_short, round_trip=0.0012)

    assert made.cost[0] == pytest.approx(0.0012 + (-1.0 if is_short else 1.0) * 3e-4 * 7.0)
    assert made.sigma[0] == pytest.approx(0.03 * np.sqrt(7.0))
