"""Plans to enter, and the journal's rows of decisions."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot3.trading.decisions import EntryPlan, Hold, HoldReason, journal_row
from bot3.trading.orders import IntentLeg, OrderSide, OrderType
from tests.markets import BTC, CANDLE, ETH, NOON, a_book, a_signal


def a_plan(*, is_short: bool = False) -> EntryPlan:
    return EntryPlan(
        pair=BTC,
        is_short=is_short,
        candle_close_time=NOON,
        feeder_id="F01",
        confidence=0.6,
        leverage=4.0,
        amount=Decimal("0.5"),
        notional_abs=50.0,
        stake_abs=12.5,
        stop_rate=Decimal(98),
        take_profit_rate=Decimal(103),
        context={"sigma": 0.03},
    )


@pytest.mark.parametrize(("is_short", "side"), [(False, OrderSide.BUY), (True, OrderSide.SELL)])
def test_entry_intent_given_a_plan_then_is_its_market_order(is_short: bool, side: OrderSide) -> None:
    intent = a_plan(is_short=is_short).entry_intent(account="paper-BOT1", bot="BOT1", trade_id=7)

    assert (intent.leg, intent.order_type, intent.side, intent.reduce_only) == (IntentLeg.ENTRY, OrderType.MARKET, side, False)
    assert (intent.amount, intent.leverage, intent.trade_id, intent.context) == (Decimal("0.5"), 4.0, 7, {"sigma": 0.03})
    assert (intent.account, intent.bot, intent.pair, intent.candle_close_time) == ("paper-BOT1", "BOT1", BTC, NOON)


def test_with_entry_given_a_plan_then_the_book_has_its_position_and_less_margin() -> None:
    book = a_book(notionals={ETH: 20.0}, free_abs=100.0)

    after = book.with_entry(a_plan())

    assert (after.notionals, after.free_abs) == ({ETH: 20.0, BTC: 50.0}, 87.5)
    assert (book.notionals, after.equity_abs) == ({ETH: 20.0}, book.equity_abs)


def test_journal_row_given_a_plan_or_a_hold_then_is_its_reason_and_numbers() -> None:
    signal = a_signal()
    hold = Hold(pair=BTC, reason=HoldReason.CAPS, detail={"free_notional_abs": 1.0})

    planned, held = journal_row("BOT1", signal, a_plan(), client_order_id="b3x-1"), journal_row("BOT1", signal, hold)

    assert (planned.outcome, planned.reason, planned.detail, planned.client_order_id) == ("intent", "entry", {"sigma": 0.03}, "b3x-1")
    assert (held.outcome, held.reason, held.detail, held.client_order_id) == ("hold", "caps", {"free_notional_abs": 1.0}, None)
    for row in (planned, held):
        assert (row.bot, row.pair, row.candle_close_time, row.feeder_id) == ("BOT1", BTC, NOON, "F01")
        assert (row.is_short, row.confidence, signal.candle_open_time) == (False, 0.6, NOON - CANDLE)
