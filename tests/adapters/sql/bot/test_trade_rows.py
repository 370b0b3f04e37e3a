"""Trades and orders in freqtrade's columns, and back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bot3.adapters.sql.bot.trade_rows import TRADE_COLUMNS, ledger_row, order_row, trade_of_row, trade_row
from bot3.trading.ledger import LedgerOrder, project_trade
from bot3.trading.orders import Intent, IntentLeg, IntentState
from bot3.trading.trades import OrderPattern, RunMode, Trade
from tests.journals import ACCOUNT, OPENED, a_closed_trade, a_fill, an_intent, minutes

LONG = a_closed_trade(fee_open=0.001, fee_close=0.002)
OPEN = replace(LONG, is_open=True, close_date=None, close_rate=None, close_profit=None, close_profit_abs=None, exit_reason=None)


def row_of(trade: Trade) -> dict[str, Any]:
    return trade_row(trade, exchange="binance", strategy="BOT1")


def test_trade_row_given_a_closed_long_then_has_freqtrades_values() -> None:
    row = row_of(LONG)

    assert (row["id"], row["exchange"], row["strategy"], row["base_currency"]) == (1, "binance", "BOT1", "BTC")
    assert {row[name] for name in ("stake_currency", "fee_open_currency", "fee_close_currency")} == {"USDT"}
    # 2 at 100, closed at 101.
    assert (row["fee_open_cost"], row["fee_close_cost"]) == (pytest.approx(0.2), pytest.approx(0.404))
    assert (row["open_trade_value"], row["realized_profit"]) == (pytest.approx(200.2), 1.6)
    assert (row["stop_loss"], row["initial_stop_loss"]) == (pytest.approx(99.0), pytest.approx(99.0))  # 5 % of the stake at 5x
    assert (row["open_date"], row["close_date"]) == (OPENED.replace(tzinfo=None), minutes(60).replace(tzinfo=None))
    assert (row["exit_order_status"], row["timeframe"], row["record_version"], row["trading_mode"]) == ("closed", 5, 2, "FUTURES")
    assert (row["contract_size"], row["interest_rate"], row["is_stop_loss_trailing"]) == (1.0, 0.0, False)
    assert (row["amount_requested"], row["max_stake_amount"], row["close_profit_abs"]) == (2.0, 40.0, 1.6)


def test_trade_row_given_a_short_then_its_fee_lowers_the_value_and_its_stop_is_above() -> None:
    row = row_of(replace(LONG, is_short=True, stop_loss_pct=-0.1))

    assert row["open_trade_value"] == pytest.approx(199.8)
    assert (row["stop_loss"], row["initial_stop_loss"]) == (pytest.approx(102.0), pytest.approx(101.0))


def test_trade_row_given_an_open_trade_then_has_no_close() -> None:
    row = row_of(replace(OPEN, stop_loss_pct=None))

    assert (row["fee_close_cost"], row["fee_close_currency"], row["close_date"], row["exit_order_status"]) == (None, None, None, None)
    assert (row["realized_profit"], row["stop_loss"], row["initial_stop_loss"]) == (0.0, None, pytest.approx(99.0))


@pytest.mark.parametrize("trade", [LONG, OPEN, replace(LONG, is_short=True, close_profit=-0.5, close_profit_abs=-20.0)])
def test_trade_of_row_given_the_row_of_a_trade_then_is_that_trade(trade: Trade) -> None:
    row = row_of(trade)
    stored = SimpleNamespace(**{column.name: row[column.name] for column in TRADE_COLUMNS})

    assert trade_of_row(stored, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT) == trade


def test_trade_of_row_given_an_open_trade_with_a_partial_exit_then_its_close_is_left_out() -> None:
    row = row_of(OPEN) | {"close_rate": 101.0, "close_profit": 0.01, "close_profit_abs": 0.4, "exit_reason": "roi"}
    stored = SimpleNamespace(**{column.name: row[column.name] for column in TRADE_COLUMNS})

    found = trade_of_row(stored, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT, order_pattern=OrderPattern.MULTIPLE)

    assert found == replace(OPEN, order_pattern=OrderPattern.MULTIPLE)


@pytest.mark.parametrize(("is_short", "value"), [(False, 200.0 * (1.0 + 0.0005)), (True, 200.0 * (1.0 - 0.0005))])
def test_ledger_row_given_booked_fills_then_has_the_fees_that_were_paid(is_short: bool, value: float) -> None:
    entry = an_intent(is_short=is_short)
    ledger = project_trade(bot="BOT1", run_mode=RunMode.PAPER, intents=[entry], fills=[a_fill(entry, number=1, rate="100")], funding=[])
    assert ledger is not None

    row = ledger_row(ledger, exchange="paper", strategy="BOT1")

    assert (row["fee_open_cost"], row["fee_close_cost"], row["realized_profit"]) == (0.1, None, 0.0)
    assert row["open_trade_value"] == pytest.approx(value)
    assert (row["max_stake_amount"], row["amount_requested"], row["close_profit"]) == (40.0, 2.0, None)
    assert (row["stop_loss"], row["initial_stop_loss"], row["close_rate_requested"]) == (99.0, 99.0, None)


def ledger_order(intent: Intent, **changes: Any) -> LedgerOrder:
    filled = LedgerOrder(
        intent=intent, status="closed", filled=Decimal("1.5"), average_rate=Decimal(101), last_fill_at=minutes(3), tag="roi"
    )
    return replace(filled, **changes)


def test_order_row_given_a_filled_entry_then_has_freqtrades_values() -> None:
    intent = an_intent(state=IntentState.DONE)

    row = order_row(ledger_order(intent), order_pk=9)

    assert (row["id"], row["ft_trade_id"], row["ft_order_side"], row["side"], row["order_type"]) == (9, 1, "buy", "buy", "market")
    assert (row["amount"], row["filled"], row["remaining"], row["cost"]) == (2.0, 1.5, 0.5, 151.5)
    assert (row["ft_price"], row["price"], row["average"], row["stop_price"]) == (101.0, 101.0, 101.0, None)
    assert (row["order_id"], row["ft_is_open"], row["ft_order_tag"]) == (intent.client_order_id, False, "roi")
    dates = (row["order_date"], row["order_filled_date"], row["order_update_date"])
    assert dates == (OPENED.replace(tzinfo=None), minutes(3).replace(tzinfo=None), minutes(3).replace(tzinfo=None))


def test_order_row_given_a_resting_stop_then_has_its_trigger() -> None:
    intent = an_intent(IntentLeg.STOP, trigger_rate=Decimal(99), exchange_order_id="77", reject_reason="none")
    resting = ledger_order(intent, status="open", filled=Decimal(0), average_rate=None, last_fill_at=None)

    row = order_row(resting, order_pk=9)

    assert (row["ft_order_side"], row["side"], row["order_id"], row["ft_is_open"]) == ("stoploss", "sell", "77", True)
    assert (row["ft_price"], row["price"], row["stop_price"], row["average"], row["cost"]) == (99.0, 99.0, 99.0, None, None)
    assert (row["remaining"], row["order_filled_date"], row["ft_cancel_reason"]) == (2.0, None, "none")
    assert row["order_update_date"] == row["order_date"]


def test_order_row_given_a_filled_stop_then_its_price_is_its_average_and_freqtrades_its_trigger() -> None:
    row = order_row(ledger_order(an_intent(IntentLeg.STOP, trigger_rate=Decimal(99)), filled=Decimal("2.5")), order_pk=9)

    assert (row["ft_price"], row["price"], row["remaining"]) == (99.0, 101.0, 0.0)


def test_order_row_given_an_unfilled_market_order_then_its_price_is_zero() -> None:
    row = order_row(ledger_order(an_intent(), filled=Decimal(0), average_rate=None, last_fill_at=None), order_pk=9)

    assert (row["ft_price"], row["price"]) == (0.0, None)
