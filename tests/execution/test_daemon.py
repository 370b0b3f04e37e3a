"""The loop: clocks that jump, stores that are locked or full, bots that fail alone, and an end in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot3.errors import InvalidTradeError, StoreBusyError, StoreFullError
from bot3.ports.control import Heartbeat
from bot3.trading.orders import Decision, IntentLeg, OrderType
from tests.clocks import MovableClock
from tests.execution.faults import Fault, FaultyExchange
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, locked, signal_at, wobble
from tests.markets import CANDLE, ETH, FIRST, a_profile

CRASHES = (100.0, 100.1, 92.0, 95.0)
PEAK = (100.0, 100.6, 99.9, 100.0)


@contextmanager
def full(floor: Floor) -> Iterator[None]:
    """Let the bot's store have no room: its file may not grow, and what is free in it for a decision is taken."""
    store = floor.stores["BOT1"]
    with store._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with suppress(StoreFullError):
        for number in range(1_000):
            store.record_decisions([a_decision(FIRST - number * CANDLE)])
    with pytest.raises(StoreFullError):
        store.record_decisions([a_decision(FIRST + CANDLE)])
    yield
    with store._database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


def a_decision(at: datetime) -> Decision:
    return Decision(
        bot="BOT1", pair=ETH, candle_close_time=at, feeder_id="F09", is_short=False, confidence=0.5, outcome="hold", reason="outranked"
    )


def beat(floor: Floor) -> Heartbeat:
    (found,) = floor.control.heartbeats()
    return found


def events(logs: list[Any]) -> list[str]:
    return [str(entry["event"]) for entry in logs]


def test_tick_given_a_clock_that_jumped_ahead_then_looks_at_every_candle_and_enters_on_none_of_them(open_floor: OpenFloor) -> None:
    rows = [*wobble(ENTRY_AT + 1), PEAK, CRASHES, *wobble(40)]
    floor = open_floor(rows, signals=ScriptedSignals(signal_at(ENTRY_AT), signal_at(ENTRY_AT + 8)))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    with capture_logs() as logs:
        floor.run_candles(ENTRY_AT + 20, ENTRY_AT + 20)

    trade = floor.closed_trade()
    assert trade.exit_reason == "stop_loss"
    assert trade.close_date == trade.open_date.replace(second=0, microsecond=0) + 3 * CANDLE
    assert trade.max_rate == PEAK[1]
    assert len(floor.intents(IntentLeg.ENTRY)) == 1
    assert "candles_skipped" in events(logs)


def test_tick_given_a_clock_set_back_then_decides_nothing_twice_and_goes_on(open_floor: OpenFloor) -> None:
    floor = open_floor(signals=ScriptedSignals(signal_at(ENTRY_AT), signal_at(ENTRY_AT + 3)))
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT + 2)
    asked = list(floor.signals.asked)

    with capture_logs() as logs:
        floor.tick_after(-(3 * CANDLE).total_seconds() / floor.speed)
        floor.tick_after(0.2)
    assert floor.signals.asked == asked
    assert events(logs).count("market_time_set_back") == 1
    assert set(floor.resting()) == {OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET}

    floor.run_candles(ENTRY_AT + 3, ENTRY_AT + 3)
    assert floor.holds() == ["position_open"]
    assert len(floor.intents(IntentLeg.STOP)) == 1


def test_tick_given_a_wall_clock_set_back_then_goes_on_giving_signs_of_life(entered: Floor) -> None:
    entered.tick_after(-3_600.0)

    assert beat(entered).wall_at == entered.clock.wall_now()


def test_tick_given_a_locked_store_then_waits_and_decides_while_the_signal_is_fresh(open_floor: OpenFloor) -> None:
    floor = open_floor(busy_timeout_s=0.01)
    floor.daemon.tick()
    floor.to_close_of(ENTRY_AT)

    with locked(floor, "BOT1.sqlite"), capture_logs() as logs:
        floor.daemon.tick()
    assert "tick_delayed" in events(logs)
    assert floor.exchanges["BOT1"].fetch_positions() == []

    floor.tick_after(0.5)
    assert floor.open_trade().is_open


def test_tick_given_an_exchange_that_is_busy_at_a_decision_then_decides_while_the_signal_is_fresh(open_floor: OpenFloor) -> None:
    floor = open_floor(wrap_exchange=FaultyExchange)
    floor.daemon.tick()
    exchange = floor.bots["BOT1"].exchange
    assert isinstance(exchange, FaultyExchange)

    exchange.away = frozenset({"fetch_balance"})
    floor.run_candles(ENTRY_AT, ENTRY_AT)
    assert floor.intents(IntentLeg.ENTRY) == []
    exchange.away = frozenset()
    floor.tick_after(0.5)

    assert floor.open_trade().is_open


def test_tick_given_a_store_locked_right_after_the_entry_was_sent_then_books_and_protects_it_later(open_floor: OpenFloor) -> None:
    floor = open_floor(busy_timeout_s=0.01, wrap_exchange=FaultyExchange)
    exchange = floor.bots["BOT1"].exchange
    assert isinstance(exchange, FaultyExchange)
    holder = sqlite3.connect(floor.home / "BOT1.sqlite", isolation_level=None)
    exchange.watch = lambda _: holder.execute("BEGIN IMMEDIATE")

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    assert [intent.leg for intent in exchange.sent] == [IntentLeg.ENTRY]
    exchange.watch = lambda _: None
    holder.execute("ROLLBACK")
    holder.close()
    floor.tick_after(0.5)

    assert floor.open_trade().is_open
    assert OrderType.STOP_MARKET in floor.resting()
    assert len(floor.intents(IntentLeg.ENTRY)) == 1


def test_tick_given_a_full_store_then_sends_nothing_and_enters_again_once_there_is_room(open_floor: OpenFloor) -> None:
    closes = range(ENTRY_AT, ENTRY_AT + 12)
    floor = open_floor(signals=ScriptedSignals(*(signal_at(number) for number in closes)), wrap_exchange=FaultyExchange)
    floor.daemon.tick()
    exchange = floor.bots["BOT1"].exchange
    assert isinstance(exchange, FaultyExchange)

    with full(floor), capture_logs() as logs:
        floor.run_candles(ENTRY_AT, ENTRY_AT + 2)
    assert exchange.sent == []
    assert "entries_stopped" in events(logs)

    floor.run_candles(ENTRY_AT + 3, ENTRY_AT + 11)
    assert len(floor.intents(IntentLeg.ENTRY)) == 1
    assert OrderType.STOP_MARKET in floor.resting()


def test_tick_given_a_store_that_fills_up_then_the_stop_on_the_exchange_still_closes(open_floor: OpenFloor) -> None:
    floor = open_floor([*wobble(ENTRY_AT + 1), CRASHES, *wobble(30)])
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    with full(floor):
        floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 3)
        assert floor.exchanges["BOT1"].fetch_positions() == []
    floor.tick_after(0.5)

    assert floor.closed_trade().exit_reason == "stop_loss"
    assert floor.state() == ("active", "")


def test_tick_given_a_bug_in_one_bot_then_the_others_trade(open_floor: OpenFloor) -> None:
    broken = Fault(RuntimeError("a bug"))
    floor = open_floor(
        profiles=[a_profile(name="BOT1"), a_profile(name="BOT3")],
        wrap_exchange=lambda real: FaultyExchange(real, [broken] if real.account == "paper-BOT1" else []),
    )

    with capture_logs() as logs:
        floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    assert "tick_failed" in events(logs)
    assert floor.open_trade("BOT3").is_open
    assert floor.stores["BOT1"].open_trades() == []


def test_tick_given_an_impossible_trade_then_ends_the_process(open_floor: OpenFloor) -> None:
    floor = open_floor(signals=ScriptedSignals(error=InvalidTradeError("cannot be")))

    with pytest.raises(InvalidTradeError, match="cannot be"):
        floor.daemon.tick()


def test_run_given_a_stop_then_ends_at_once_and_says_so(open_floor: OpenFloor) -> None:
    floor = open_floor()
    asked = iter([False, False, False])

    floor.daemon.run(should_stop=lambda: next(asked, True))

    assert beat(floor).state == "stopped"
    assert beat(floor).detail["open_positions"] == 0


def test_run_given_a_bug_that_must_end_it_then_says_failed(open_floor: OpenFloor) -> None:
    floor = open_floor(signals=ScriptedSignals(error=InvalidTradeError("cannot be")))

    with pytest.raises(InvalidTradeError):
        floor.daemon.run(should_stop=lambda: False)

    assert beat(floor).state == "failed"


class UnreadableClock(MovableClock):
    """A market clock whose store cannot be asked for as long as a test says."""

    is_readable = True

    @property
    def speed(self) -> float:
        self._require()
        return super().speed

    def now(self) -> datetime:
        self._require()
        return super().now()

    def _require(self) -> None:
        if not self.is_readable:
            raise StoreBusyError("the control store cannot be reached")


@pytest.mark.parametrize("until", [None, FIRST + 100 * CANDLE])
def test_run_given_a_clock_that_cannot_be_read_then_goes_on_until_it_can(open_floor: OpenFloor, until: datetime | None) -> None:
    floor = open_floor(new_clock=UnreadableClock)
    clock = floor.clock
    assert isinstance(clock, UnreadableClock)
    looks = iter(range(40))

    def should_stop() -> bool:
        look = next(looks)
        clock.is_readable = not 4 <= look < 20
        return look >= 36

    with capture_logs() as logs:
        floor.daemon.run(should_stop=should_stop, until=until)

    assert "clock_failed" in events(logs)
    assert beat(floor).state == "stopped"
    assert len(floor.signals.asked) > 0


def test_run_given_the_end_of_a_market_then_decides_on_its_last_candle_and_ends(open_floor: OpenFloor) -> None:
    floor = open_floor()
    until = floor.clock.now().replace(second=0, microsecond=0) + CANDLE

    floor.daemon.run(should_stop=lambda: False, until=until)

    assert floor.signals.asked[-1] == until - CANDLE
    assert floor.clock.now() - until < timedelta(minutes=1)


def test_run_given_a_close_then_looks_right_after_it_however_long_the_poll(open_floor: OpenFloor) -> None:
    floor = open_floor()
    asked = iter([False] * 60)

    floor.daemon.run(should_stop=lambda: next(asked, True))

    trade = floor.open_trade()
    assert timedelta(0) <= trade.open_date - floor.intents(IntentLeg.ENTRY)[0].candle_close_time < timedelta(seconds=1)
