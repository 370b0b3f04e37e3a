"""The bounds of published learning: whatever a store holds, a fact inside the bounds is made of it or it is refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.errors import InvalidLearningError
from bot3.learning.parameters.rows import shown_targets
from bot3.learning.replay.grids import default_grid
from bot3.learning.validity import (
    FACTOR_BOUNDS,
    STOP_SIGMAS,
    TARGET_SIGMAS,
    feeder_score,
    parameter_row,
    parameter_set,
    problems_of,
    recommendation,
    regime_state,
    require_readable,
)
from bot3.market.regimes import Regime
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.recommendations import FeederScore, FeederTier, Recommendation
from tests.journals import OPENED, minutes
from tests.learned import a_recommendation, a_regime, a_row, a_score, a_set
from tests.parameter_rows import CONTRADICTIONS, INVALID_FIELDS, VALID_ROWS, row_values

Change = dict[str, Any]

PUBLICATION = {"version": "p1", "revision": 3, "known_at": OPENED, "computed_at": OPENED, "expires_at": minutes(60)}

foreign = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
)


def score_values(**changes: Any) -> dict[str, Any]:
    score = a_score()
    return {field.name: getattr(score, field.name) for field in fields(score)} | changes


def state_values(**changes: Any) -> dict[str, Any]:
    state = a_regime()
    shares = {f"p_{regime.value}": share for regime, share in zip(Regime, state.probabilities, strict=True)}
    times = {"since": state.since, "known_at": state.known_at, "computed_at": state.computed_at}
    return {"regime": state.regime.value, "version": "r1", **shares, **times, **changes}


def recommendation_values(**changes: Any) -> dict[str, Any]:
    made = a_recommendation()
    values = {field.name: getattr(made, field.name) for field in fields(made)}
    lists = {name: json.dumps(values[name]) for name in ("tiers", "top_feeders", "avoid_feeders", "open_feeders", "open_bins")}
    low, high = made.suggested_leverage_range
    return values | lists | {"suggested_leverage_low": low, "suggested_leverage_high": high} | changes


READ: dict[str, tuple[Callable[..., Any], Callable[..., dict[str, Any]]]] = {
    "row": (parameter_row, row_values),
    "score": (feeder_score, score_values),
    "state": (regime_state, state_values),
    "recommendation": (recommendation, recommendation_values),
}


def set_of(*rows: dict[str, Any], factors: list[tuple[Any, Any, Any]] | None = None, **changes: Any) -> ParameterSet:
    return parameter_set(rows=rows, factors=factors or [("sideways", 1.2, 0.9)], publication=PUBLICATION | changes)


@pytest.mark.parametrize(
    ("noun", "field", "value"),
    [
        *(("row", field, value) for field, value in INVALID_FIELDS),
        ("score", "feeder_id", "F11"),
        ("score", "tier", "all in"),
        ("score", "regime", "calm"),
        ("score", "expectancy", 0.9),
        ("score", "confidence", math.nan),
        ("score", "rank", 0),
        *(("score", "open_directions", value) for value in ("up", "short long", 3)),
        *(("recommendation", "open_feeders", value) for value in ("{}", "[1]", "F01 long")),
        ("state", "regime", "calm"),
        ("state", "p_volatile", math.nan),
        ("state", "p_volatile", -0.1),
        ("state", "since", minutes(1)),
        ("recommendation", "regime", "calm"),
        *(("recommendation", "suggested_leverage_low", value) for value in (0.5, math.nan, 3.495, "2")),
        *(("recommendation", "suggested_leverage_high", value) for value in (10.5, 125.5, math.inf)),
        *(("recommendation", "suggested_position_size_multiplier", value) for value in (0.0, 1e9, math.inf, math.nan, -1.0)),
        *(("recommendation", "tiers", value) for value in ("", "[]", "{", '{"F01": "all in"}', '{"F01": 1}', None, 3)),
        *(("recommendation", "top_feeders", value) for value in ("[11]", "[0]", '["F01"]', "{}", "[true]")),
        ("recommendation", "avoid_feeders", "[1.5]"),
        *(("recommendation", "top_tier", value) for value in ("best", "", 3)),
        *(("recommendation", "open_bins", value) for value in ("[]", '["1-3"]', "3", "{}", '[["1.0-2.0"]]', '["1.0-2.0", 3]')),
        *(("recommendation", "open_bins", value) for value in ('["1.0-3.0", "2.0-3.5"]', '["2.0-3.5", "1.0-2.0"]')),
    ],
)
def test_reading_given_a_value_out_of_bounds_then_refuses_it_and_names_the_field(noun: str, field: str, value: object) -> None:
    read, values_of = READ[noun]

    with pytest.raises(InvalidLearningError) as caught:
        read(values_of(**{field: value}))

    assert field in str(caught.value)
    assert "is refused" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        *CONTRADICTIONS,
        ({"open_bins": '["1.0-2.0"]'}, "open_bins"),
        ({"suggested_leverage_low": 3.5, "suggested_leverage_high": 2.0}, "suggested_leverage_low"),
        ({"p_volatile": 0.5}, "p_bull_trending"),
    ],
)
def test_reading_given_fields_that_disagree_then_refuses_them_by_name(changes: Change, named: str) -> None:
    (noun,) = (name for name, (_, values_of) in READ.items() if set(changes) <= set(values_of()))
    read, values_of = READ[noun]

    with pytest.raises(InvalidLearningError, match=named):
        read(values_of(**changes))


@given(noun=st.sampled_from(sorted(READ)), data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be loaded
def test_reading_given_any_content_in_any_fields_then_a_fact_within_bounds_or_a_refusal(noun: str, data: st.DataObject) -> None:
    read, values_of = READ[noun]
    whole = values_of()
    wrong = data.draw(st.dictionaries(st.sampled_from(sorted(whole)), foreign, max_size=3))

    try:
        fact = read(whole | wrong)
    except InvalidLearningError:
        return

    if isinstance(fact, ExitParameters):
        assert problems_of(fact) == {}
        assert -1.0 <= fact.stop_loss < 0.0 < fact.take_profit_target < math.inf
        assert fact.lower_bound <= fact.expectancy <= fact.upper_bound
    else:
        require_readable(fact)


@given(at=st.integers(0, 31), to=st.integers(0, 31))
def test_parameter_row_given_any_level_of_the_replay_grid_then_takes_it(at: int, to: int) -> None:
    grid = default_grid()

    row = a_row(stop_sigma=-float(grid.stops[at]), take_profit_sigma=float(shown_targets(grid)[to]))

    assert problems_of(row) == {}


@pytest.mark.parametrize("changes", VALID_ROWS, ids=str)
def test_parameter_row_given_values_at_their_bounds_then_takes_them(changes: Change) -> None:
    row = parameter_row(row_values(**changes))

    assert {name: getattr(row, name) for name in changes} == changes


def test_default_grid_given_its_bounds_then_begins_and_ends_there() -> None:
    grid = default_grid()

    assert (grid.stops[0], grid.stops[-1]) == pytest.approx(STOP_SIGMAS)
    assert (grid.targets[0], grid.targets[-2], grid.targets[-1]) == pytest.approx((*TARGET_SIGMAS, math.inf))


def test_parameter_set_given_bins_that_overlap_then_refuses_them() -> None:
    with pytest.raises(InvalidLearningError, match="leverage_bin must not overlap another bin"):
        set_of(row_values(leverage_bin="1.0-3.0"), row_values(leverage_bin="2.0-3.5"))


def test_parameter_set_given_valid_rows_then_keeps_the_later_one_of_a_group() -> None:
    made = set_of(row_values(), row_values(stop_sigma=-2.0, stop_move=-0.02, stop_loss=-0.1))

    assert {key: row.stop_sigma for key, row in made.rows.items()} == {"*|*|*": -2.0}
    assert made.regime_factors == {Regime.SIDEWAYS: (1.2, 0.9)}


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf, FACTOR_BOUNDS[0] / 2, FACTOR_BOUNDS[1] * 2, None, "1"])
@pytest.mark.parametrize("is_stop", [True, False])
def test_parameter_set_given_a_regime_factor_out_of_bounds_then_names_regime_factor_and_version(factor: object, is_stop: bool) -> None:
    factors = [("volatile", factor, 1.0) if is_stop else ("volatile", 1.0, factor)]

    with pytest.raises(InvalidLearningError, match=r"parameters p1: .*volatile.*factor on the (stop|target)") as caught:
        set_of(row_values(), factors=factors)
    assert caught.value.version == "p1"


def test_parameter_set_given_an_unknown_regime_then_names_it() -> None:
    with pytest.raises(InvalidLearningError, match="calm"):
        set_of(row_values(), factors=[("calm", 1.0, 1.0)])


def test_parameter_set_given_a_bad_row_then_names_row_field_and_version() -> None:
    with pytest.raises(InvalidLearningError, match=r"parameters p1: row ETH.*\|long\|1\.0-2\.0 .*stop_loss must be") as caught:
        set_of(row_values(), row_values(pair="ETH/USDT:USDT", direction="long", leverage_bin="1.0-2.0", stop_loss=0.0))
    assert caught.value.version == "p1"


def test_parameter_set_given_a_row_from_after_its_publication_then_refuses_it() -> None:
    with pytest.raises(InvalidLearningError, match="known later"):
        set_of(row_values(known_at=minutes(1)))


@pytest.mark.parametrize("changes", [{"revision": -1}, {"expires_at": "never"}, {"computed_at": None}])
def test_parameter_set_given_a_publication_out_of_bounds_then_names_the_field(changes: Change) -> None:
    with pytest.raises(InvalidLearningError, match=next(iter(changes))):
        set_of(row_values(), **changes)


def test_recommendation_given_tiers_of_unknown_feeders_and_none_of_others_then_both_are_probes() -> None:
    made = recommendation(recommendation_values(tiers='{"F01": "trade", "F11": "trade", "rsi": 7}'))

    assert (made.tier("F01"), made.tier("F02"), made.tier("F11"), made.tier("rsi")) == (
        FeederTier.TRADE,
        FeederTier.PROBE,
        FeederTier.PROBE,
        FeederTier.PROBE,
    )


def test_recommendation_given_no_open_bins_then_opens_those_of_the_range() -> None:
    made = recommendation(
        recommendation_values(open_bins=None, top_tier=None, open_feeders=None, suggested_leverage_low=2.0, suggested_leverage_high=5.0)
    )

    assert made.open_bins == ("2.0-3.5", "3.5-5.0")
    assert (made.top_tier, made.open_feeders) == (FeederTier.PROBE, ())


def test_refusal_given_foreign_text_without_end_then_stays_short_and_on_one_line() -> None:
    with pytest.raises(InvalidLearningError) as caught:
        parameter_row(row_values(state="x\n" * 10_000))

    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(replace(a_regime(), since=minutes(1)), id="regime"),
        pytest.param(a_score("F11"), id="score"),
    ],
)
def test_require_readable_given_what_readers_would_refuse_then_refuses_it_before_it_is_published(fact: Any) -> None:
    with pytest.raises(InvalidLearningError):
        require_readable(fact)


def test_require_readable_given_sound_facts_then_passes() -> None:
    facts: list[FeederScore | Recommendation] = [a_score(), a_recommendation()]
    for fact in facts:
        require_readable(fact)
    require_readable(a_regime())
    assert all(problems_of(row) == {} for row in a_set("v1").rows.values())
