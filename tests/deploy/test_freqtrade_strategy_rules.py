"""The mixin's rules, without freqtrade: what they decide is what the daemon's rules decide."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import InvalidLearningError, InvalidTradeError
from bot3.learning import validity
from bot3.learning.validity import parameter_row
from bot3.market.regimes import Regime
from bot3.market.volatility import expected_sigma
from bot3.trading import units
from bot3.trading.exit_law import gives_back
from bot3.trading.exits import learned_levels
from bot3.trading.leverage_bins import DEFAULT_BINS, HIGHEST_LEVERAGE, LeverageBins
from bot3.trading.parameters import ParameterState
from bot3.trading.profiles import SizeLimits
from bot3.trading.recommendations import FeederTier
from bot3.trading.signals import FEEDER_IDS, UNKNOWN_FEEDER, feeder_of_enter_tag
from bot3.trading.sizing import OutcomeRisk, choose_leverage, outcome_notional
from bot3.usecases.publishing.files import write_published_files
from tests.journals import OPENED, PAIR
from tests.learned import a_recommendation, a_row, a_score, a_set
from tests.leverages import OTHER_BINS, any_bins
from tests.parameter_rows import CONTRADICTIONS, INVALID_FIELDS, VALID_ROWS, row_values

LATER = OPENED + timedelta(minutes=5)


def load_mixin() -> ModuleType:
    """Load the file as freqtrade does: by its path, its module in no registry."""
    path = Path(__file__).parent.parent.parent / "deploy" / "freqtrade" / "BOT3MetaStrategyAdaptive.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mixin = load_mixin()
sigmas = st.floats(0.002, 0.3)
leverages = st.floats(1.0, 10.0)
sides = st.booleans()


def published(tmp_path: Path, *rows: Any, parameters: dict[str, Any] | None = None, recommendation: Any = None) -> Any:
    write_published_files(
        tmp_path,
        parameters=a_set("v1", *rows, **{"regime_factors": dict.fromkeys(Regime, (1.0, 1.0))} | (parameters or {})),
        scores=[a_score()],
        recommendation=recommendation or a_recommendation(),
    )
    source = mixin.PublishedFiles(tmp_path)
    source.refresh()
    return source


def draft(source: Any, *, now: datetime = LATER, enter_tag: str | None = "F03", **changes: Any) -> Any:
    given_here = {"pair": PAIR, "is_short": False, "sigma": 0.04, "max_leverage": 20.0, "rules": mixin.Rules()}
    return mixin.draft_plan(
        enter_tag=enter_tag,
        now=now,
        parameters=source.parameters(as_of=now),
        recommendation=source.recommendation(as_of=now),
        **given_here | changes,
    )


def refusal(source: Any, **asked: Any) -> str:
    with pytest.raises(mixin.EntryRefusedError) as caught:
        draft(source, **asked)
    return str(caught.value.args[0])


def a_plan(**changes: Any) -> Any:
    values = {
        "pair": PAIR,
        "is_short": False,
        "enter_tag": "F03",
        "leverage": 3.0,
        "stop_move": -0.02,
        "take_profit_move": 0.03,
        "giveback_activation_move": 0.02,
        "expires_at": LATER.isoformat(),
        "sigma": 0.02,
        "deviation_move": 0.015,
        "worst_move": -0.0214,
    }
    return mixin.Plan(**values | changes)


@given(bins=any_bins, share=st.floats(0.0, 1.0))
def test_leverage_bin_is_the_platforms(bins: LeverageBins, share: float) -> None:
    leverage = min(bins.lowest + share * (bins.highest - bins.lowest), bins.highest)

    assert mixin.leverage_bin(leverage, edges=bins.edges) == bins.name_of(leverage)


def test_default_edges_and_the_highest_leverage_are_the_platforms() -> None:
    assert (DEFAULT_BINS.edges, HIGHEST_LEVERAGE) == (mixin.DEFAULT_EDGES, mixin.HIGHEST_LEVERAGE)


@given(tag=st.one_of(st.none(), st.text(), st.from_regex(r"F\d\d(\|.*)?", fullmatch=True), st.sampled_from(FEEDER_IDS)))
def test_feeder_of_is_the_platforms(tag: str | None) -> None:
    known = feeder_of_enter_tag(tag)

    if known == UNKNOWN_FEEDER:
        with pytest.raises(mixin.EntryRefusedError):
            mixin.feeder_of(tag)
    else:
        assert mixin.feeder_of(tag) == int(known[1:])


@given(profit=st.floats(-0.5, 0.5), leverage=leverages, is_short=sides, fee=st.floats(0.0, 0.01))
def test_move_of_profit_is_the_platforms_and_turns_back(profit: float, leverage: float, is_short: bool, fee: float) -> None:
    move = mixin.move_of_profit(profit, leverage=leverage, is_short=is_short, fee=fee)

    ours = units.move_of_profit(profit, leverage=leverage, is_short=is_short, fee_open=fee, fee_close=fee)
    assert move == pytest.approx(ours, abs=1e-12)
    assert mixin.profit_of_move(move, leverage=leverage, is_short=is_short, fee=fee) == pytest.approx(profit, abs=1e-9)


@given(stop_move=st.floats(-0.5, -0.0001), open_rate=st.floats(0.01, 1e5), drift=st.floats(-0.3, 0.3), leverage=leverages, is_short=sides)
def test_stop_ratio_gives_freqtrade_the_rate_back(
    stop_move: float, open_rate: float, drift: float, leverage: float, is_short: bool
) -> None:
    stop_rate = units.rate_of_move(stop_move, open_rate=open_rate, is_short=is_short)
    current_rate = open_rate * (1.0 + drift)

    ratio = mixin.stop_ratio(stop_rate, current_rate=current_rate, is_short=is_short, leverage=leverage)

    side = units.side(is_short=is_short)
    if ratio is None:
        assert side * (current_rate - stop_rate) <= 0.0
    else:
        # What freqtrade makes of it: a ROI on margin, counted from the current rate.
        assert current_rate * (1.0 - side * ratio / leverage) == pytest.approx(stop_rate, rel=1e-9)


@settings(deadline=None)  # the rule of the platform compiles at its first call
@given(best=st.floats(0.9, 1.2), close=st.floats(0.8, 1.2), activation=st.floats(0.001, 0.1), share=st.floats(0.1, 0.9), is_short=sides)
def test_gives_back_is_the_platforms(best: float, close: float, activation: float, share: float, is_short: bool) -> None:
    plan = a_plan(is_short=is_short, giveback_activation_move=activation)

    given_back = plan.gives_back(open_rate=1.0, best_rate=best, close_rate=close, share=share)

    assert given_back == gives_back(units.side(is_short=is_short), 1.0, best, close, activation, share)


def test_expected_sigma_is_the_platforms() -> None:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0, 0.002, 700)))

    sigma = mixin.expected_sigma(pd.Series(close), horizon_hours=24.0).to_numpy()

    np.testing.assert_allclose(sigma, expected_sigma(close, horizon_candles=288), rtol=1e-12)


@given(
    sigma=sigmas,
    max_leverage=st.floats(1.0, 125.0),
    cap=st.floats(1.0, 130.0),
    bins=any_bins,
    data=st.data(),
)
def test_choose_leverage_is_the_platforms(sigma: float, max_leverage: float, cap: float, bins: LeverageBins, data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(bins.names), min_size=1))
    open_bins = [name for name in bins.names if name in names]
    recommendation = mixin.Recommendation.of({**_recommendation_json(), "open_bins": open_bins})
    rules = mixin.Rules(leverage_cap=cap)
    asked = {"recommendation": recommendation, "edges": bins.edges, "rules": rules, "max_leverage": max_leverage}
    spans = bins.spans(open_bins, highest=min(cap, max_leverage))

    if spans:
        ours = choose_leverage(sigma=sigma, target_volatility=0.12, spans=spans)
        assert mixin.choose_leverage(sigma, **asked) == ours
    else:
        with pytest.raises(mixin.EntryRefusedError, match="leverage_range"):
            mixin.choose_leverage(sigma, **asked)


@given(low=leverages, span=st.floats(0.0, 9.0))
def test_recommendation_given_a_file_without_open_bins_then_opens_those_of_its_range_as_the_platform_does(low: float, span: float) -> None:
    high = min(low + span, 10.0)

    recommendation = mixin.Recommendation.of({**_recommendation_json(), "suggested_leverage_range": [low, high]})

    assert recommendation.open_bins == DEFAULT_BINS.of_range(low, high)


@pytest.mark.parametrize("bins", [["2-3"], ["1.0-2.0", "all"], ["2.0-3.5", "1.0-2.0"], ["1.0-3.0", "2.0-3.5"], [3]])
def test_recommendation_given_bins_that_do_not_exist_then_is_refused(bins: list[Any]) -> None:
    with pytest.raises(mixin.UnreadableLearningError, match="open_bins"):
        mixin.Recommendation.of({**_recommendation_json(), "open_bins": bins})


def test_draft_plan_given_a_calm_market_and_only_the_lowest_bin_open_then_keeps_below_its_upper_edge(tmp_path: Path) -> None:
    rows = [a_row(pair=PAIR, direction="long", leverage_bin=name) for name in DEFAULT_BINS.names]
    source = published(tmp_path, a_row(), *rows, recommendation=_recommended(open_bins=("1.0-2.0",)))

    plan = draft(source, sigma=0.02)

    assert (plan.leverage, plan.parameters_key) == (1.99, f"{PAIR}|long|1.0-2.0")


def test_draft_plan_given_rows_of_other_bins_then_chooses_leverage_and_row_by_them(tmp_path: Path) -> None:
    bins = [a_row(leverage_bin=name) for name in OTHER_BINS.names]
    cells = [a_row(pair=PAIR, direction="long", leverage_bin=name) for name in OTHER_BINS.names]
    whole = _recommended(open_bins=OTHER_BINS.names[1:], suggested_leverage_range=(2.0, 8.0))
    source = published(tmp_path, a_row(), *bins, *cells, recommendation=whole)

    plans = [draft(source, sigma=sigma) for sigma in (0.2, 0.03, 0.001)]

    assert [(plan.leverage, plan.parameters_key) for plan in plans] == [
        (2.0, f"{PAIR}|long|2.0-4.0"),
        (4.0, f"{PAIR}|long|4.0-8.0"),
        (8.0, f"{PAIR}|long|4.0-8.0"),
    ]


@pytest.mark.parametrize("names", [("1.0-3.0", "2.0-4.0"), ("1.0-2.0", "4.0-8.0")])
def test_parameters_given_bins_that_overlap_or_leave_a_gap_then_are_refused(names: tuple[str, ...]) -> None:
    times = {"generated_at": OPENED.isoformat(), "expires_at": LATER.isoformat()}
    rows = [as_published(row_values(leverage_bin=name)) for name in names]

    with pytest.raises(mixin.UnreadableLearningError, match="leverage bins"):
        mixin.Parameters.of({"version": "v1", "rows": rows, "regime_factors": {}, **times})


@given(deviation=sigmas, worst=st.floats(-0.2, -0.002), lower_bound=st.floats(-0.01, 0.02), room=st.floats(0.0, 30_000.0))
def test_wanted_notional_is_the_daemons_within_the_caps(deviation: float, worst: float, lower_bound: float, room: float) -> None:
    plan = a_plan(deviation_move=deviation, worst_move=worst, lower_bound=lower_bound, leverage=3.0)

    notional = mixin.wanted_notional(plan, equity_abs=10_000.0, gross_notional_abs=30_000.0 - room, rules=mixin.Rules())

    outcome = OutcomeRisk(deviation_move=deviation, worst_move=worst, lower_bound=lower_bound)
    sizes = SizeLimits(risk_ratio=0.012, stake_ratio=0.10, notional_ratio=1.0)
    ours = outcome_notional(outcome, equity_abs=10_000.0, multiplier=1.0, limits=sizes)
    assert notional == pytest.approx(min(ours, 3_000.0, 10_000.0, room), abs=1e-6)


@pytest.mark.parametrize("is_short", [False, True])
def test_draft_plan_given_a_row_without_target_then_has_none_and_the_daemons_risk(tmp_path: Path, is_short: bool) -> None:
    source = published(tmp_path, a_row(has_target=False))

    plan = draft(source, is_short=is_short)

    assert plan.take_profit_move is None
    assert (plan.deviation_move, plan.worst_move) == pytest.approx((0.8 * 0.04, -0.04 - 0.0014))


def test_draft_plan_given_a_row_without_its_risk_then_is_the_smallest(tmp_path: Path) -> None:
    row = a_row(state=ParameterState.TRADE, lower_bound=0.0005, deviation_move=None)
    recommendation = replace(a_recommendation(), tiers=dict.fromkeys(FEEDER_IDS, FeederTier.TRADE))

    assert draft(published(tmp_path, row, recommendation=recommendation)).is_smallest


@pytest.mark.parametrize("is_short", [False, True])
def test_draft_plan_given_a_cell_then_its_levels_are_the_daemons(tmp_path: Path, is_short: bool) -> None:
    cell = a_row(pair=PAIR, direction="short" if is_short else "long", leverage_bin="2.0-3.5", stop_sigma=-0.7, take_profit_sigma=1.9)
    factors = {Regime.SIDEWAYS: (1.3, 0.8)}
    source = published(tmp_path, a_row(), cell, parameters={"regime_factors": factors})

    plan = draft(source, is_short=is_short)

    ours = learned_levels(cell, parameters=a_set("v1", cell, regime_factors=factors), regime=Regime.SIDEWAYS, sigma=0.04, is_short=is_short)
    assert (plan.stop_move, plan.take_profit_move) == pytest.approx((ours.stop_move, ours.take_profit_move))
    assert (plan.parameters_key, plan.leverage) == (cell.key, 3.0)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ([(PAIR, "long", "2.0-3.5"), (PAIR, "long", "*"), ("*", "long", "*")], f"{PAIR}|long|2.0-3.5"),
        ([(PAIR, "long", "5.0-7.5"), (PAIR, "long", "*"), ("*", "long", "*")], f"{PAIR}|long|*"),
        ([(PAIR, "short", "2.0-3.5"), ("*", "long", "*")], "*|long|*"),
        ([("ETH/USDT:USDT", "long", "2.0-3.5"), ("*", "*", "2.0-3.5")], "*|*|*"),
    ],
)
def test_find_goes_from_the_cell_to_its_parents(tmp_path: Path, keys: list[tuple[str, str, str]], found: str) -> None:
    rows = [a_row(pair=pair, direction=side, leverage_bin=bin_) for pair, side, bin_ in keys]

    plan = draft(published(tmp_path, a_row(), *rows))

    assert plan.parameters_key == found


@pytest.mark.parametrize(
    ("hours", "found"),
    [(24.0, f"{PAIR}|long|*"), (168.0, f"{PAIR}|long|*@7d"), (73.0, f"{PAIR}|long|*@7d"), (72.0, "*|*|*"), (8.0, "*|*|*@8h")],
)
def test_draft_plan_given_a_horizon_then_uses_the_rows_of_the_shortest_that_covers_it(tmp_path: Path, hours: float, found: str) -> None:
    rows = [a_row(pair=PAIR, direction="long", leverage_bin=name) for name in ("*", "*@7d")]
    source = published(tmp_path, a_row(), a_row(leverage_bin="*@8h"), *rows)

    plan = draft(source, rules=mixin.Rules(horizon_hours=hours))

    assert plan.parameters_key == found
    assert plan.expires_at == (LATER + timedelta(hours=hours)).isoformat()


def test_files_given_rows_of_other_horizons_then_are_apart_from_those_that_older_readers_read(tmp_path: Path) -> None:
    published(tmp_path, a_row(), a_row(leverage_bin="2.0-3.5@7d"))

    content = json.loads((tmp_path / "adaptive_params.json").read_text(encoding="utf-8"))

    assert [row["leverage_bin"] for row in content["rows"]] == ["*"]
    assert [row["leverage_bin"] for row in content["rows_of_other_horizons"]] == ["2.0-3.5@7d"]


def test_draft_plan_given_the_recommendation_expired_then_no_entry(tmp_path: Path) -> None:
    source = published(tmp_path)

    assert draft(source, now=OPENED + timedelta(minutes=29)).parameters_version == "v1"
    assert refusal(source, now=OPENED + timedelta(minutes=30)) == "expired_recommendation"


def test_draft_plan_given_parameters_expired_then_no_entry(tmp_path: Path) -> None:
    source = published(tmp_path, parameters={"expires_at": OPENED + timedelta(minutes=10)})

    assert refusal(source, now=OPENED + timedelta(minutes=10)) == "expired_parameters"


def test_source_given_nothing_known_yet_then_no_entry(tmp_path: Path) -> None:
    source = published(tmp_path)

    assert refusal(source, now=OPENED - timedelta(seconds=1)) == "missing_parameters"


@pytest.mark.parametrize("enter_tag", [None, "", "F11", "rsi", "F3"])
def test_draft_plan_given_no_feeder_then_no_entry(tmp_path: Path, enter_tag: str | None) -> None:
    assert refusal(published(tmp_path), enter_tag=enter_tag) == "unknown_feeder"


def test_draft_plan_given_an_avoided_feeder_then_no_entry(tmp_path: Path) -> None:
    assert refusal(published(tmp_path, recommendation=_recommended(avoid=(7,))), enter_tag="F07|c=0.73") == "feeder_shadow"


def test_draft_plan_given_only_top_feeders_then_the_others_do_not_enter(tmp_path: Path) -> None:
    source = published(tmp_path)
    rules = mixin.Rules(only_top_feeders=True)

    assert draft(source, enter_tag="F03", rules=rules).is_smallest
    assert refusal(source, enter_tag="F02", rules=rules) == "feeder_not_on_top"


@pytest.mark.parametrize(
    ("state", "tier", "lower_bound", "outcome"),
    [
        ("trade", "trade", 0.001, False),
        ("probe", "trade", 0.001, True),
        ("trade", "probe", 0.001, True),
        ("trade", "trade", -0.001, "no_edge"),
        ("shadow", "trade", 0.001, "bin_shadow"),
    ],
)
def test_draft_plan_given_state_and_tier_then_full_smallest_or_none(
    tmp_path: Path, state: str, tier: str, lower_bound: float, outcome: bool | str
) -> None:
    recommendation = _recommended(tiers=dict.fromkeys(FEEDER_IDS, FeederTier(tier)))
    source = published(tmp_path, a_row(state=state, lower_bound=lower_bound), recommendation=recommendation)

    if isinstance(outcome, str):
        assert refusal(source) == outcome
    else:
        assert draft(source).is_smallest is outcome


def test_draft_plan_given_a_direction_without_evidence_then_the_smallest_order(tmp_path: Path) -> None:
    tiers = dict.fromkeys(FEEDER_IDS, FeederTier.TRADE)
    row = a_row(state="trade", lower_bound=0.001)

    found = {
        names: draft(published(tmp_path, row, recommendation=_recommended(tiers=tiers, open_feeders=names))).is_smallest
        for names in ((), ("F01 short", "F02 long"), tuple(f"{feeder} long" for feeder in FEEDER_IDS))
    }

    assert list(found.values()) == [True, True, False]


def test_draft_plan_given_a_market_below_the_range_then_no_entry(tmp_path: Path) -> None:
    source = published(tmp_path, recommendation=_recommended(open_bins=("2.0-3.5",)))

    assert draft(source, sigma=0.2).leverage == 2.0
    assert refusal(source, max_leverage=1.5) == "leverage_range"


@pytest.mark.parametrize("sigma", [0.0, float("nan"), float("inf")])
def test_draft_plan_given_no_volatility_then_no_entry(tmp_path: Path, sigma: float) -> None:
    assert refusal(published(tmp_path), sigma=sigma) == "no_volatility"


def test_draft_plan_given_a_target_under_its_fees_then_no_entry(tmp_path: Path) -> None:
    assert refusal(published(tmp_path, a_row(take_profit_sigma=0.1)), sigma=0.005) == "target_below_costs"


@given(liquidation_move=st.floats(-0.9, -0.001), stop_move=st.floats(-0.5, -0.001), is_short=sides)
def test_stop_rate_stays_half_way_to_liquidation(liquidation_move: float, stop_move: float, is_short: bool) -> None:
    plan = a_plan(stop_move=stop_move, is_short=is_short)
    liquidation_rate = units.rate_of_move(liquidation_move, open_rate=100.0, is_short=is_short)

    stop_rate = plan.stop_rate(open_rate=100.0, liquidation_rate=liquidation_rate)

    move = units.move_of_rate(stop_rate, open_rate=100.0, is_short=is_short)
    assert move == pytest.approx(max(stop_move, liquidation_move / 2.0))


@given(leverage=leverages, is_short=sides)
def test_static_plan_is_the_static_set_of_the_platform(leverage: float, is_short: bool) -> None:
    plan = mixin.static_plan(pair=PAIR, is_short=is_short, leverage=leverage, open_date=OPENED, rules=mixin.Rules())

    assert plan.stop_move == units.move_of_stake(-0.03, leverage=leverage)
    profit = units.profit_of_move(plan.take_profit_move, leverage=leverage, is_short=is_short, fee_open=0.0005, fee_close=0.0005)
    assert profit == pytest.approx(0.03)
    assert not plan.gives_back(open_rate=1.0, best_rate=2.0, close_rate=1.0, share=0.5)


def test_the_platform_refuses_what_the_mixin_refuses() -> None:
    with pytest.raises(InvalidTradeError):
        DEFAULT_BINS.name_of(10.5)
    with pytest.raises(mixin.EntryRefusedError):
        mixin.leverage_bin(10.5, edges=DEFAULT_BINS.edges)


def _recommended(**changes: Any) -> Any:
    named = {"avoid": "avoid_feeders"}
    return replace(a_recommendation(), **{named.get(name, name): value for name, value in changes.items()})


def _recommendation_json() -> dict[str, Any]:
    made = a_recommendation()
    return {
        "regime": made.regime.value,
        "top_feeders": list(made.top_feeders),
        "avoid_feeders": [],
        "suggested_leverage_range": list(made.suggested_leverage_range),
        "suggested_position_size_multiplier": 1.0,
        "generated_at": made.generated_at.isoformat(),
        "expires_at": made.expires_at.isoformat(),
        "version": "m1",
    }


def test_bounds_of_the_mixin_are_the_platforms() -> None:
    assert (mixin.FACTORS, mixin.SIZES) == (validity.FACTOR_BOUNDS, validity.SIZE_BOUNDS)
    assert set(mixin.STATES) == {state.value for state in ParameterState} == {tier.value for tier in FeederTier}


def as_published(values: dict[str, Any]) -> Any:
    """Return a row as the published file contains it."""
    return json.loads(json.dumps(values, default=lambda value: value.isoformat()))


def is_refused(read: Callable[[Any], object], row: Any) -> bool:
    try:
        read(row)
    except (mixin.UnreadableLearningError, InvalidLearningError, ValueError, TypeError):
        return True
    return False


@pytest.mark.parametrize(("field", "value"), INVALID_FIELDS)
def test_row_given_a_value_that_the_platform_refuses_then_is_refused_too(field: str, value: object) -> None:
    assert is_refused(mixin.Row.of, as_published(row_values(**{field: value})))


@pytest.mark.parametrize(("changes", "named"), CONTRADICTIONS)
def test_row_given_levels_that_contradict_each_other_then_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(mixin.UnreadableLearningError, match=named):
        mixin.Row.of(as_published(row_values(**changes)))


@pytest.mark.parametrize("changes", VALID_ROWS, ids=str)
def test_row_given_values_that_the_platform_takes_then_is_taken_too(changes: dict[str, Any]) -> None:
    values = row_values(**changes)

    row = mixin.Row.of(as_published(values))

    assert (row.key, row.stop_sigma, row.known_at) == (parameter_row(values).key, values["stop_sigma"], values["known_at"])


@given(
    field=st.sampled_from(sorted(row_values())), value=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))
)
def test_row_given_any_value_of_any_field_then_platform_and_mixin_agree(field: str, value: object) -> None:
    values = row_values(**{field: value})

    assert is_refused(mixin.Row.of, as_published(values)) is is_refused(parameter_row, values)


@pytest.mark.parametrize("factors", [[0.0, 1.0], [1.0, -1.0], [float("nan"), 1.0], [1.0, float("inf")], [4.0, 1.0]])
def test_parameters_given_a_factor_that_the_platform_refuses_then_are_refused_too(factors: list[float]) -> None:
    times = {"generated_at": OPENED.isoformat(), "expires_at": LATER.isoformat()}

    with pytest.raises(mixin.UnreadableLearningError, match="regime_factors of volatile"):
        mixin.Parameters.of({"version": "v1", "rows": [], "regime_factors": {"volatile": factors}, **times})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("suggested_position_size_multiplier", value) for value in (0.0, 1e9, float("nan"))),
        ("tiers", {"F01": "all in"}),
        ("suggested_leverage_range", [1.0, 20.0]),
    ],
)
def test_recommendation_given_a_value_that_the_platform_refuses_then_is_refused_too(field: str, value: object) -> None:
    with pytest.raises(mixin.UnreadableLearningError, match=field):
        mixin.Recommendation.of({**_recommendation_json(), field: value})


def test_recommendation_given_tiers_of_unknown_feeders_then_they_are_left_out() -> None:
    assert mixin.Recommendation.of({**_recommendation_json(), "tiers": {"F01": "trade", "F11": "trade", "rsi": 7}}).tiers == {1: "trade"}


def test_influx_given_a_wall_clock_that_was_set_back_then_asks_again_at_once(caplog: pytest.LogCaptureFixture) -> None:
    source = mixin.PublishedInflux({"BOT3_INFLUX_URL": "http://127.0.0.1:9", "BOT3_INFLUX_TOKEN": "none"})
    source._asked_at = datetime.now(UTC) + timedelta(days=1)  # noted before the clock was set back

    source.refresh()

    assert "could not be read" in caplog.text
