"""Which signals become trades, and why the others do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError, LearningError
from bot3.market.regimes import Regime
from bot3.trading.decide import decide_entries, decide_entry
from bot3.trading.decisions import EntryPlan, Hold, HoldReason, Learning
from bot3.trading.entries import planned_notional
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.markets import LeverageBracket
from bot3.trading.orders import ENTRY_CONTEXT
from bot3.trading.parameters import ParameterState
from bot3.trading.recommendations import FeederTier
from bot3.trading.risk import EquityMarks, TradingState
from bot3.trading.signals import FEEDER_IDS, Signal
from bot3.trading.trades import RunMode
from bot3.trading.units import LIQUIDATION_DISTANCE, liquidation_move, move_of_rate
from tests.journals import an_intent
from tests.learned import a_recommendation, a_row, a_set
from tests.markets import BTC, CANDLE, COSTS, ETH, NOON, a_book, a_learned_profile, a_market, a_profile, a_signal, a_view

TRADING = dict.fromkeys(FEEDER_IDS, FeederTier.TRADE)


def learning(*, row: dict[str, Any] | None = None, **recommendation: Any) -> Learning:
    levels = {"stop_sigma": -0.5, "take_profit_sigma": 1.0, "lower_bound": 0.001, "state": ParameterState.TRADE, **(row or {})}
    parameters = a_set("p1", a_row(**levels), expires_at=NOON + timedelta(days=7), regime_factors=dict.fromkeys(Regime, (1.0, 1.0)))
    given = {
        "tiers": TRADING,
        "expires_at": NOON + timedelta(minutes=30),
        "open_bins": DEFAULT_BINS.names,
        "suggested_leverage_range": (1.0, 10.0),
        **recommendation,
    }
    return Learning(parameters=parameters, recommendation=replace(a_recommendation(), **given))


def decided(signal: Signal | None = None, **changes: Any) -> EntryPlan | Hold:
    inputs: dict[str, Any] = {
        "profile": a_profile(),
        "book": a_book(),
        "view": a_view(),
        "learning": Learning(parameters=None, recommendation=None),
        "regime": Regime.SIDEWAYS,
        "costs": COSTS,
        "run_mode": RunMode.PAPER,
        "state": TradingState.ACTIVE,
        "now": NOON,
    }
    return decide_entry(signal or a_signal(), **{**inputs, **changes})


def planned(signal: Signal | None = None, **changes: Any) -> EntryPlan:
    plan = decided(signal, **changes)
    assert isinstance(plan, EntryPlan), plan
    return plan


@pytest.mark.parametrize("is_short", [False, True])
def test_planned_notional_given_an_entry_then_is_its_amount_at_the_rate_with_slippage(is_short: bool) -> None:
    plan = planned(a_signal(is_short=is_short), profile=a_profile(directions=frozenset({"long", "short"})))

    notional = planned_notional(plan.entry_intent(account="paper-BOT1", bot="BOT1", trade_id=1))

    assert notional == pytest.approx(float(plan.amount) * COSTS.entry_rate(a_view().rate, is_short=is_short), rel=1e-12)


def test_planned_notional_given_an_entry_without_its_stop_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="missing or invalid stop_rate"):
        planned_notional(an_intent(context={"stop_loss": -0.05}))


BOT3 = a_learned_profile()
HOLDS: list[tuple[HoldReason, dict[str, Any]]] = [
    (HoldReason.DIRECTION, {"signal": a_signal(is_short=True)}),
    (HoldReason.HALTED, {"state": TradingState.HALTED}),
    (HoldReason.REDUCING, {"state": TradingState.REDUCING}),
    (HoldReason.POSITION_OPEN, {"book": a_book(notionals={BTC: 500.0})}),
    (HoldReason.SLOTS_FULL, {"book": a_book(notionals={ETH: 500.0}), "profile": a_profile(max_open_trades=1)}),
    (HoldReason.DAILY_LOSS, {"book": a_book(equity_abs=9_600.0)}),
    (
        HoldReason.DRAWDOWN,
        {"book": a_book(equity_abs=8_000.0, marks=EquityMarks(day=NOON.date(), day_start_abs=8_000.0, peak_abs=10_000.0))},
    ),
    (HoldReason.STOP_STREAK, {"book": a_book(stops=(NOON, NOON, NOON, NOON))}),
    (HoldReason.COOL_OFF, {"book": a_book(last_closes={BTC: NOON - CANDLE})}),
    (HoldReason.STALE_CANDLES, {"view": None}),
    (HoldReason.STALE_CANDLES, {"view": a_view(candle_close_time=NOON - 4 * CANDLE)}),
    (HoldReason.STALE_CANDLES, {"signal": a_signal(known_at=NOON - 4 * CANDLE)}),
    (HoldReason.NO_RATE, {"view": a_view(rate=float("nan"))}),
    (HoldReason.PRICE_COLLAR, {"view": a_view(rate=101.5)}),
    (HoldReason.NO_VOLATILITY, {"view": a_view(sigma=float("nan"))}),
    (HoldReason.NO_LEARNING_YET, {"profile": BOT3, "run_mode": RunMode.LIVE}),
    (HoldReason.MISSING_RECOMMENDATION, {"profile": BOT3, "learning": replace(learning(), recommendation=None)}),
    (HoldReason.MISSING_PARAMETERS, {"profile": BOT3, "learning": replace(learning(), parameters=None)}),
    (HoldReason.EXPIRED_RECOMMENDATION, {"profile": BOT3, "learning": learning(expires_at=NOON)}),
    (HoldReason.EXPIRED_PARAMETERS, {"profile": BOT3, "learning": learning(expires_at=NOON + timedelta(days=9)), "days": 8}),
    (HoldReason.FEEDER_SHADOW, {"profile": BOT3, "learning": learning(tiers={**TRADING, "F01": FeederTier.SHADOW})}),
    (HoldReason.LEVERAGE_RANGE, {"profile": BOT3, "learning": learning(open_bins=("1.0-20.0",))}),  # of another home
    (
        HoldReason.LEVERAGE_RANGE,
        {"profile": a_learned_profile(leverage_cap=3.0), "learning": learning(open_bins=("5.0-7.5", "7.5-10.0"))},
    ),
    (HoldReason.BIN_SHADOW, {"profile": BOT3, "learning": learning(row={"state": ParameterState.SHADOW})}),
    (HoldReason.NO_EDGE, {"profile": BOT3, "learning": learning(row={"lower_bound": -0.001})}),
    (HoldReason.TARGET_BELOW_COSTS, {"profile": BOT3, "learning": learning(row={"take_profit_sigma": 0.01})}),
    (HoldReason.STOP_WITHIN_SPREAD, {"view": a_view(market=a_market(rate_tick=Decimal(10)))}),
    (HoldReason.CAPS, {"book": a_book(free_abs=0.5)}),
    (HoldReason.BELOW_MIN_NOTIONAL, {"profile": BOT3, "learning": learning(row={"lower_bound": 1e-8})}),
]


@pytest.mark.parametrize(("reason", "changes"), HOLDS, ids=lambda value: value.value if isinstance(value, HoldReason) else "")
def test_decide_entry_given_what_stands_against_it_then_holds_with_that_reason(reason: HoldReason, changes: dict[str, Any]) -> None:
    given = dict(changes)
    later = NOON + timedelta(days=given.pop("days", 0))
    if later != NOON:
        given |= {"signal": a_signal(known_at=later), "view": a_view(candle_close_time=later), "now": later}

    decision = decided(given.pop("signal", None), **given)

    assert isinstance(decision, Hold), decision
    assert decision.reason is reason


def test_holds_given_all_reasons_then_each_is_reached_by_a_test() -> None:
    assert {reason for reason, _ in HOLDS} == set(HoldReason) - {HoldReason.OUTRANKED}


def test_decide_entry_given_a_control_bot_then_uses_the_static_set_and_all_of_an_orders_stake() -> None:
    plan = planned()

    assert plan.leverage == 4.0
    assert plan.stake_abs == pytest.approx(1_000.0, rel=1e-4)
    assert plan.context["stop_loss"] == pytest.approx(-0.03, abs=1e-6)
    assert float(plan.take_profit_rate or 0) == pytest.approx(100.01 * (1.0005 * 1.0075 / 0.9995), rel=1e-6)
    assert plan.context["tier"] == "control"


def test_decide_entry_given_a_plan_then_its_context_has_every_key() -> None:
    assert set(ENTRY_CONTEXT) <= set(planned().context)


def test_decide_entry_given_nothing_was_ever_learned_then_bot3_probes_with_the_static_set_on_paper() -> None:
    plan = planned(profile=BOT3)

    assert 5.0 <= plan.notional_abs < 5.1
    assert (plan.context["tier"], plan.context["parameters_key"]) == ("static", "static")


@pytest.mark.parametrize(
    "force",
    [
        learning(tiers={**TRADING, "F01": FeederTier.PROBE}),
        learning(open_feeders=("F01 short", "F02 long")),
        learning(row={"state": ParameterState.PROBE}),
    ],
    ids=["feeder", "direction", "bin"],
)
def test_decide_entry_given_a_probe_then_opens_the_smallest_order(force: Learning) -> None:
    assert 5.0 <= planned(profile=BOT3, learning=force).notional_abs < 5.1


def test_decide_entry_given_an_edge_then_sizes_by_half_kelly_at_its_lower_bound() -> None:
    plan = planned(profile=BOT3, learning=learning(row={"lower_bound": 0.0001}))

    # The row's deviation of 0.8 % is for a volatility of 1 %, the volatility at entry is 3 %.
    assert plan.notional_abs == pytest.approx(0.5 * 0.0001 / (0.024**2 + 0.0001**2) * 10_000.0, rel=1e-3)


def test_decide_entry_given_a_row_without_its_risk_then_opens_the_smallest_order() -> None:
    plan = planned(profile=BOT3, learning=learning(row={"lower_bound": 0.02, "deviation_move": None}))

    assert 5.0 <= plan.notional_abs < 5.1


@pytest.mark.parametrize("is_short", [False, True])
def test_decide_entry_given_a_row_without_target_then_plans_none(is_short: bool) -> None:
    plan = planned(a_signal(is_short=is_short), profile=BOT3, learning=learning(row={"lower_bound": 0.02, "has_target": False}))

    assert (plan.take_profit_rate, plan.context["take_profit_rate"]) == (None, None)
    assert plan.stop_rate > 0


def test_decide_entry_given_a_multiplier_then_scales_the_risk_target() -> None:
    force = learning(row={"lower_bound": 0.02}, suggested_position_size_multiplier=0.5)

    # Half of the 0.12 x 0.10 of the wallet over the deviation of 2.4 %.
    assert planned(profile=BOT3, learning=force).notional_abs == pytest.approx(2_500.0, rel=1e-4)


def test_decide_entry_given_a_far_stop_then_sizes_by_half_its_loss() -> None:
    force = learning(row={"lower_bound": 0.02, "stop_sigma": -2.0, "stop_move": -0.02, "worst_move": -0.0214})

    # The stop at 2 x 3 % and costs of 0.14 %.
    assert planned(profile=BOT3, learning=force).notional_abs == pytest.approx(0.8 * 10_000.0 * 0.012 / (0.0614 / 2.0), rel=1e-3)


def test_decide_entry_given_the_volatility_at_entry_then_rescales_the_levels() -> None:
    plan = planned(profile=BOT3, learning=learning(), view=a_view(sigma=0.04))

    assert float(plan.stop_rate) == pytest.approx(100.01 * (1.0 - 0.5 * 0.04), rel=1e-6)
    assert float(plan.take_profit_rate or 0) == pytest.approx(100.01 * 1.04, rel=1e-6)


def test_decide_entry_given_a_regime_then_applies_its_factors() -> None:
    force = learning()
    assert force.parameters is not None
    factors = {**dict.fromkeys(Regime, (1.0, 1.0)), Regime.VOLATILE: (0.5, 2.0)}
    force = replace(force, parameters=replace(force.parameters, regime_factors=factors))

    plan = planned(profile=BOT3, learning=force, regime=Regime.VOLATILE)

    assert float(plan.stop_rate) == pytest.approx(100.01 * (1.0 - 0.25 * 0.03), rel=1e-6)
    assert float(plan.take_profit_rate or 0) == pytest.approx(100.01 * 1.06, rel=1e-6)


def test_decide_entry_given_parameters_without_the_regime_then_says_so() -> None:
    force = learning()
    assert force.parameters is not None

    with pytest.raises(LearningError, match="no factors for the regime"):
        decided(profile=BOT3, learning=replace(force, parameters=replace(force.parameters, regime_factors={})))


@given(
    sigma=st.floats(0.002, 0.5),
    levels=st.tuples(st.floats(-4.0, -0.2), st.floats(1.0, 6.0)),
    is_short=st.booleans(),
    rate=st.floats(0.01, 1e5),
    cap=st.floats(1.0, 10.0),
)
def test_decide_entry_given_any_levels_then_the_stop_is_twice_nearer_than_liquidation_and_no_cap_is_passed(
    sigma: float, levels: tuple[float, float], is_short: bool, rate: float, cap: float
) -> None:
    force = learning(row={"stop_sigma": levels[0], "take_profit_sigma": levels[1], "lower_bound": 0.05})
    view = a_view(sigma=sigma, rate=rate, mark_rate=rate, market=a_market(rate_tick=Decimal("1e-9"), amount_step=Decimal("1e-9")))

    plan = decided(a_signal(is_short=is_short), profile=a_learned_profile(leverage_cap=cap), learning=force, view=view)

    if isinstance(plan, Hold):
        assert plan.reason in {HoldReason.TARGET_BELOW_COSTS, HoldReason.STOP_WITHIN_SPREAD}
        return
    open_rate = COSTS.entry_rate(rate, is_short=is_short)
    stop_move = move_of_rate(float(plan.stop_rate), open_rate=open_rate, is_short=is_short)
    limit = liquidation_move(leverage=plan.leverage, maintenance_margin_ratio=0.01, is_short=is_short)
    assert limit / LIQUIDATION_DISTANCE - 1e-6 <= stop_move < 0.0
    assert plan.leverage <= cap
    assert plan.stake_abs <= 1_000.0 * (1.0 + 1e-9)
    assert plan.notional_abs <= 10_000.0 * (1.0 + 1e-9)
    assert plan.take_profit_rate is not None
    assert move_of_rate(float(plan.take_profit_rate), open_rate=open_rate, is_short=is_short) > 0.0


def decided_all(signals: list[Signal], **changes: Any) -> list[tuple[Signal, EntryPlan | Hold]]:
    inputs: dict[str, Any] = {
        "profile": BOT3,
        "book": a_book(),
        "views": {pair: a_view(pair) for pair in (BTC, ETH)},
        "learning": learning(),
        "regime": Regime.SIDEWAYS,
        "costs": COSTS,
        "run_mode": RunMode.PAPER,
        "state": TradingState.ACTIVE,
        "now": NOON,
    }
    return decide_entries(signals, **{**inputs, **changes})


def test_decide_entries_given_two_signals_of_a_pair_then_the_most_confident_opens_it() -> None:
    weak, strong = a_signal(confidence=0.6), a_signal(feeder_id="F02", confidence=0.7)

    first, second = decided_all([weak, strong])

    assert first[0] is strong
    assert isinstance(first[1], EntryPlan)
    assert isinstance(second[1], Hold)
    assert second[1].reason is HoldReason.OUTRANKED


def test_decide_entries_given_one_slot_then_the_most_confident_pair_takes_it() -> None:
    verdicts = decided_all([a_signal(BTC, confidence=0.6), a_signal(ETH, confidence=0.7)], profile=a_learned_profile(max_open_trades=1))

    assert [verdict.reason if isinstance(verdict, Hold) else verdict.pair for _, verdict in verdicts] == [ETH, HoldReason.SLOTS_FULL]


def test_decide_entries_given_a_probe_and_a_trusted_feeder_then_the_trusted_one_comes_first() -> None:
    signals = [a_signal(feeder_id="F01", confidence=0.9), a_signal(feeder_id="F02", confidence=0.6)]

    verdicts = decided_all(signals, learning=learning(tiers={**TRADING, "F01": FeederTier.PROBE}))

    assert verdicts[0][0].feeder_id == "F02"


def test_decide_entries_given_a_control_bot_then_does_not_look_at_what_was_learned() -> None:
    shadowed = learning(tiers=dict.fromkeys(FEEDER_IDS, FeederTier.SHADOW), row={"state": ParameterState.SHADOW})

    (verdict,) = decided_all([a_signal()], profile=a_profile(), learning=shadowed)

    assert isinstance(verdict[1], EntryPlan)


def test_decide_entries_given_any_order_then_decides_the_same() -> None:
    signals = [
        a_signal(pair, feeder_id=feeder, confidence=0.6, is_short=short)
        for pair in (BTC, ETH)
        for feeder in FEEDER_IDS
        for short in (True, False)
    ]
    shuffled = [signals[index] for index in np.random.default_rng(7).permutation(len(signals))]

    assert decided_all(shuffled) == decided_all(signals)


def test_decide_entries_given_many_pairs_then_gross_and_margin_run_out_for_the_last() -> None:
    pairs = [f"P{number}/USDT:USDT" for number in range(20)]
    profile = a_learned_profile(max_open_trades=20)

    verdicts = decided_all(
        [a_signal(pair) for pair in pairs],
        profile=profile,
        views={pair: a_view(pair) for pair in pairs},
        learning=learning(row={"lower_bound": 0.02}),
    )

    plans = [verdict for _, verdict in verdicts if isinstance(verdict, EntryPlan)]
    assert sum(plan.notional_abs for plan in plans) <= 30_000.0
    assert sum(plan.stake_abs for plan in plans) <= 10_000.0
    assert {verdict.reason for _, verdict in verdicts if isinstance(verdict, Hold)} == {HoldReason.CAPS}


def test_entry_intent_given_a_plan_then_is_the_same_order_every_time() -> None:
    first, again = (planned().entry_intent(account="paper-BOT1", bot="BOT1", trade_id=1) for _ in range(2))

    assert first.client_order_id == again.client_order_id


@given(
    sigma=st.floats(0.002, 0.5),
    cap=st.floats(1.0, 10.0),
    bracket=st.floats(1.0, 125.0),
    bins=st.sets(st.sampled_from(DEFAULT_BINS.names), min_size=1),
    is_short=st.booleans(),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be loaded
def test_decide_entry_given_any_open_bins_and_caps_then_trades_inside_an_open_bin_nearest_to_the_target_or_says_that_none_is_reachable(
    sigma: float, cap: float, bracket: float, bins: set[str], is_short: bool
) -> None:
    market = a_market(brackets=(LeverageBracket(notional_cap_abs=1e9, max_leverage=bracket, maintenance_margin_ratio=0.01),))
    open_bins = tuple(name for name in DEFAULT_BINS.names if name in bins)
    allowed = [count / 100 for count in range(100, 1_001) if count / 100 <= min(cap, bracket) and DEFAULT_BINS.name_of(count / 100) in bins]

    decision = decided(
        a_signal(is_short=is_short),
        profile=a_learned_profile(leverage_cap=cap),
        view=a_view(sigma=sigma, market=market),
        learning=learning(open_bins=open_bins),
    )

    if isinstance(decision, Hold):
        assert (decision.reason, allowed) == (HoldReason.LEVERAGE_RANGE, [])
        assert decision.detail == {"open_bins": ", ".join(open_bins), "highest": min(cap, bracket)}
    else:
        assert decision.leverage in allowed
        assert abs(decision.leverage - 0.12 / sigma) <= min(abs(other - 0.12 / sigma) for other in allowed)


def test_decide_entry_given_only_the_lowest_bin_open_in_a_calm_market_then_its_own_row_protects() -> None:
    rows = [a_row(state=ParameterState.SHADOW), *(a_row(pair=BTC, direction="long", leverage_bin=name) for name in DEFAULT_BINS.names)]
    rows = [replace(row, state=ParameterState.SHADOW) if row.leverage_bin != "1.0-2.0" else row for row in rows]
    parameters = a_set("p1", *rows, expires_at=NOON + timedelta(days=7), regime_factors=dict.fromkeys(Regime, (1.0, 1.0)))
    open_lowest = replace(learning(open_bins=("1.0-2.0",)), parameters=parameters)

    plan = planned(profile=BOT3, learning=open_lowest, view=a_view(sigma=0.02))

    assert plan.leverage == 1.99
    assert plan.context["parameters_key"] == f"{BTC}|long|1.0-2.0"
