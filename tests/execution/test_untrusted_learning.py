"""Publications that break a bound: refused and logged once, while positions stay protected, at start as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.market.regimes import Regime
from bot3.trading.orders import OrderType
from tests.execution.floors import ENTRY_AT, Floor, OpenFloor, ScriptedSignals, signal_at, wobble
from tests.learned import a_recommendation, a_regime, a_row, a_set
from tests.markets import BTC, ETH, FIRST, a_learned_profile, a_market, a_profile, candle_frame

BOTS = ("BOT1", "BOT3")
BAD = {
    "a stop of zero": ("parameter_rows", "stop_loss = 0.0", "stop_loss"),
    "a factor below zero": ("regime_factors", "stop_factor = -1.0", "factor on the stop"),
    "a leverage of 20": ("recommendations", "leverage_high = 20.0", "suggested_leverage_high"),
    "an 11th feeder": ("recommendations", "top_feeders = '[11]'", "top_feeders"),
    "an unknown regime": ("regime_states", "regime = 'calm'", "regime"),
}


@pytest.fixture
def record(tmp_path: Path) -> Iterator[SqlRecord]:
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    row = a_row(stop_sigma=-4.0, take_profit_sigma=6.0, known_at=FIRST)
    parameters = a_set("v1", row, known_at=FIRST, regime_factors=dict.fromkeys(Regime, (1.0, 1.0)))
    record.parameters.publish(parameters, replaces=None, is_full=True)
    record.recommendations.publish(replace(a_recommendation(known_at=FIRST), expires_at=FIRST + timedelta(days=1)))
    record.regimes.publish([replace(a_regime(FIRST), since=FIRST)])
    yield record
    record.close()


def spoil(record: SqlRecord, table: str, change: str) -> None:
    with record._database.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {table} SET {change}"))  # noqa: S608  # text of this file
        connection.execute(sa.text("UPDATE record_meta SET learning_revision = learning_revision + 1"))


def trading_floor(open_floor: OpenFloor, record: SqlRecord) -> Floor:
    """Return a floor on which a control bot and a learned one hold two positions each."""
    rows = wobble(60)
    pairs = [signal_at(at, pair=pair) for at in (ENTRY_AT, ENTRY_AT + 20) for pair in (BTC, ETH)]
    floor = open_floor(
        rows,
        frames={pair: candle_frame(rows) for pair in (BTC, ETH)},
        markets=(a_market(BTC), a_market(ETH)),
        signals=ScriptedSignals(*pairs),
        profiles=[a_profile(), a_learned_profile()],
        learning=record,
    )
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)
    assert [len(floor.stores[name].open_trades()) for name in BOTS] == [2, 2]
    return floor


def stops(floor: Floor, name: str) -> list[str]:
    return sorted(order.pair for order in floor.exchanges[name].fetch_open_orders() if order.order_type is OrderType.STOP_MARKET)


def lose_stops(floor: Floor) -> None:
    for name in BOTS:
        for order in floor.exchanges[name].fetch_open_orders():
            if order.order_type is OrderType.STOP_MARKET:
                floor.exchanges[name].cancel_order(pair=order.pair, client_order_id=order.client_order_id)
        assert stops(floor, name) == []


def refusals(logs: list[Any]) -> list[str]:
    return [str(entry["error"]) for entry in logs if entry["event"] == "learning_refused"]


@pytest.mark.parametrize("fault", sorted(BAD))
def test_daemon_given_a_bad_publication_while_it_holds_positions_then_keeps_the_last_good_one_and_protects_them(
    open_floor: OpenFloor, record: SqlRecord, fault: str
) -> None:
    table, change, field = BAD[fault]
    floor = trading_floor(open_floor, record)
    before = floor.daemon.learning.learning.parameters

    spoil(record, table, change)
    lose_stops(floor)
    with capture_logs() as logs:
        for _ in range(4):
            floor.tick_after(1.0)
        floor.run_candles(ENTRY_AT + 1, ENTRY_AT + 2)

    (refusal,) = refusals(logs)
    assert field in refusal
    assert floor.daemon.learning.learning.parameters == before
    assert {name: stops(floor, name) for name in BOTS} == {name: [BTC, ETH] for name in BOTS}
    assert field in str(floor.daemon.detail()["learning_refused"])


@pytest.mark.parametrize("fault", ["a stop of zero", "a leverage of 20", "an unknown regime"])
def test_daemon_given_a_start_on_a_bad_publication_then_reconciles_protects_and_enters_nothing_that_was_learned(
    open_floor: OpenFloor, record: SqlRecord, fault: str
) -> None:
    table, change, field = BAD[fault]
    floor = trading_floor(open_floor, record)
    spoil(record, table, change)
    lose_stops(floor)
    floor.close()

    with capture_logs() as logs:
        floor.open()
        for _ in range(3):
            floor.tick_after(1.0)
        floor.run_candles(ENTRY_AT + 20, ENTRY_AT + 20)

    assert [entry["bot"] for entry in logs if entry["event"] == "bot_reconciled"] == list(BOTS)
    assert len(refusals(logs)) == 1
    assert field in refusals(logs)[0]
    assert {name: stops(floor, name) for name in BOTS} == {name: [BTC, ETH] for name in BOTS}


def test_daemon_given_another_fault_and_then_a_sound_publication_then_logs_each_change_and_uses_the_sound_one(
    open_floor: OpenFloor, record: SqlRecord
) -> None:
    floor = trading_floor(open_floor, record)
    with capture_logs() as logs:
        for change in ("stop_loss = 0.0", "stop_loss = 0.0, sigma_ref = -1.0"):
            spoil(record, "parameter_rows", change)
            floor.tick_after(1.0)
            floor.tick_after(1.0)
        sound = a_set("v2", a_row(known_at=FIRST), known_at=FIRST + timedelta(minutes=1))
        record.parameters.publish(sound, replaces="v1", is_full=True)
        floor.tick_after(1.0)

    assert len(refusals(logs)) == 2
    assert floor.daemon.learning.learning.parameters == sound
    assert floor.daemon.detail()["learning_refused"] is None


def test_daemon_given_a_start_on_nothing_but_refused_learning_then_does_not_probe_as_if_nothing_had_been_learned(
    open_floor: OpenFloor, record: SqlRecord
) -> None:
    spoil(record, "parameter_rows", "stop_loss = 0.0")
    spoil(record, "recommendations", "leverage_high = 20.0")
    floor = open_floor(learning=record, profiles=[a_learned_profile()])

    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    assert floor.holds("BOT3") == ["missing_recommendation"]
    assert floor.stores["BOT3"].open_trades() == []
