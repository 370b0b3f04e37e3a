"""What was learned, or was not, at an entry: expired and missing learning refuse entries, never exits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot3.market.regimes import Regime
from bot3.trading.orders import IntentLeg, OrderSide, OrderType
from bot3.trading.trades import ExitReason
from execution.bot import Account
from execution.entries import notionals
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, ShelfOfLearning, signal_at
from tests.journals import an_intent
from tests.learned import a_recommendation, a_row, a_set
from tests.markets import CANDLE, FIRST, LIMITS, a_learned_profile

LATER = ENTRY_AT + 6
CLOSE = FIRST + ENTRY_AT * CANDLE
FACTORS = {Regime.SIDEWAYS: (1.0, 1.0)}
PARAMETERS = a_set("v1", known_at=FIRST, regime_factors=FACTORS)
RECOMMENDATION = a_recommendation("m1", known_at=FIRST)


def learned_floor(open_floor: OpenFloor, **published: Any) -> Floor:
    shelf = ShelfOfLearning()
    for noun, value in published.items():
        shelf.publish(noun, value)
    profile = a_learned_profile(longest_trade=timedelta(minutes=20), limits=replace(LIMITS, cool_off=timedelta(0)))
    signals = ScriptedSignals(signal_at(ENTRY_AT), signal_at(LATER))
    return open_floor(profiles=[profile], learning=shelf, signals=signals)


def test_enter_given_nothing_learned_then_probes_with_the_static_set_on_paper(open_floor: OpenFloor) -> None:
    floor = learned_floor(open_floor)

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    (entry,) = floor.intents(IntentLeg.ENTRY, "BOT3")
    assert (entry.context["tier"], entry.context["parameters_key"], entry.context["parameters_version"]) == ("static", "static", None)


def test_enter_given_learning_in_force_then_trades_with_its_row(open_floor: OpenFloor) -> None:
    expires = CLOSE + timedelta(minutes=10)
    floor = learned_floor(open_floor, parameters=PARAMETERS, recommendation=replace(RECOMMENDATION, expires_at=expires))

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    (entry,) = floor.intents(IntentLeg.ENTRY, "BOT3")
    assert (entry.context["parameters_version"], entry.context["recommendation_version"]) == ("v1", "m1")


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        ({"parameters": PARAMETERS}, "missing_recommendation"),
        ({"recommendation": replace(RECOMMENDATION, expires_at=CLOSE + CANDLE)}, "missing_parameters"),
        ({"parameters": PARAMETERS, "recommendation": replace(RECOMMENDATION, expires_at=CLOSE)}, "expired_recommendation"),
        (
            {
                "parameters": replace(PARAMETERS, expires_at=CLOSE),
                "recommendation": replace(RECOMMENDATION, expires_at=CLOSE + CANDLE),
            },
            "expired_parameters",
        ),
    ],
)
def test_enter_given_learning_missing_or_expired_then_holds_and_says_why(
    open_floor: OpenFloor, published: dict[str, Any], reason: str
) -> None:
    floor = learned_floor(open_floor, **published)

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    assert floor.holds("BOT3") == [reason]
    assert floor.intents(IntentLeg.ENTRY, "BOT3") == []


def test_daemon_given_learning_that_expired_since_then_still_leaves(open_floor: OpenFloor) -> None:
    floor = learned_floor(open_floor, parameters=PARAMETERS, recommendation=replace(RECOMMENDATION, expires_at=CLOSE + CANDLE))

    floor.run_candles(ENTRY_AT - 1, LATER)

    assert floor.closed_trade("BOT3").exit_reason == ExitReason.TIME_EXIT.value
    assert floor.holds("BOT3") == ["expired_recommendation"]


def test_daemon_given_learning_that_cannot_be_used_then_enters_nothing_and_still_leaves(open_floor: OpenFloor) -> None:
    unusable = replace(PARAMETERS, version="v2", regime_factors={}, known_at=CLOSE)
    floor = learned_floor(open_floor, parameters=PARAMETERS, recommendation=replace(RECOMMENDATION, expires_at=CLOSE + 20 * CANDLE))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    assert isinstance(floor.learning, ShelfOfLearning)

    floor.learning.publish("parameters", unusable)
    floor.run_candles(ENTRY_AT + 1, LATER + 1)

    assert floor.closed_trade("BOT3").exit_reason == ExitReason.TIME_EXIT.value
    assert len(floor.intents(IntentLeg.ENTRY, "BOT3")) == 1


def test_enter_given_a_row_without_target_then_places_only_a_stop_and_leaves_at_the_horizon(open_floor: OpenFloor) -> None:
    parameters = a_set("v1", a_row(has_target=False), known_at=FIRST, regime_factors=FACTORS)
    floor = learned_floor(
        open_floor, parameters=parameters, recommendation=replace(RECOMMENDATION, expires_at=CLOSE + timedelta(minutes=10))
    )

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    floor.tick_after(1.0)
    resting = floor.resting("BOT3")
    floor.run_candles(ENTRY_AT + 1, LATER)

    assert list(resting) == [OrderType.STOP_MARKET]
    assert floor.intents(IntentLeg.TARGET, "BOT3") == []
    assert floor.closed_trade("BOT3").exit_reason == ExitReason.TIME_EXIT.value


def test_daemon_given_a_new_publication_then_the_next_trade_uses_it(open_floor: OpenFloor) -> None:
    floor = learned_floor(open_floor, parameters=PARAMETERS, recommendation=replace(RECOMMENDATION, expires_at=CLOSE + 20 * CANDLE))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    assert isinstance(floor.learning, ShelfOfLearning)

    floor.learning.publish("parameters", a_set("v2", known_at=CLOSE, regime_factors=FACTORS))
    floor.run_candles(ENTRY_AT + 1, LATER)

    versions = [entry.context["parameters_version"] for entry in floor.intents(IntentLeg.ENTRY, "BOT3")]
    assert versions == ["v1", "v2"]


def test_daemon_given_unchanged_learning_then_does_not_read_it_again(open_floor: OpenFloor) -> None:
    floor = learned_floor(open_floor, parameters=PARAMETERS, recommendation=RECOMMENDATION)
    assert isinstance(floor.learning, ShelfOfLearning)
    floor.daemon.tick()
    floor.tick_after(2.0)
    reads = floor.learning.reads

    floor.tick_after(2.0)

    assert floor.learning.reads == reads


def test_notionals_given_entries_whose_result_is_not_known_then_count_them_at_their_planned_rate_without_a_signal() -> None:
    entry = an_intent(pair="ETH/USDT:USDT", context={"stop_loss": -0.05, "stop_rate": 99.0})  # 5x: the stop is 1 % below 100
    short = an_intent(pair="XRP/USDT:USDT", side=OrderSide.SELL, context={"stop_loss": -0.05, "stop_rate": 101.0})
    unsettled = {intent.client_order_id: intent for intent in (entry, short)}

    found = notionals(Account(positions={}, trades={}, orders={}, unsettled=unsettled, mismatch=None))

    assert found == {"ETH/USDT:USDT": pytest.approx(200.0), "XRP/USDT:USDT": pytest.approx(200.0)}
