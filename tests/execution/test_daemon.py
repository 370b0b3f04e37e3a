"""The daemon on a real store and the real paper exchange: enters, protects, leaves, keeps its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot3.trading.orders import IntentLeg, IntentState
from tests.execution.floors import ENTRY_AT, Floor, ScriptedSignals, signal_at, wobble
from tests.markets import BTC, candle_frame


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    made = a_floor(tmp_path, wobble(60))
    yield made
    made.close()


def a_floor(home: Path, rows: list[tuple[float, float, float, float]], **changes: Any) -> Floor:
    given: dict[str, Any] = {"signals": ScriptedSignals(signal_at(ENTRY_AT)), **changes}
    floor = Floor(home=home, frames={BTC: candle_frame(rows)}, **given)
    floor.to_close_of(ENTRY_AT - 1)
    floor.open()
    return floor


def test_daemon_given_a_signal_then_holds_a_position_with_stop_and_target(floor: Floor) -> None:
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    (trade,) = floor.stores["BOT1"].open_trades()
    orders = floor.exchanges["BOT1"].fetch_open_orders()
    intents = floor.stores["BOT1"].intents_of_trade(trade.trade_id)
    assert (trade.pair, trade.enter_tag) == (BTC, "F01")
    assert {order.amount for order in orders} == {floor.exchanges["BOT1"].fetch_positions()[0].amount}
    assert [(i.leg, i.state) for i in intents] == [
        (IntentLeg.ENTRY, IntentState.DONE),
        (IntentLeg.STOP, IntentState.ACKED),
        (IntentLeg.TARGET, IntentState.ACKED),
    ]
