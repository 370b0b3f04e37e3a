"""One suite for every `BotStore`: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.errors import InvalidTradeError, StoreError
from bot3.ports.trades import BotStore
from bot3.trading.orders import Decision, IntentLeg, IntentState
from bot3.trading.trades import RunMode, Trade
from tests.conftest import NewStore
from tests.journals import ACCOUNT, OPENED, PAIR, a_closed_trade, a_fill, a_payment, an_intent, minutes


@pytest.fixture
def url(new_store: NewStore) -> str:
    return new_store()


@pytest.fixture
def store(url: str) -> Iterator[BotStore]:
    store = SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT)
    yield store
    store.close()


def rows(url: str, query: str) -> list[dict[str, object]]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [dict(row) for row in connection.exec_driver_sql(query).mappings()]


def open_trade(store: BotStore, *, trade_id: int = 1) -> None:
    entry = an_intent(trade_id=trade_id)
    store.plan_intent(entry)
    store.book([a_fill(entry, number=trade_id, rate="100")], [])


def test_plan_intent_given_the_same_key_twice_then_is_one_row(store: BotStore) -> None:
    entry = an_intent()

    assert [store.plan_intent(entry), store.plan_intent(entry)] == [True, False]
    assert store.unsettled_intents() == [entry]


def test_plan_intent_given_an_entry_again_with_another_trade_id_then_refuses_it(store: BotStore) -> None:
    store.plan_intent(an_intent(trade_id=1))

    assert not store.plan_intent(an_intent(trade_id=2))
    assert store.plan_intent(an_intent(trade_id=2, attempt=2))


def test_plan_intent_given_two_trades_of_a_candle_then_each_has_its_stop(store: BotStore) -> None:
    stops = [an_intent(IntentLeg.STOP, trade_id=number, trigger_rate=Decimal(99)) for number in (1, 2)]

    assert [store.plan_intent(stop) for stop in stops] == [True, True]


def test_plan_intent_given_an_exit_without_a_reason_then_refuses(store: BotStore) -> None:
    with pytest.raises(InvalidTradeError, match="exit_reason"):
        store.plan_intent(an_intent(IntentLeg.EXIT, context={}))


def test_plan_intent_given_another_account_then_refuses(store: BotStore) -> None:
    with pytest.raises(StoreError, match=f"belongs to BOT1 on {ACCOUNT}"):
        store.plan_intent(an_intent(account="somebody"))


def test_move_intent_given_some_fields_then_keeps_the_others(store: BotStore) -> None:
    entry = an_intent()
    store.plan_intent(entry)

    store.move_intent(entry.client_order_id, state=IntentState.SENT, sent_at=minutes(1))
    store.move_intent(entry.client_order_id, state=IntentState.ACKED, exchange_order_id="77")

    [moved] = store.intents_of_trade(1)
    assert (moved.state, moved.sent_at, moved.exchange_order_id, moved.reject_reason) == (IntentState.ACKED, minutes(1), "77", None)


def test_entries_of_close_given_attempts_and_other_intents_then_returns_the_attempts_of_the_pair_and_close(store: BotStore) -> None:
    first, second = an_intent(), an_intent(attempt=2, trade_id=2)
    others = [an_intent(pair="ETH/USDT:USDT"), an_intent(candle_close_time=minutes(5)), an_intent(IntentLeg.STOP, trigger_rate=Decimal(99))]
    for intent in (first, second, *others):
        store.plan_intent(intent)

    assert store.entries_of_close(first.pair, first.candle_close_time) == [first, second]


def test_move_intent_given_an_unknown_one_then_says_so(store: BotStore) -> None:
    with pytest.raises(StoreError, match="contains no intent nobody"):
        store.move_intent("nobody", state=IntentState.SENT)


def test_unsettled_intents_given_settled_ones_then_leaves_them_out(store: BotStore) -> None:
    entry, stop = an_intent(), an_intent(IntentLeg.STOP, trigger_rate=Decimal(99))
    store.plan_intent(entry)
    store.plan_intent(stop)

    store.move_intent(entry.client_order_id, state=IntentState.DONE)

    assert store.unsettled_intents() == [stop]
    assert store.intents_of_trade(1)[1] == stop


def test_next_trade_id_given_trades_and_intents_then_is_above_both(store: BotStore) -> None:
    assert store.next_trade_id() == 1
    store.import_trades([a_closed_trade(4)])
    assert store.next_trade_id() == 5
    store.plan_intent(an_intent(trade_id=7))
    assert store.next_trade_id() == 8


def test_book_given_entry_and_exit_then_the_trade_opens_and_closes(store: BotStore) -> None:
    entry, exit_ = an_intent(), an_intent(IntentLeg.EXIT)
    store.plan_intent(entry)
    store.plan_intent(exit_)

    opened = store.book([a_fill(entry, number=1, rate="100")], [])
    closed = store.book([a_fill(exit_, number=2, rate="101", at=5)], [a_payment(1, amount="-0.05", at=3)])

    assert store.open_trades() == []
    assert [trade.is_open for trade in (*opened, *closed)] == [True, False]
    assert store.closed_trades(closed_since=None) == closed
    assert (closed[0].exit_reason, closed[0].funding_fees) == ("time_exit", -0.05)
    assert closed[0].close_profit_abs == pytest.approx(1.75)


def test_book_given_the_same_facts_twice_then_nothing_changes(store: BotStore, url: str) -> None:
    entry = an_intent()
    store.plan_intent(entry)
    facts = [a_fill(entry, number=1, rate="100")], [a_payment(1, amount="-0.05", at=3)]
    store.book(*facts)
    before = rows(url, "SELECT * FROM trades")

    assert store.book(*facts) == []
    assert rows(url, "SELECT * FROM trades") == before


def test_book_given_any_order_then_the_rows_are_the_same(new_store: NewStore) -> None:
    entry, exit_ = an_intent(), an_intent(IntentLeg.EXIT)
    facts = [a_fill(entry, number=1, rate="100", amount="1.3"), a_fill(entry, number=2, rate="102", amount="0.7", at=2)]
    facts += [a_fill(exit_, number=3, rate="101", amount="1.5", at=5), a_fill(exit_, number=4, rate="103", amount="0.5", at=6)]
    seen = []
    for order in (facts, facts[::-1], [facts[2], facts[0], facts[3], facts[1]]):
        url = new_store()
        store = SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT)
        store.plan_intent(entry)
        store.plan_intent(exit_)
        store.book([], [a_payment(1, amount="-0.05", at=3)])
        for fill in order:
            store.book([fill], [])
        store.close()
        seen.append((rows(url, "SELECT * FROM trades"), rows(url, "SELECT * FROM orders ORDER BY id")))

    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0][0]["funding_fees"] == -0.05


def test_book_given_a_foreign_fill_then_keeps_it_apart_and_books_the_rest(store: BotStore, url: str) -> None:
    entry = an_intent()
    store.plan_intent(entry)
    foreign = a_fill(an_intent(trade_id=99), number=8, rate="100")

    with pytest.raises(StoreError, match=f"8 of order {foreign.client_order_id}.*foreign_fills"):
        store.book([foreign, a_fill(entry, number=1, rate="100")], [])

    assert [trade.trade_id for trade in store.open_trades()] == [1]
    assert [row["exchange_trade_id"] for row in rows(url, "SELECT * FROM foreign_fills")] == ["8"]


def test_trades_given_a_booked_one_then_are_freqtrades_columns(store: BotStore, url: str) -> None:
    entry, stop = an_intent(), an_intent(IntentLeg.STOP, trigger_rate=Decimal(99))
    store.plan_intent(entry)
    store.plan_intent(stop)
    store.book([a_fill(entry, number=1, rate="100")], [])
    store.move_intent(stop.client_order_id, state=IntentState.ACKED, exchange_order_id="55")

    [trade] = rows(url, "SELECT * FROM trades")
    orders = rows(url, "SELECT * FROM orders ORDER BY id")

    assert len(trade.keys() - {"horizon"}) == 51
    assert (trade["base_currency"], trade["stake_currency"], trade["strategy"], trade["enter_tag"]) == ("BTC", "USDT", "BOT1", "F01")
    assert (trade["stop_loss"], trade["initial_stop_loss"], trade["stop_loss_pct"]) == (99.0, 99.0, -0.05)
    assert trade["open_trade_value"] == pytest.approx(200.1)
    assert (trade["trading_mode"], trade["timeframe"], trade["exchange"]) == ("FUTURES", 5, "paper")
    assert str(trade["open_date"]).startswith("2026-01-05 12:01:00")
    assert len(orders[0]) == 26
    assert [(row["ft_order_side"], row["status"], row["order_id"]) for row in orders] == [("stoploss", "open", "55")]


def test_mark_rates_given_wider_ones_then_widens_only(store: BotStore) -> None:
    open_trade(store)

    store.mark_rates(1, min_rate=98.0, max_rate=101.0)
    store.mark_rates(1, min_rate=99.0, max_rate=103.0)

    [trade] = store.open_trades()
    assert (trade.min_rate, trade.max_rate) == (98.0, 103.0)


def test_record_decisions_given_the_same_twice_then_is_one_row(store: BotStore) -> None:
    decision = Decision(
        bot="BOT1",
        pair=PAIR,
        candle_close_time=OPENED,
        feeder_id="F03",
        is_short=True,
        confidence=0.7,
        outcome="hold",
        reason="slots_full",
        detail={"open": 5},
    )

    store.record_decisions([decision])
    store.record_decisions([decision])

    frame = store.decisions_frame(limit=10)
    assert list(frame.columns) == list(Decision.__dataclass_fields__)
    assert len(frame) == 1
    assert frame.loc[0, "detail"] == {"open": 5}
    assert frame.loc[0, "candle_close_time"] == pd.Timestamp(OPENED)


def decided(store: BotStore, *feeders: str, hold: str = "") -> Decision:
    """Record a decision to enter for each feeder."""
    kept = [
        Decision(
            bot="BOT1", pair=PAIR, candle_close_time=OPENED, feeder_id=feeder, is_short=False, confidence=0.7,
            outcome="hold" if hold else "intent", reason=hold or "entry", client_order_id=None if hold else an_intent().client_order_id,
        )
        for feeder in feeders
    ]  # fmt: skip
    store.record_decisions(kept)
    return kept[0]


def told(store: BotStore) -> list[tuple[str, str, object, object]]:
    frame = store.decisions_frame(limit=10)
    said = [detail.get("reject_reason") for detail in frame["detail"]]
    return list(zip(frame["outcome"], frame["reason"], said, frame["client_order_id"], strict=True))


def test_decisions_frame_given_no_order_then_was_not_traded(store: BotStore) -> None:
    decided(store, "F01")

    assert told(store) == [("not_traded", "no_intent", None, None)]


@pytest.mark.parametrize(
    ("state", "outcome", "reason"),
    [
        (IntentState.PLANNED, "not_traded", "not_sent"),
        (IntentState.SENT, "pending", "unanswered"),
        (IntentState.DEAD, "not_traded", "no_order"),
        (IntentState.REJECTED, "not_traded", "order_rejected"),
        (IntentState.DONE, "intent", "entry"),
    ],
)
def test_decisions_frame_given_an_order_then_it_tells_with_its_reason(
    store: BotStore, state: IntentState, outcome: str, reason: str
) -> None:
    decided(store, "F01")
    entry = an_intent()
    store.plan_intent(entry)
    if state is not IntentState.PLANNED:
        store.move_intent(entry.client_order_id, state=state, sent_at=OPENED, reject_reason="it said so")

    said = None if state is IntentState.PLANNED else "it said so"
    assert told(store) == [(outcome, reason, said, entry.client_order_id)]


def test_decisions_frame_given_a_later_attempt_that_was_traded_then_has_its_id(store: BotStore) -> None:
    decided(store, "F01")
    first, second = an_intent(), an_intent(trade_id=2, attempt=2)
    store.plan_intent(first)
    store.move_intent(
        first.client_order_id, state=IntentState.DEAD, reject_reason="never sent: the process ended before the request was sent"
    )
    store.plan_intent(second)
    store.move_intent(second.client_order_id, state=IntentState.SENT, sent_at=OPENED)
    store.book([a_fill(second, number=1, rate="100")], [])

    assert told(store) == [("intent", "entry", None, second.client_order_id)]


def test_decisions_frame_given_another_feeder_that_was_traded_then_tells_each_its_own(store: BotStore) -> None:
    decided(store, "F02")
    decided(store, "F01", hold="outranked")
    open_trade(store)

    assert [(outcome, reason) for outcome, reason, *_ in told(store)] == [("intent", "entry"), ("not_traded", "no_intent")]


def test_decisions_frame_given_a_hold_then_leaves_it(store: BotStore) -> None:
    decided(store, "F03", hold="slots_full")
    open_trade(store)

    assert told(store) == [("hold", "slots_full", None, None)]


def test_import_trades_given_known_ids_then_leaves_them(store: BotStore) -> None:
    first = a_closed_trade(1)

    assert store.import_trades([first]) == 1
    assert store.import_trades([a_closed_trade(1, close_profit=0.9), a_closed_trade(2)]) == 1
    assert store.closed_trades(closed_since=None)[0] == first


@pytest.mark.parametrize(
    "change",
    [
        {"pair": "ETH/USDT:USDT"},
        {"is_short": True},
        {"enter_tag": "F02"},
        {"leverage": 2.0},
        {"open_date": minutes(5)},
        {"close_date": minutes(65)},
    ],
    ids=str,
)
def test_import_trades_given_an_id_that_holds_another_trade_then_refuses_and_inserts_none(store: BotStore, change: dict[str, Any]) -> None:
    first = a_closed_trade(1)
    store.import_trades([first])

    with pytest.raises(StoreError, match=f"contains another trade 1 than the imported one: {next(iter(change))} differ"):
        store.import_trades([a_closed_trade(2), a_closed_trade(1, **change)])

    assert store.closed_trades(closed_since=None) == [first]


def test_import_trades_given_another_mode_then_refuses(store: BotStore) -> None:
    with pytest.raises(StoreError, match="only finished paper trades"):
        store.import_trades([a_closed_trade(1, run_mode=RunMode.BACKTEST)])


def test_closed_trades_given_a_time_then_returns_later_ones_by_close(store: BotStore) -> None:
    store.import_trades([a_closed_trade(number, close_date=OPENED + timedelta(hours=9 - number)) for number in range(1, 6)])

    later = store.closed_trades(closed_since=OPENED + timedelta(hours=6))

    assert [trade.trade_id for trade in later] == [3, 2, 1]
    assert store.count_closed(closed_since=OPENED + timedelta(hours=6)) == 3
    assert store.count_closed(closed_since=None) == 5


def test_trades_frame_given_a_page_then_is_newest_first_with_trade_columns(store: BotStore) -> None:
    store.import_trades([a_closed_trade(number, open_date=minutes(number)) for number in range(1, 6)])

    frame = store.trades_frame(limit=2, offset=1)

    assert list(frame.columns) == list(Trade.__dataclass_fields__)
    assert frame["trade_id"].tolist() == [4, 3]
    assert str(frame["open_date"].dtype) == "datetime64[us, UTC]"


def test_bookmark_given_a_time_then_keeps_the_last(store: BotStore) -> None:
    assert store.bookmark("candle") is None

    store.set_bookmark("candle", minutes(5))
    store.set_bookmark("candle", minutes(10))

    assert store.bookmark("candle") == minutes(10)


def test_change_token_given_a_commit_elsewhere_then_differs(store: BotStore, url: str) -> None:
    other = SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT, read_only=True)
    before = other.change_token()
    assert other.change_token() == before

    store.set_bookmark("candle", minutes(5))

    assert other.change_token() != before
    assert other.store_id == store.store_id
    other.close()


def test_open_given_another_bots_store_then_refuses(store: BotStore, url: str) -> None:
    with pytest.raises(StoreError, match="belongs to BOT1 paper"):
        SqlBotStore.open(url, bot="BOT2", run_mode=RunMode.PAPER, account=ACCOUNT)


def test_open_given_reading_only_then_writing_is_refused(store: BotStore, url: str) -> None:
    reader = SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT, read_only=True)

    with pytest.raises(StoreError, match="reading only"):
        reader.set_bookmark("candle", minutes(5))
    reader.close()
