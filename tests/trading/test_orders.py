"""Intents and the order ids made from them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bot3.errors import InvalidTradeError
from bot3.trading.orders import IntentLeg
from tests.journals import an_intent, minutes


def test_client_order_id_given_the_same_decision_then_is_the_same_whatever_else_changed() -> None:
    intent = an_intent()
    other = replace(intent, amount=Decimal(9), leverage=2.0, context={}, sent_at=minutes(1), exchange_order_id="77")

    assert other.client_order_id == intent.client_order_id
    assert (len(intent.client_order_id), intent.client_order_id[:2], intent.client_order_id[-2:]) == (28, "b3", "-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "paper-BOT2"},
        {"bot": "BOT2"},
        {"pair": "ETH/USDT:USDT"},
        {"candle_close_time": minutes(5)},
        {"leg": IntentLeg.EXIT},
        {"trade_id": 2},
        {"attempt": 2},
    ],
)
def test_client_order_id_given_another_decision_or_attempt_then_is_another(changes: dict[str, Any]) -> None:
    intent = an_intent()

    other = replace(intent, **changes)

    assert other.client_order_id != intent.client_order_id
    assert other.client_order_id.endswith(f"-{other.attempt}")


@pytest.mark.parametrize("amount", [Decimal(0), Decimal("-0.1")])
def test_intent_given_an_amount_not_above_zero_then_is_refused(amount: Decimal) -> None:
    with pytest.raises(InvalidTradeError, match="must be above 0"):
        an_intent(amount=amount)
