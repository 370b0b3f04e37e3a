"""One suite for every `Exchange`: on the paper account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot3.adapters.paper.exchange import PaperExchange
from bot3.errors import OrderRejectedError
from bot3.ports.exchange import Exchange
from bot3.trading.orders import Intent, IntentLeg, OrderSide
from tests.clocks import MovableClock
from tests.journals import ACCOUNT, an_intent
from tests.markets import BTC, CANDLE, COSTS, FIRST, FixedMarkets, FrameCandles, a_market, candle_frame, funding_frame

FALLING = (100.0, 100.2, 94.0, 95.0)
RISING = (100.0, 106.0, 99.8, 105.0)
QUIET = (100.0, 100.2, 99.8, 100.0)


@dataclass
class Venue:
    """An exchange at 100, and its clock."""

    exchange: Exchange
    clock: MovableClock

    def send(self, leg: IntentLeg = IntentLeg.ENTRY, **changes: Any) -> Intent:
        triggers = {IntentLeg.STOP: Decimal(97), IntentLeg.TARGET: Decimal(104)}
        if leg in triggers:
            changes = {"trigger_rate": triggers[leg], **changes}
        intent = an_intent(leg, **changes)
        self.exchange.create_order(intent)
        return intent

    def next_candle(self) -> None:
        self.clock.move(CANDLE.total_seconds())

    def status(self, intent: Intent) -> str:
        order = self.exchange.fetch_order(pair=intent.pair, client_order_id=intent.client_order_id)
        assert order is not None
        return order.status


OpenVenue = Callable[..., Venue]


@pytest.fixture(params=["paper"])
def open_venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenVenue]:
    del request
    opened: list[PaperExchange] = []

    def open_it(*rows: tuple[float, float, float, float], funding_at: int | None = None) -> Venue:
        clock = MovableClock(FIRST + timedelta(seconds=2))
        times = [] if funding_at is None else [FIRST + funding_at * CANDLE]
        candles = FrameCandles({BTC: candle_frame([*rows, *[QUIET] * 20])}, {BTC: funding_frame(times, [0.001] * len(times))})
        exchange = PaperExchange(
            tmp_path / "paper.sqlite",
            account=ACCOUNT,
            wallet_abs=10_000.0,
            candles=candles,
            markets=FixedMarkets(a_market()),
            clock=clock,
            costs=COSTS,
        )
        opened.append(exchange)
        return Venue(exchange=exchange, clock=clock)

    yield open_it
    for exchange in opened:
        exchange.close()


def test_create_order_given_an_entry_then_holds_it_and_pays_the_fee(open_venue: OpenVenue) -> None:
    venue = open_venue()

    venue.send()

    (position,) = venue.exchange.fetch_positions()
    (fill,) = venue.exchange.fetch_fills(since=FIRST)
    assert (position.amount, position.is_short, position.open_rate) == (Decimal(2), False, Decimal("100.01"))
    assert fill.fee_abs == pytest.approx(Decimal("0.10001"))
    assert venue.exchange.fetch_balance().wallet_abs == pytest.approx(Decimal("9999.89999"))


def test_create_order_given_the_same_client_order_id_twice_then_makes_one_order(open_venue: OpenVenue) -> None:
    venue = open_venue()

    venue.send()
    venue.send()

    assert len(venue.exchange.fetch_fills(since=FIRST)) == 1
    assert venue.exchange.fetch_positions()[0].amount == Decimal(2)


def test_stop_given_it_is_touched_then_fills_worse_when_the_candle_closed(open_venue: OpenVenue) -> None:
    venue = open_venue(FALLING)
    venue.send()
    stop = venue.send(IntentLeg.STOP)
    assert venue.status(stop) == "open"

    venue.next_candle()

    fill = venue.exchange.fetch_fills(since=FIRST + CANDLE)[0]
    assert (venue.status(stop), fill.client_order_id) == ("closed", stop.client_order_id)
    assert fill.rate == pytest.approx(Decimal(97) * Decimal("0.9996"))
    assert venue.exchange.fetch_positions() == []


def test_target_given_its_position_was_stopped_then_rests_until_cancelled_and_never_flips(open_venue: OpenVenue) -> None:
    venue = open_venue(FALLING, RISING)
    venue.send()
    venue.send(IntentLeg.STOP)
    target = venue.send(IntentLeg.TARGET)

    venue.next_candle()
    venue.next_candle()

    assert venue.exchange.fetch_positions() == []
    assert [order.client_order_id for order in venue.exchange.fetch_open_orders()] == [target.client_order_id]
    assert venue.exchange.cancel_order(pair=BTC, client_order_id=target.client_order_id).status == "canceled"


def test_resting_order_given_a_new_position_then_expires_instead_of_touching_it(open_venue: OpenVenue) -> None:
    venue = open_venue(FALLING, RISING)
    venue.send()
    venue.send(IntentLeg.STOP)
    target = venue.send(IntentLeg.TARGET)
    venue.next_candle()

    venue.send(trade_id=2)
    venue.next_candle()

    assert venue.status(target) == "expired"
    assert venue.exchange.fetch_positions()[0].amount == Decimal(2)


def test_exit_given_a_position_then_closes_it_at_market(open_venue: OpenVenue) -> None:
    venue = open_venue()
    venue.send()

    venue.send(IntentLeg.EXIT)

    assert venue.exchange.fetch_positions() == []
    assert venue.exchange.fetch_fills(since=FIRST)[-1].rate == pytest.approx(Decimal("99.99"))


def test_fetch_funding_given_a_position_over_a_funding_time_then_a_long_pays(open_venue: OpenVenue) -> None:
    venue = open_venue(QUIET, funding_at=1)
    venue.send()
    before = venue.exchange.fetch_balance().wallet_abs

    venue.next_candle()

    (payment,) = venue.exchange.fetch_funding(since=FIRST)
    assert (payment.amount_abs, payment.paid_at) == (pytest.approx(Decimal("-0.2")), FIRST + CANDLE)
    assert venue.exchange.fetch_balance().wallet_abs == before + payment.amount_abs


def test_balance_given_an_open_position_then_its_margin_is_not_free(open_venue: OpenVenue) -> None:
    venue = open_venue()
    venue.send()

    balance = venue.exchange.fetch_balance()

    assert balance.wallet_abs - balance.free_abs == pytest.approx(Decimal("40.004"))
    assert balance.equity_abs == pytest.approx(balance.wallet_abs - Decimal("0.02"))


REJECTED: list[tuple[str, IntentLeg, dict[str, Any]]] = [
    ("not a multiple of the step", IntentLeg.ENTRY, {"amount": Decimal("0.000015")}),
    ("below the minimum", IntentLeg.ENTRY, {"amount": Decimal("0.04")}),
    ("insufficient margin", IntentLeg.ENTRY, {"amount": Decimal(490), "leverage": 1.0}),
    ("leverage 25", IntentLeg.ENTRY, {"leverage": 25.0}),
    ("has no market", IntentLeg.ENTRY, {"pair": "XYZ/USDT:USDT"}),
    ("no position", IntentLeg.STOP, {}),
    ("no position", IntentLeg.EXIT, {}),
    ("takes no trigger", IntentLeg.ENTRY, {"trigger_rate": Decimal(99)}),
    ("for account", IntentLeg.ENTRY, {"account": "paper-BOT2"}),
]


@pytest.mark.parametrize(("text", "leg", "changes"), REJECTED, ids=[row[0] for row in REJECTED])
def test_create_order_given_what_a_filter_forbids_then_rejects_and_says_which(
    open_venue: OpenVenue, text: str, leg: IntentLeg, changes: dict[str, Any]
) -> None:
    venue = open_venue()

    with pytest.raises(OrderRejectedError, match=text):
        venue.send(leg, **changes)

    assert venue.exchange.fetch_fills(since=FIRST) == []
    assert venue.exchange.fetch_open_orders() == []


HELD_REJECTED: list[tuple[str, IntentLeg, dict[str, Any]]] = [
    ("trigger immediately", IntentLeg.STOP, {"trigger_rate": Decimal(101)}),
    ("trigger immediately", IntentLeg.TARGET, {"trigger_rate": Decimal(99)}),
    ("not a multiple of the tick", IntentLeg.STOP, {"trigger_rate": Decimal("97.0000001")}),
    ("needs a trigger", IntentLeg.STOP, {"trigger_rate": None}),
    ("must be reduce only", IntentLeg.STOP, {"reduce_only": False}),
    ("would increase", IntentLeg.STOP, {"side": OrderSide.BUY}),
    ("other direction", IntentLeg.ENTRY, {"side": OrderSide.SELL, "trade_id": 2}),
]


@pytest.mark.parametrize(("text", "leg", "changes"), HELD_REJECTED, ids=[row[0] for row in HELD_REJECTED])
def test_create_order_given_a_position_that_forbids_it_then_rejects_and_says_why(
    open_venue: OpenVenue, text: str, leg: IntentLeg, changes: dict[str, Any]
) -> None:
    venue = open_venue()
    venue.send()

    with pytest.raises(OrderRejectedError, match=text):
        venue.send(leg, **changes)

    assert venue.exchange.fetch_positions()[0].amount == Decimal(2)


def test_cancel_order_given_an_unknown_id_then_rejects(open_venue: OpenVenue) -> None:
    with pytest.raises(OrderRejectedError, match="is unknown"):
        open_venue().exchange.cancel_order(pair=BTC, client_order_id="b3unknown-1")


def test_fetch_order_given_an_unknown_id_then_says_so(open_venue: OpenVenue) -> None:
    assert open_venue().exchange.fetch_order(pair=BTC, client_order_id="b3unknown-1") is None
