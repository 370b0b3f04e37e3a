"""What is recommended: open bins and their range, size, and the lists of feeders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.errors import LearningError
from bot3.learning.feeders.recommendations import recommend
from bot3.market.regimes import Regime
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ParameterState
from bot3.trading.recommendations import FeederScore, FeederTier, Recommendation
from bot3.trading.signals import FEEDER_IDS
from tests.journals import OPENED, minutes
from tests.learned import a_regime, a_row, a_score, a_set

SHADOW, PROBE, TRADE = FeederTier.SHADOW, FeederTier.PROBE, FeederTier.TRADE
NOW = minutes(10)
bin_names = st.sampled_from(DEFAULT_BINS.names)


CERTAIN = {"tier": TRADE, "confidence": 0.97}


def scored(changes: Mapping[str, Mapping[str, Any]] | None = None, *, regime: str = "*") -> list[FeederScore]:
    """Return a score of every feeder, alike but for what is given by feeder."""
    return [replace(a_score(feeder, regime=regime), **(changes or {}).get(feeder, {})) for feeder in FEEDER_IDS]


def recommended(
    scores: list[FeederScore] | None = None,
    *,
    shadow: tuple[str, ...] = (),
    bounds: Mapping[str, float] | None = None,
    regime: Regime = Regime.SIDEWAYS,
    names: tuple[str, ...] = DEFAULT_BINS.names,
) -> Recommendation:
    """Recommend on one row a name: `shadow` has those with evidence against them, `bounds` lower bounds by name."""
    rows = [
        a_row(
            leverage_bin=name,
            state=ParameterState.SHADOW if name in shadow else ParameterState.PROBE,
            lower_bound=(bounds or {}).get(name, -0.001),
        )
        for name in names
    ]
    return recommend(
        regime=a_regime(regime=regime),
        scores=scored() if scores is None else scores,
        parameters=a_set("p1", a_row(), *rows),
        bins=DEFAULT_BINS,
        now=NOW,
        computed_at=NOW,
        life=timedelta(minutes=30),
    )


@pytest.mark.parametrize(
    ("shadow", "open_bins", "leverage_range"),
    [
        ((), DEFAULT_BINS.names, (1.0, 10.0)),
        (DEFAULT_BINS.names[1:], ("1.0-2.0",), (1.0, 1.99)),
        (DEFAULT_BINS.names[2:], ("1.0-2.0", "2.0-3.5"), (1.0, 3.49)),
        (("1.0-2.0", "5.0-7.5", "7.5-10.0"), ("2.0-3.5", "3.5-5.0"), (2.0, 4.99)),
        (DEFAULT_BINS.names[:4], ("7.5-10.0",), (7.5, 10.0)),
    ],
)
def test_recommend_given_bins_with_evidence_against_them_then_opens_the_others_and_the_range_ends_inside_them(
    shadow: tuple[str, ...], open_bins: tuple[str, ...], leverage_range: tuple[float, float]
) -> None:
    made = recommended(shadow=shadow)

    assert (made.open_bins, made.suggested_leverage_range) == (open_bins, leverage_range)


@pytest.mark.parametrize(
    ("bounds", "leverage_range"),
    [
        ({}, (1.0, 3.49)),
        ({"5.0-7.5": 0.001}, (5.0, 10.0)),
        ({"2.0-3.5": 0.002, "7.5-10.0": 0.001}, (1.0, 3.49)),
        ({"1.0-2.0": -0.005, "2.0-3.5": -0.005, "7.5-10.0": -0.003, "5.0-7.5": -0.003}, (5.0, 10.0)),
    ],
)
def test_recommend_given_a_hole_between_open_bins_then_the_range_is_the_run_of_the_highest_lower_bound(
    bounds: Mapping[str, float], leverage_range: tuple[float, float]
) -> None:
    made = recommended(shadow=("3.5-5.0",), bounds=bounds)

    assert made.open_bins == ("1.0-2.0", "2.0-3.5", "5.0-7.5", "7.5-10.0")
    assert made.suggested_leverage_range == leverage_range


@pytest.mark.parametrize(
    ("bounds", "open_bins", "leverage_range"),
    [({}, ("1.0-2.0",), (1.0, 1.99)), ({"3.5-5.0": -0.0005}, ("3.5-5.0",), (3.5, 4.99))],
)
def test_recommend_given_evidence_against_every_bin_then_opens_the_one_of_the_highest_lower_bound(
    bounds: Mapping[str, float], open_bins: tuple[str, ...], leverage_range: tuple[float, float]
) -> None:
    made = recommended(shadow=DEFAULT_BINS.names, bounds=bounds)

    assert (made.open_bins, made.suggested_leverage_range) == (open_bins, leverage_range)


@given(shadow=st.sets(bin_names), bounds=st.dictionaries(bin_names, st.floats(-0.01, 0.0)))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be loaded
def test_recommend_given_any_bins_then_every_hundredth_of_the_range_lies_in_an_open_bin(
    shadow: set[str], bounds: Mapping[str, float]
) -> None:
    made = recommended(shadow=tuple(shadow), bounds=bounds)

    low, high = made.suggested_leverage_range
    inside = {DEFAULT_BINS.name_of(count / 100) for count in range(round(low * 100), round(high * 100) + 1)}
    assert inside <= set(made.open_bins)
    assert made.open_bins == tuple(name for name in DEFAULT_BINS.names if name in made.open_bins)


def test_recommend_given_evidence_against_a_bin_at_one_horizon_then_stays_open_unless_it_is_against_all() -> None:
    names = (*DEFAULT_BINS.names, "1.0-2.0@7d", "2.0-3.5@8h", "2.0-3.5@7d")

    made = recommended(shadow=("1.0-2.0", "2.0-3.5", "2.0-3.5@8h", "2.0-3.5@7d"), bounds={"1.0-2.0@7d": 0.002}, names=names)

    assert made.open_bins == ("1.0-2.0", "3.5-5.0", "5.0-7.5", "7.5-10.0")
    assert made.suggested_leverage_range == (1.0, 1.99)  # the run of the highest lower bound


def test_recommend_given_no_row_by_bin_then_says_so() -> None:
    with pytest.raises(LearningError, match="contain no row by bin"):
        recommend(
            regime=a_regime(),
            scores=scored(),
            parameters=a_set("p1"),
            bins=DEFAULT_BINS,
            now=NOW,
            computed_at=NOW,
            life=timedelta(minutes=30),
        )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1.0),
        ({"F01": {"n": 5}}, 1.0),
        ({feeder: {"confidence": 0.3} for feeder in FEEDER_IDS}, 0.6),
        ({feeder: {"confidence": 0.05} for feeder in FEEDER_IDS}, 0.25),
        ({**{feeder: {"confidence": 0.1} for feeder in FEEDER_IDS}, "F04": {"confidence": 0.4}}, 0.8),
        ({"F02": {"tier": TRADE, "confidence": 0.95}}, 1.0),
        ({"F02": {"tier": TRADE, "confidence": 0.96}, "F03": {"tier": TRADE, "confidence": 0.98}}, 1.3),
        ({"F02": {"tier": TRADE, "confidence": 0.96}, "F03": {"tier": PROBE, "confidence": 0.99}}, 1.1),
        ({"F02": {"tier": TRADE, "confidence": 1.0}}, 1.5),
        ({"F02": {"tier": TRADE, "confidence": 0.5}}, 0.25),
        ({"F02": {"tier": TRADE, "confidence": 0.96}, "F03": {"tier": SHADOW, "confidence": 0.05}}, 1.1),
    ],
)
def test_recommend_given_scores_then_the_multiplier_follows_the_most_certain_feeder(
    changes: Mapping[str, Mapping[str, Any]], expected: float
) -> None:
    assert recommended(scored(changes)).suggested_position_size_multiplier == pytest.approx(expected)


def test_recommend_given_no_shadow_trade_at_all_then_the_multiplier_is_one_whatever_the_prior_says() -> None:
    nothing = scored({feeder: {"n": 0, "confidence": 0.1} for feeder in FEEDER_IDS})

    assert recommended(nothing).suggested_position_size_multiplier == 1.0


@given(
    tiers=st.lists(st.sampled_from(list(FeederTier)), min_size=10, max_size=10),
    confidences=st.lists(st.floats(0.0, 1.0), min_size=10, max_size=10),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be loaded
def test_recommend_given_any_scores_then_the_multiplier_stays_within_its_bounds(tiers: list[FeederTier], confidences: list[float]) -> None:
    changes = {feeder: {"tier": tier, "confidence": sure} for feeder, tier, sure in zip(FEEDER_IDS, tiers, confidences, strict=True)}

    assert 0.25 <= recommended(scored(changes)).suggested_position_size_multiplier <= 1.5


def test_recommend_given_feeders_that_trade_then_they_alone_are_on_top_best_first() -> None:
    changes = {
        "F07": CERTAIN | {"expectancy": 0.001},
        "F02": CERTAIN | {"expectancy": 0.002},
        "F05": {"tier": PROBE, "expectancy": 0.009},
        "F09": {"tier": SHADOW, "expectancy": -0.002},
        "F10": {"tier": SHADOW, "expectancy": -0.001},
    }

    made = recommended(scored(changes))

    assert (made.top_feeders, made.avoid_feeders) == ((2, 7), (10, 9))
    assert made.top_tier is TRADE
    assert made.tiers == {feeder: changes.get(feeder, {}).get("tier", PROBE) for feeder in FEEDER_IDS}


def test_recommend_given_open_directions_then_names_each_feeder_with_them() -> None:
    changes = {feeder: {"open_directions": ""} for feeder in FEEDER_IDS}
    made = recommended(scored(changes | {"F02": {"tier": TRADE, "open_directions": "long short"}, "F07": {"open_directions": "short"}}))

    assert set(made.open_feeders) == {"F02 long", "F02 short", "F07 short"}
    assert [made.permits("F02", is_short=is_short) for is_short in (False, True)] == [True, True]
    assert not made.permits("F07", is_short=True)
    assert not made.permits("F01", is_short=False)


def test_recommend_given_no_feeder_that_trades_then_the_probes_are_on_top() -> None:
    changes = {feeder: {"tier": SHADOW} for feeder in FEEDER_IDS[:7]} | {"F09": {"expectancy": 0.002}}

    made = recommended(scored(changes))

    assert (made.top_feeders, made.avoid_feeders) == ((9, 8, 10), (1, 2, 3, 4, 5, 6, 7))
    assert made.top_tier is PROBE


def test_recommend_given_evidence_against_every_feeder_then_nobody_is_on_top() -> None:
    made = recommended(scored({feeder: {"tier": SHADOW} for feeder in FEEDER_IDS}))

    assert (made.top_feeders, made.avoid_feeders) == ((), tuple(range(1, 11)))
    assert made.top_tier is SHADOW


def test_recommend_given_scores_of_the_regime_then_they_count_where_they_rest_on_trades_and_else_those_over_all() -> None:
    there = scored({"F01": {"tier": TRADE, "n": 9}, "F02": {"tier": TRADE, "n": 0}}, regime="volatile")
    elsewhere = scored({"F03": {"tier": TRADE, "n": 9}}, regime="sideways")

    made = recommended([*scored({"F04": {"tier": SHADOW}}), *there, *elsewhere], regime=Regime.VOLATILE)

    assert made.top_feeders == (1,)
    assert made.tiers["F04"] is PROBE


def test_recommend_given_a_feeder_without_any_score_then_names_it() -> None:
    with pytest.raises(LearningError, match="scores of F10 are missing"):
        recommended(scored()[:-1])


def test_recommend_given_a_life_then_expires_after_it_and_names_what_it_rests_on() -> None:
    made = recommended()

    assert (made.generated_at, made.known_at, made.expires_at) == (NOW, NOW, NOW + timedelta(minutes=30))
    assert (made.parameters_version, made.scores_version, made.regime) == ("p1", "s1", Regime.SIDEWAYS)
    assert made.version != recommended(shadow=("3.5-5.0",)).version
    assert made.known_at > OPENED
