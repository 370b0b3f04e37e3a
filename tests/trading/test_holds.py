"""Holds that depend neither on learning nor on the size."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot3.trading.decisions import Hold, HoldReason
from bot3.trading.holds import hold_of_bot, hold_of_direction, hold_of_market
from bot3.trading.risk import EquityMarks, TradingState
from tests.markets import BTC, ETH, LIMITS, NOON, a_book, a_learned_profile, a_profile, a_signal, a_view

MINUTE = timedelta(minutes=1)


def held_by_bot(*, state: TradingState = TradingState.ACTIVE, is_short: bool = False, **book: Any) -> Hold | None:
    return hold_of_bot(a_signal(is_short=is_short), profile=a_profile(), book=a_book(**book), state=state, now=NOON)


def reason_of(hold: Hold | None) -> HoldReason | None:
    return None if hold is None else hold.reason


def marks(*, day_start: float, peak: float) -> EquityMarks:
    return EquityMarks(day=NOON.date(), day_start_abs=day_start, peak_abs=peak)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"is_short": True}, HoldReason.DIRECTION),
        ({"state": TradingState.HALTED}, HoldReason.HALTED),
        ({"state": TradingState.REDUCING}, HoldReason.REDUCING),
        ({"notionals": {BTC: 50.0}}, HoldReason.POSITION_OPEN),
        ({"notionals": {f"P{n}": 1.0 for n in range(4)}}, None),
        ({"notionals": {f"P{n}": 1.0 for n in range(5)}}, HoldReason.SLOTS_FULL),
        ({"marks": marks(day_start=10_310.0, peak=10_310.0)}, HoldReason.DAILY_LOSS),
        ({"marks": marks(day_start=10_300.0, peak=10_300.0)}, None),
        ({"marks": marks(day_start=10_000.0, peak=11_800.0)}, HoldReason.DRAWDOWN),
        ({"stops": (NOON,) * 4}, HoldReason.STOP_STREAK),
        ({"stops": (NOON,) * 3}, None),
        ({"last_closes": {BTC: NOON - 10 * MINUTE}}, None),
        ({"last_closes": {BTC: NOON - 9 * MINUTE}}, HoldReason.COOL_OFF),
        ({"last_closes": {ETH: NOON}}, None),
    ],
)
def test_hold_of_bot_given_a_state_and_a_book_then_is_the_limit_that_forbids_the_entry(
    changes: dict[str, Any], reason: HoldReason | None
) -> None:
    assert reason_of(held_by_bot(**changes)) is reason


def test_hold_of_bot_given_several_reasons_then_is_the_first_in_the_order_of_the_reasons() -> None:
    everything: dict[str, Any] = {
        "notionals": {BTC: 50.0, **{f"P{n}": 1.0 for n in range(5)}},
        "marks": marks(day_start=20_000.0, peak=20_000.0),
        "stops": (NOON,) * 4,
        "last_closes": {BTC: NOON},
    }

    found = [
        held_by_bot(is_short=True, state=TradingState.HALTED, **everything),
        held_by_bot(state=TradingState.HALTED, **everything),
        held_by_bot(**everything),
        held_by_bot(**{**everything, "notionals": {f"P{n}": 1.0 for n in range(5)}}),
        held_by_bot(**{**everything, "notionals": {}}),
        held_by_bot(stops=everything["stops"], last_closes=everything["last_closes"]),
        held_by_bot(last_closes=everything["last_closes"]),
    ]

    reasons = [hold.reason for hold in found if hold is not None]
    assert reasons == [reason for reason in HoldReason if reason in reasons]
    assert len(set(reasons)) == 7


def test_hold_of_bot_given_a_limit_then_names_the_compared_numbers() -> None:
    loss = held_by_bot(marks=marks(day_start=10_400.0, peak=10_400.0))
    pause = held_by_bot(last_closes={BTC: NOON})

    assert loss is not None
    assert loss.detail == {"loss_ratio": pytest.approx(10_000.0 / 10_400.0 - 1.0), "limit": -0.03}
    assert pause == Hold(pair=BTC, reason=HoldReason.COOL_OFF, detail={"until": (NOON + 10 * MINUTE).isoformat()})


def test_hold_of_direction_given_both_then_there_is_none() -> None:
    assert hold_of_direction(a_signal(is_short=True), profile=a_learned_profile()) is None
    assert hold_of_direction(a_signal(is_short=True), profile=a_profile()) == Hold(
        pair=BTC, reason=HoldReason.DIRECTION, detail={"directions": "long"}
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"candle_close_time": NOON - 15 * MINUTE}, None),
        ({"candle_close_time": NOON - 16 * MINUTE}, HoldReason.STALE_CANDLES),
        ({"rate": 0.0}, HoldReason.NO_RATE),
        ({"rate": math.nan}, HoldReason.NO_RATE),
        ({"rate": math.inf}, HoldReason.NO_RATE),
        ({"mark_rate": 0.0}, HoldReason.NO_RATE),
        ({"mark_rate": math.nan}, HoldReason.NO_RATE),
        ({"mark_rate": math.inf}, HoldReason.NO_RATE),
        ({"rate": 0.5, "mark_rate": 0.5}, None),
        ({"rate": 100.9}, None),
        ({"rate": 101.1}, HoldReason.PRICE_COLLAR),
        ({"rate": 98.9}, HoldReason.PRICE_COLLAR),
        ({"sigma": 0.0}, HoldReason.NO_VOLATILITY),
        ({"sigma": math.nan}, HoldReason.NO_VOLATILITY),
        ({"sigma": math.inf}, HoldReason.NO_VOLATILITY),
    ],
)
def test_hold_of_market_given_the_data_of_a_pair_then_is_what_is_wrong_with_them(
    changes: dict[str, Any], reason: HoldReason | None
) -> None:
    assert reason_of(hold_of_market(a_signal(), view=a_view(**changes), limits=LIMITS, now=NOON)) is reason


def test_hold_of_market_given_an_old_signal_then_is_stale() -> None:
    old = a_signal(known_at=NOON - 16 * MINUTE)

    assert reason_of(hold_of_market(old, view=a_view(), limits=LIMITS, now=NOON)) is HoldReason.STALE_CANDLES
    assert hold_of_market(old, view=a_view(), limits=replace(LIMITS, max_candle_age=16 * MINUTE), now=NOON) is None
