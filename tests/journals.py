"""Intents, fills, funding and trades for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bot3.trading.orders import Fill, FundingPayment, Intent, IntentLeg, OrderSide, OrderType
from bot3.trading.trades import RunMode, Trade

OPENED = datetime(2026, 1, 5, 12, tzinfo=UTC)
PAIR = "BTC/USDT:USDT"
ACCOUNT = "paper-BOT1"


def minutes(number: float) -> datetime:
    return OPENED + timedelta(minutes=number)


def an_intent(leg: IntentLeg = IntentLeg.ENTRY, *, trade_id: int = 1, is_short: bool = False, **changes: Any) -> Intent:
    sells = is_short == (leg is IntentLeg.ENTRY)
    types = {IntentLeg.STOP: OrderType.STOP_MARKET, IntentLeg.TARGET: OrderType.TAKE_PROFIT_MARKET}
    entry = {"feeder_id": "F01", "stop_loss": -0.05, "stop_rate": 99.0, "take_profit_rate": 102.0}
    intent = Intent(
        account=ACCOUNT,
        bot="BOT1",
        pair=PAIR,
        candle_close_time=OPENED,
        leg=leg,
        side=OrderSide.SELL if sells else OrderSide.BUY,
        order_type=types.get(leg, OrderType.MARKET),
        amount=Decimal(2),
        leverage=5.0,
        reduce_only=leg is not IntentLeg.ENTRY,
        trade_id=trade_id,
        context=entry if leg is IntentLeg.ENTRY else {"exit_reason": "time_exit"},
    )
    return replace(intent, **changes)


def a_fill(intent: Intent, *, number: int, rate: str, amount: str = "2", at: float = 1.0, fee: str = "0.1") -> Fill:
    return Fill(
        exchange="paper",
        account=intent.account,
        exchange_trade_id=str(number),
        client_order_id=intent.client_order_id,
        pair=intent.pair,
        side=intent.side,
        rate=Decimal(rate),
        amount=Decimal(amount),
        fee_abs=Decimal(fee),
        is_maker=False,
        filled_at=minutes(at),
    )


def a_payment(number: int, *, amount: str, at: float, pair: str = PAIR) -> FundingPayment:
    return FundingPayment(
        exchange="paper", account=ACCOUNT, payment_id=str(number), pair=pair, amount_abs=Decimal(amount), paid_at=minutes(at)
    )


def a_closed_trade(trade_id: int = 1, **changes: Any) -> Trade:
    trade = Trade(
        bot="BOT1",
        run_mode=RunMode.PAPER,
        account=ACCOUNT,
        trade_id=trade_id,
        pair=PAIR,
        is_short=False,
        leverage=5.0,
        open_date=OPENED,
        open_rate=100.0,
        amount=2.0,
        stake_amount=40.0,
        fee_open=0.0005,
        fee_close=0.0005,
        enter_tag="F01",
        is_open=False,
        close_date=minutes(60),
        close_rate=101.0,
        close_profit=0.04,
        close_profit_abs=1.6,
        exit_reason="roi",
        initial_stop_loss_pct=-0.05,
        stop_loss_pct=-0.05,
    )
    return replace(trade, **changes)
