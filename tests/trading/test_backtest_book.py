"""The book of a backtest: positions, wallet, limits and the state for the next span."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_us
from bot3.trading.backtest_book import BacktestBook, BacktestState
from bot3.trading.costs import close_profit
from bot3.trading.decisions import EntryPlan, HoldReason
from bot3.trading.exit_rules import ExitRule
from tests.markets import BTC, CANDLE, COSTS, ETH, FIRST, a_market, a_profile, arrays, candle_frame

CANDLE_US = CANDLE // timedelta(microseconds=1)
FIRST_US = instant_us(FIRST)
QUIET = (100.0, 100.1, 99.9, 100.0)
END = FIRST + 20 * CANDLE
Rows = Sequence[tuple[float, float, float, float]]


def at(candle: int) -> int:
    return FIRST_US + candle * CANDLE_US


def a_plan(pair: str = BTC, *, is_short: bool = False, candles: int = 1_000) -> EntryPlan:
    rule = ExitRule(giveback_activation_move=0.5, giveback_share=0.5, expires_at=FIRST + candles * CANDLE)
    side = -1 if is_short else 1
    return EntryPlan(
        pair=pair,
        is_short=is_short,
        candle_close_time=FIRST,
        feeder_id="F01",
        confidence=0.6,
        leverage=5.0,
        amount=Decimal(10),
        notional_abs=1_000.0,
        stake_abs=200.0,
        stop_rate=Decimal(100 - 2 * side),
        take_profit_rate=Decimal(100 + 3 * side),
        context={**rule.context(), "stop_loss": -0.1, "liquidation_price": 80.5},
    )


def a_book(rows: Rows, *, start: datetime = FIRST, state: BacktestState | None = None, **profile: Any) -> BacktestBook:
    candles = {pair: arrays(candle_frame(list(rows)), sigma=0.02) for pair in (BTC, ETH)}
    markets = {pair: a_market(pair) for pair in candles}
    return BacktestBook(
        profile=a_profile(**profile), candles=candles, markets=markets, costs=COSTS, candle=CANDLE, start=start, end=END, state=state
    )


def entered(rows: Rows, *, is_short: bool = False, **profile: Any) -> BacktestBook:
    """Return a book with a position of 10 at 100 from the second candle's open on."""
    book = a_book([QUIET, *rows], **profile)
    book.enter(a_plan(is_short=is_short), at_us=at(1), rate=100.0)
    return book


def test_view_given_a_close_then_is_the_next_open_and_what_was_known_before() -> None:
    book = a_book([(100.0, 101.0, 99.0, 100.5), (102.0, 103.0, 101.0, 101.5)])

    view, last = book.view(BTC, at(1)), book.view(BTC, at(2))

    assert view is not None
    assert last is not None
    assert (view.rate, view.mark_rate, view.candle_close_time) == (102.0, 100.5, FIRST + CANDLE)
    assert (view.sigma, last.sigma) == (0.02, pytest.approx(0.02 * 1.2 ** np.sin(1.0)))
    assert (np.isnan(last.rate), last.mark_rate, last.candle_close_time) == (True, 101.5, FIRST + 2 * CANDLE)
    assert (book.view(BTC, at(0)), book.view("XRP/USDT", at(1))) == (None, None)


@pytest.mark.parametrize(("is_short", "rate"), [(False, 100.01), (True, 99.99)])
def test_enter_given_a_plan_then_pays_the_fee_and_uses_the_margin(is_short: bool, rate: float) -> None:
    book = entered([QUIET] * 4, is_short=is_short)

    found = book.at(at(1))

    fee = 10.0 * rate * 0.0005
    assert found.notionals == {BTC: pytest.approx(10.0 * rate)}
    assert found.equity_abs == pytest.approx(10_000.0 - fee)
    assert found.free_abs == pytest.approx(10_000.0 - fee - 10.0 * rate / 5.0)
    assert book.held[BTC].entry_fee_abs == pytest.approx(fee)
    assert book.held[BTC].maintenance_margin_ratio == 0.01


def test_at_given_a_close_later_then_equity_has_the_open_profit_and_the_free_margin_has_not() -> None:
    book = entered([QUIET, (101.0, 101.5, 100.5, 101.0), QUIET])
    book.advance(at(2))

    found = book.at(at(2))

    fee = 1_000.1 * 0.0005
    assert found.equity_abs == pytest.approx(10_000.0 - fee + 10.0 * (101.0 - 100.01))
    assert found.free_abs == pytest.approx(10_000.0 - fee - 1_000.1 / 5.0)
    assert found.marks.peak_abs == pytest.approx(found.equity_abs)


@pytest.mark.parametrize(
    ("is_short", "candle", "close_rate", "reason"),
    [
        (False, (100.0, 103.5, 99.5, 103.0), 103.0 * 0.9999, "roi"),
        (False, (100.0, 100.5, 97.5, 98.0), 98.0 * 0.9996, "stop_loss"),
        (True, (100.0, 100.5, 96.5, 97.0), 97.0 * 1.0001, "roi"),
        (True, (100.0, 102.5, 99.5, 102.0), 102.0 * 1.0004, "stop_loss"),
    ],
)
def test_finish_given_an_exit_then_the_wallet_has_the_trades_profit(
    is_short: bool, candle: tuple[float, float, float, float], close_rate: float, reason: str
) -> None:
    book = entered([QUIET, candle, QUIET], is_short=is_short)

    [trade] = book.finish(instant_us(END))

    open_rate = 99.99 if is_short else 100.01
    ratio = close_profit(open_rate=open_rate, close_rate=close_rate, is_short=is_short, leverage=5.0, fee_open=0.0005, fee_close=0.0005)
    side = -1.0 if is_short else 1.0
    profit = ratio * (10.0 * open_rate * (1.0 + side * 0.0005)) / 5.0
    assert (trade.exit_reason, trade.close_rate, trade.close_profit) == (reason, pytest.approx(close_rate), pytest.approx(ratio))
    assert trade.close_profit_abs == pytest.approx(profit)
    assert trade.close_profit_abs == pytest.approx(side * 10.0 * (close_rate - open_rate) - 10.0 * 0.0005 * (open_rate + close_rate))
    assert (trade.open_date, trade.close_date) == (FIRST + CANDLE, FIRST + 3 * CANDLE)
    assert (trade.trade_id, trade.account, trade.enter_tag, trade.amount) == (1, "history-BOT1", "F01", 10.0)
    assert (trade.stake_amount, trade.stop_loss_pct, trade.liquidation_price) == (pytest.approx(2.0 * open_rate), -0.1, 80.5)
    state = book.state()
    assert state.wallet_abs == pytest.approx(10_000.0 + profit)
    assert (state.open_trades, state.last_closes, state.next_trade_id) == ((), {BTC: FIRST + 3 * CANDLE}, 2)
    assert state.stops == ((FIRST + 3 * CANDLE,) if reason == "stop_loss" else ())


def test_advance_given_a_close_at_an_instant_then_the_trade_is_gone_from_then_on() -> None:
    book = entered([QUIET, (100.0, 103.5, 99.5, 103.0), QUIET])

    book.advance(at(3) - 1)
    before = set(book.held)
    book.advance(at(3))

    assert (before, set(book.held)) == ({BTC}, set())


def test_latched_given_a_daily_loss_then_blocks_entries_until_the_next_day_and_counts_once() -> None:
    rows = [QUIET, (98.5, 99.0, 98.2, 98.5), QUIET, QUIET]
    book = entered(rows, wallet_abs=300.0)

    book.advance(at(2))

    # 10 units that fall by 1.5 lose 15 of 300 and the fee: more than 3 %.
    assert book.latched(at(2)) is HoldReason.DAILY_LOSS
    assert book.latched(FIRST_US + 86_400_000_000 - 1) is HoldReason.DAILY_LOSS
    assert book.latched(FIRST_US + 86_400_000_000) is None
    assert book.halts == {HoldReason.DAILY_LOSS: 1}


def test_book_given_the_state_of_a_span_then_continues_as_if_it_had_not_ended() -> None:
    rows = [QUIET, QUIET, QUIET, (100.5, 101.0, 100.0, 100.8), (100.8, 103.5, 100.0, 103.0), QUIET]
    whole = a_book(rows)
    whole.enter(a_plan(), at_us=at(1), rate=100.0)
    whole.enter(a_plan(ETH, is_short=True), at_us=at(2), rate=100.0)
    trades = whole.finish(instant_us(END))

    first = a_book(rows)
    first.enter(a_plan(), at_us=at(1), rate=100.0)
    first.enter(a_plan(ETH, is_short=True), at_us=at(2), rate=100.0)
    closed = first.finish(at(3))
    state = first.state()
    second = a_book(rows, start=FIRST + 3 * CANDLE, state=state)

    assert [trade.trade_id for trade in state.open_trades] == [1, 2]
    assert (closed + second.finish(instant_us(END)), second.state()) == (trades, whole.state())


def test_book_given_a_span_that_was_judged_already_then_is_refused() -> None:
    book = a_book([QUIET] * 4)
    book.finish(at(3))

    with pytest.raises(InvalidTradeError, match="start the span after it"):
        a_book([QUIET] * 4, start=FIRST + 2 * CANDLE, state=book.state())


@pytest.mark.parametrize("candle", [5, 4])
def test_enter_given_no_candle_at_its_instant_then_is_refused(candle: int) -> None:
    with pytest.raises(InvalidTradeError, match="is missing: load it"):
        a_book([QUIET] * 4).enter(a_plan(), at_us=at(candle), rate=100.0)


def test_stops_given_more_than_a_streak_then_only_the_newest_of_a_streak_stay() -> None:
    stopped = (100.0, 100.5, 97.5, 98.0)
    book = a_book([QUIET, *[stopped] * 6, QUIET])
    for candle in range(1, 7):
        book.advance(at(candle))
        book.enter(a_plan(), at_us=at(candle), rate=100.0)
    book.finish(instant_us(END))

    assert book.state().stops == tuple(FIRST + candle * CANDLE for candle in (4, 5, 6, 7))
