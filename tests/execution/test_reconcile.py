"""Journal and exchange: what differs without an explanation stops entries and says so; nothing is guessed."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from bot3.trading.orders import IntentLeg
from bot3.trading.trades import ExitReason
from tests.execution.faults import QUESTIONS, FaultyExchange, LateFills
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, signal_at, wobble
from tests.journals import an_intent
from tests.markets import BTC, CANDLE, ETH, FIRST, LIMITS, FrameCandles, a_market, a_profile, candle_frame, funding_frame

NEXT = ENTRY_AT + 3
WIDE = replace(LIMITS, daily_loss_reducing=-0.8, daily_loss_halted=-0.9, max_drawdown=-0.9)


def two_pairs(open_floor: OpenFloor, *, btc_at: int = ENTRY_AT, **changes: object) -> Floor:
    """Return a floor that is to hold BTC, and has a signal on ETH later."""
    frames = {pair: candle_frame(wobble(60)) for pair in (BTC, ETH)}
    signals = ScriptedSignals(signal_at(btc_at), signal_at(NEXT, pair=ETH))
    return open_floor(frames=frames, signals=signals, markets=[a_market(BTC), a_market(ETH)], **changes)


def tamper(floor: Floor, statement: str, *values: object) -> None:
    """Change the exchange's own file, as nothing of ours does."""
    connection = sqlite3.connect(floor.home / "exchange-BOT1.sqlite")
    with connection:
        connection.execute(statement, values)
    connection.close()


def test_reconcile_given_a_position_of_another_size_then_stops_entries_at_once_and_latches(open_floor: OpenFloor) -> None:
    floor = two_pairs(open_floor)
    floor.run_candles(ENTRY_AT - 1, NEXT - 1)
    tamper(floor, "UPDATE positions SET amount = '1'")

    floor.run_candles(NEXT, NEXT)
    assert floor.holds() == ["reducing"]
    floor.tick_after(2.5)
    floor.tick_after(0.2)

    state, reason = floor.state()
    assert state == "reducing"
    assert reason.startswith(f"the journal differs from the exchange: {BTC}: ")
    assert reason.endswith("in the journal, 1 on the exchange")


def test_reconcile_given_a_position_that_vanished_then_closes_nothing_in_the_journal(open_floor: OpenFloor) -> None:
    floor = two_pairs(open_floor)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    tamper(floor, "DELETE FROM positions")

    for _ in range(4):
        floor.tick_after(1.0)

    assert floor.open_trade().is_open
    assert floor.state()[0] == "reducing"
    assert floor.state()[1].endswith("in the journal, 0 on the exchange")


def test_reconcile_given_a_mismatch_at_start_up_then_latches_before_anything_is_decided(open_floor: OpenFloor) -> None:
    floor = two_pairs(open_floor)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    tamper(floor, "UPDATE positions SET amount = '1'")

    floor.reopen()
    floor.daemon.tick()

    assert floor.state()[0] == "reducing"


def test_reconcile_given_a_mismatch_that_was_explained_then_entries_wait_for_a_person(open_floor: OpenFloor) -> None:
    floor = two_pairs(open_floor)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    amount = str(floor.exchanges["BOT1"].fetch_positions()[0].amount)
    tamper(floor, "UPDATE positions SET amount = '1'")
    floor.tick_after(0.2)
    floor.tick_after(2.5)
    tamper(floor, "UPDATE positions SET amount = ?", amount)

    floor.run_candles(NEXT, NEXT)

    assert floor.holds() == ["reducing"]


def test_reconcile_given_a_fill_that_no_intent_explains_then_stops_entries_and_names_it(open_floor: OpenFloor) -> None:
    floor = two_pairs(open_floor, btc_at=NEXT)
    floor.daemon.tick()
    stranger = an_intent(IntentLeg.ENTRY, trade_id=99)
    floor.exchanges["BOT1"].create_order(stranger)

    floor.run_candles(NEXT, NEXT)

    assert floor.state()[0] == "reducing"
    assert stranger.client_order_id in floor.state()[1]
    assert set(floor.holds()) == {"reducing"}


def test_reconcile_given_a_resting_order_of_a_stranger_then_tells_once_and_leaves_it(entered: Floor) -> None:
    columns = "client_order_id, pair, side, order_type, amount, filled, trigger_rate, average_rate, status, created_us"
    tamper(
        entered,
        f"INSERT INTO orders ({columns}) VALUES ('web-1', ?, 'sell', 'stop_market', '1', '0', '50', NULL, 'open', 0)",  # noqa: S608  # a constant
        BTC,
    )

    with capture_logs() as logs:
        entered.tick_after(0.2)
        entered.tick_after(0.2)

    assert [entry["client_order_id"] for entry in logs if entry["event"] == "foreign_order_found"] == ["web-1"]
    assert "web-1" in {order.client_order_id for order in entered.exchanges["BOT1"].fetch_open_orders()}


def test_reconcile_given_a_stranger_s_order_that_is_gone_then_forgets_it_and_reports_it_if_it_comes_back(entered: Floor) -> None:
    def insert() -> None:
        columns = "client_order_id, pair, side, order_type, amount, filled, trigger_rate, average_rate, status, created_us"
        tamper(
            entered,
            f"INSERT INTO orders ({columns}) VALUES ('web-1', ?, 'sell', 'stop_market', '1', '0', '50', NULL, 'open', 0)",  # noqa: S608  # a constant
            BTC,
        )

    with capture_logs() as logs:
        insert()
        entered.tick_after(0.2)
        tamper(entered, "DELETE FROM orders WHERE client_order_id = 'web-1'")
        entered.tick_after(0.2)
        insert()
        entered.tick_after(0.2)

    assert [entry["client_order_id"] for entry in logs if entry["event"] == "foreign_order_found"] == ["web-1", "web-1"]


def test_reconcile_given_an_exchange_that_cannot_be_asked_then_believes_nothing(open_floor: OpenFloor) -> None:
    floor = two_pairs(open_floor, wrap_exchange=FaultyExchange)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    exchange = floor.bots["BOT1"].exchange
    assert isinstance(exchange, FaultyExchange)

    exchange.away = QUESTIONS
    floor.run_candles(ENTRY_AT + 1, NEXT)
    assert floor.open_trade().is_open
    assert floor.state() == ("active", "")
    exchange.away = frozenset()
    floor.tick_after(0.2)

    # The close is decided on late, while its signal is fresh.
    assert {trade.pair for trade in floor.stores["BOT1"].open_trades()} == {BTC, ETH}


def test_reconcile_given_a_liquidation_then_books_it_and_halts(open_floor: OpenFloor) -> None:
    floor = open_floor([*wobble(ENTRY_AT + 1), (60.0, 60.5, 59.5, 60.0), *wobble(20, rate=60.0)], profiles=[a_profile(limits=WIDE)])

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT + 3)

    trade = floor.closed_trade()
    assert trade.exit_reason == ExitReason.LIQUIDATION.value
    assert -1.01 < (trade.close_profit or 0.0) < -0.99
    assert floor.state()[0] == "halted"
    assert "was liquidated" in floor.state()[1]
    assert floor.resting() == {}


def test_reconcile_given_a_fill_that_is_reported_after_a_later_one_then_books_it(open_floor: OpenFloor) -> None:
    floor = two_pairs(open_floor, btc_at=NEXT, wrap_exchange=LateFills)
    exchange = floor.bots["BOT1"].exchange
    assert isinstance(exchange, LateFills)
    exchange.clock, exchange.late = floor.clock, frozenset({BTC})
    floor.run_candles(ENTRY_AT - 1, NEXT)
    assert {trade.pair for trade in floor.stores["BOT1"].open_trades()} == {ETH}

    exchange.late = frozenset()
    floor.tick_after(0.5)

    assert {trade.pair for trade in floor.stores["BOT1"].open_trades()} == {BTC, ETH}
    assert floor.state() == ("active", "")


def test_reconcile_given_funding_known_after_the_trade_closed_then_corrects_it_once(open_floor: OpenFloor) -> None:
    late, on_time = FIRST + (ENTRY_AT + 1) * CANDLE, FIRST + (ENTRY_AT + 4) * CANDLE
    known, all_of_it = funding_frame([on_time], [0.002]), funding_frame([late, on_time], [0.001, 0.002])
    floor = open_floor(profiles=[a_profile(longest_trade=timedelta(minutes=20))], funding={BTC: known})
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT + 8)
    before = floor.closed_trade()
    candles = floor.bots["BOT1"].shared.candles
    assert isinstance(candles, FrameCandles)

    candles.learn_funding(BTC, all_of_it)
    floor.run_candles(ENTRY_AT + 9, ENTRY_AT + 10)
    corrected = floor.closed_trade()
    floor.funding = {BTC: all_of_it}
    floor.reopen()
    floor.run_candles(ENTRY_AT + 11, ENTRY_AT + 11)

    assert before.funding_fees == pytest.approx(-0.002 * before.amount * 100.0, rel=2e-3)
    assert corrected.funding_fees == pytest.approx(1.5 * before.funding_fees, rel=2e-3)
    assert corrected.close_profit_abs == pytest.approx((before.close_profit_abs or 0.0) + corrected.funding_fees - before.funding_fees)
    assert floor.closed_trade() == corrected
    wallet = float(floor.exchanges["BOT1"].fetch_balance().wallet_abs)
    assert wallet == pytest.approx(10_000.0 + (corrected.close_profit_abs or 0.0))
