"""Convert planned orders (intents), fills, funding payments and decisions to and from the rows of a bot's database."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from bot3.adapters.sql.rows import from_us, maybe_at, maybe_us, to_json, to_us
from bot3.trading.orders import Decision, Fill, FundingPayment, Intent, IntentLeg, IntentState, OrderSide, OrderType


def intent_row(intent: Intent) -> dict[str, Any]:
    """Return the row of an intent."""
    return {
        "client_order_id": intent.client_order_id,
        "account": intent.account,
        "bot": intent.bot,
        "pair": intent.pair,
        "candle_close_time_us": to_us(intent.candle_close_time),
        "leg": intent.leg.value,
        "side": intent.side.value,
        "order_type": intent.order_type.value,
        "amount": str(intent.amount),
        "leverage": intent.leverage,
        "reduce_only": intent.reduce_only,
        "trade_id": intent.trade_id,
        "context": to_json(dict(intent.context)),
        "trigger_rate": None if intent.trigger_rate is None else str(intent.trigger_rate),
        "attempt": intent.attempt,
        "state": intent.state.value,
        "sent_at_us": maybe_us(intent.sent_at),
        "recv_window_ms": intent.recv_window_ms,
        "exchange_order_id": intent.exchange_order_id,
        "reject_reason": intent.reject_reason,
    }


def intent_of_row(row: Any) -> Intent:
    """Return the intent of a row."""
    return Intent(
        account=row.account,
        bot=row.bot,
        pair=row.pair,
        candle_close_time=from_us(row.candle_close_time_us),
        leg=IntentLeg(row.leg),
        side=OrderSide(row.side),
        order_type=OrderType(row.order_type),
        amount=Decimal(row.amount),
        leverage=row.leverage,
        reduce_only=row.reduce_only,
        trade_id=row.trade_id,
        context=json.loads(row.context),
        trigger_rate=None if row.trigger_rate is None else Decimal(row.trigger_rate),
        attempt=row.attempt,
        state=IntentState(row.state),
        sent_at=maybe_at(row.sent_at_us),
        recv_window_ms=row.recv_window_ms,
        exchange_order_id=row.exchange_order_id,
        reject_reason=row.reject_reason,
    )


def fill_row(fill: Fill) -> dict[str, Any]:
    """Return the row of a fill."""
    return {
        "exchange": fill.exchange,
        "account": fill.account,
        "exchange_trade_id": fill.exchange_trade_id,
        "client_order_id": fill.client_order_id,
        "pair": fill.pair,
        "side": fill.side.value,
        "rate": str(fill.rate),
        "amount": str(fill.amount),
        "fee_abs": str(fill.fee_abs),
        "is_maker": fill.is_maker,
        "filled_at_us": to_us(fill.filled_at),
    }


def fill_of_row(row: Any) -> Fill:
    """Return the fill of a row."""
    return Fill(
        exchange=row.exchange,
        account=row.account,
        exchange_trade_id=row.exchange_trade_id,
        client_order_id=row.client_order_id,
        pair=row.pair,
        side=OrderSide(row.side),
        rate=Decimal(row.rate),
        amount=Decimal(row.amount),
        fee_abs=Decimal(row.fee_abs),
        is_maker=row.is_maker,
        filled_at=from_us(row.filled_at_us),
    )


def payment_row(payment: FundingPayment) -> dict[str, Any]:
    """Return the row of a funding payment."""
    return {
        "exchange": payment.exchange,
        "account": payment.account,
        "payment_id": payment.payment_id,
        "pair": payment.pair,
        "amount_abs": str(payment.amount_abs),
        "paid_at_us": to_us(payment.paid_at),
    }


def payment_of_row(row: Any) -> FundingPayment:
    """Return the funding payment of a row."""
    return FundingPayment(
        exchange=row.exchange,
        account=row.account,
        payment_id=row.payment_id,
        pair=row.pair,
        amount_abs=Decimal(row.amount_abs),
        paid_at=from_us(row.paid_at_us),
    )


def decision_row(decision: Decision, *, account: str) -> dict[str, Any]:
    """Return the row of a decision."""
    return {
        "account": account,
        "bot": decision.bot,
        "pair": decision.pair,
        "candle_close_time_us": to_us(decision.candle_close_time),
        "feeder_id": decision.feeder_id,
        "is_short": decision.is_short,
        "confidence": decision.confidence,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "detail": to_json(dict(decision.detail)),
        "client_order_id": decision.client_order_id,
    }
