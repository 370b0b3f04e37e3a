"""The trades that a booking changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.engine import sqlite_url
from bot3.trading.orders import IntentLeg
from bot3.trading.trades import RunMode
from tests.journals import ACCOUNT, a_closed_trade, a_fill, a_payment, an_intent

ETH = "ETH/USDT:USDT"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlBotStore]:
    """Yield a store with trade 1, open from minute 1 to minute 60, trade 2 of another pair from minute 1 on, and an imported one."""
    store = SqlBotStore.open(sqlite_url(tmp_path / "BOT1.sqlite"), bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT)
    entry, exit_, other = an_intent(), an_intent(IntentLeg.EXIT), an_intent(trade_id=2, pair=ETH)
    for intent in (entry, exit_, other):
        store.plan_intent(intent)
    store.book([a_fill(entry, number=1, rate="100"), a_fill(other, number=2, rate="100")], [])
    store.book([a_fill(exit_, number=3, rate="101", at=60.0)], [])
    store.import_trades([a_closed_trade(9)])
    yield store
    store.close()


@pytest.mark.parametrize(
    ("pair", "at", "changed"),
    [
        ("BTC/USDT:USDT", 1.0, []),
        ("BTC/USDT:USDT", 2.0, [1]),
        ("BTC/USDT:USDT", 60.0, [1]),
        ("BTC/USDT:USDT", 60.1, []),
        (ETH, 2.0, [2]),
        (ETH, 999.0, [2]),
        ("XRP/USDT:USDT", 2.0, []),
    ],
)
def test_book_given_a_payment_then_changes_the_trades_that_were_open_on_its_pair(
    store: SqlBotStore, pair: str, at: float, changed: list[int]
) -> None:
    trades = store.book([], [a_payment(1, amount="-0.25", at=at, pair=pair)])

    assert [(trade.trade_id, trade.funding_fees) for trade in trades] == [(number, -0.25) for number in changed]


def test_book_given_a_payment_again_then_changes_nothing(store: SqlBotStore) -> None:
    payment = a_payment(1, amount="-0.25", at=2.0)
    store.book([], [payment])

    assert store.book([], [payment]) == []


def test_mark_rates_given_a_trade_then_widens_its_extremes_and_of_no_trade_changes_nothing(store: SqlBotStore) -> None:
    for low, high in ((95.0, 104.0), (96.0, 105.0), (94.0, 103.0)):
        store.mark_rates(2, min_rate=low, max_rate=high)
    store.mark_rates(77, min_rate=1.0, max_rate=2.0)

    [trade] = store.open_trades()
    assert (trade.trade_id, trade.min_rate, trade.max_rate) == (2, 94.0, 105.0)
