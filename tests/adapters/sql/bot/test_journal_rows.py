"""The journal's rows, and back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from bot3.adapters.sql.bot.journal_rows import (
    decision_row,
    fill_of_row,
    fill_row,
    intent_of_row,
    intent_row,
    payment_of_row,
    payment_row,
)
from bot3.adapters.sql.rows import to_us
from bot3.trading.orders import Decision, Intent, IntentLeg, IntentState
from tests.journals import ACCOUNT, OPENED, PAIR, a_fill, a_payment, an_intent, minutes


@pytest.mark.parametrize(
    "intent",
    [
        an_intent(),
        an_intent(IntentLeg.STOP, trigger_rate=Decimal("99.10"), attempt=3, state=IntentState.SENT, sent_at=minutes(1)),
        an_intent(IntentLeg.EXIT, exchange_order_id="77", reject_reason="full", recv_window_ms=9),
    ],
)
def test_intent_given_its_row_then_is_the_same(intent: Intent) -> None:
    row = intent_row(intent)

    found = intent_of_row(SimpleNamespace(**row))

    assert found == intent
    assert str(found.trigger_rate) == str(intent.trigger_rate)
    assert row["client_order_id"] == intent.client_order_id


def test_fills_and_payments_given_their_rows_then_are_the_same_with_every_decimal() -> None:
    fill = replace(a_fill(an_intent(), number=1, rate="100.10", amount="0.300"), is_maker=True)
    payment = a_payment(1, amount="-0.0100", at=5)

    assert fill_of_row(SimpleNamespace(**fill_row(fill))) == fill
    assert payment_of_row(SimpleNamespace(**payment_row(payment))) == payment
    assert (fill_row(fill)["rate"], payment_row(payment)["amount_abs"]) == ("100.10", "-0.0100")


def test_decision_row_given_a_decision_then_has_its_account_and_json() -> None:
    decision = Decision(
        bot="BOT1",
        pair=PAIR,
        candle_close_time=OPENED,
        feeder_id="F01",
        is_short=False,
        confidence=0.6,
        outcome="hold",
        reason="caps",
        detail={"b": 1, "a": None},
    )

    row = decision_row(decision, account=ACCOUNT)

    assert (row["account"], row["candle_close_time_us"], row["detail"]) == (ACCOUNT, to_us(OPENED), '{"a":null,"b":1}')
    assert (row["outcome"], row["reason"], row["client_order_id"]) == ("hold", "caps", None)
