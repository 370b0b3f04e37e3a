"""The journey of a trade: simulated candles in, a closed trade out, its parameter changed, the next trade protected by it.

Stores, models, learner, paper exchange and daemon are the real ones of a seeded home; only the clock is moved by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot3.ports.clock import Clock
from bot3.settings import Settings
from bot3.trading.leverage_bins import leverage_bin
from bot3.trading.orders import Intent, IntentLeg
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.trades import Trade, direction
from bot3.trading.units import stake_of_move
from bot3.wiring import Platform
from execution.__main__ import bots_of
from execution.daemon import Daemon
from tests.clocks import MovableClock
from tests.seeded import copy_of_home, seeded_until, tiny_settings

pytestmark = pytest.mark.slow  # hours of a market, on a seeded home

CANDLE = timedelta(minutes=5)
SPEED = 60.0
MOST_CANDLES = 400


class MovedPlatform(Platform):
    """A platform whose market time a test moves."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        super().__init__(settings, read_only=False)
        self._moved = clock

    @property
    def clock(self) -> Clock:  # type: ignore[override]
        return self._moved


class Journey:
    """A market that goes on candle by candle, and the daemon that lives in it."""

    def __init__(self, home: Path) -> None:
        self._clock = MovableClock(seeded_until(home), speed=SPEED)
        self.platform = MovedPlatform(tiny_settings(home), clock=self._clock)
        self.daemon = Daemon(bots_of(self.platform), signals=self.platform.signal_maker(), learning=self.platform.record)
        self.store = self.platform.bot_store("BOT3")

    @property
    def now(self) -> datetime:
        return self._clock.now()

    def pass_candles(self, count: int = 1) -> None:
        """Let time pass to a moment after a close, and the daemon look."""
        closed = self.now - (self.now - datetime(2025, 1, 1, tzinfo=self.now.tzinfo)) % CANDLE
        to = closed + count * CANDLE + timedelta(seconds=1.5)
        self._clock.move((to - self.now).total_seconds() / SPEED)
        self.daemon.tick()

    def first_closed_trade(self) -> Trade:
        for _ in range(MOST_CANDLES):
            self.pass_candles()
            if closed := self.store.closed_trades(closed_since=None):
                return closed[0]
        pytest.fail(f"BOT3 closed no trade within {MOST_CANDLES} candles")

    def next_entry(self) -> Intent:
        """Return the first entry that BOT3 decides on from now on."""
        known = self.store.next_trade_id()
        for _ in range(MOST_CANDLES):
            self.pass_candles()
            entries = [i for i in self.store.intents_of_trade(known) if i.leg is IntentLeg.ENTRY]
            if entries:
                return entries[0]
        pytest.fail(f"BOT3 opened no trade within {MOST_CANDLES} candles")

    def learn(self) -> ParameterSet:
        """Take the steps of the sensor and of the meta-learner's beat."""
        self.platform.steps.learn_from_closes(self.platform.sources())
        self.platform.steps.detect_regimes()
        self.platform.steps.recommend()
        return self.parameters()

    def parameters(self) -> ParameterSet:
        return self.platform.record.parameters.as_of(self.now)


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    made = Journey(copy_of_home(tmp_path))
    yield made
    made.platform.close()


def cell_of(trade: Trade, parameters: ParameterSet) -> ExitParameters:
    return parameters.rows[f"{trade.pair}|{direction(is_short=trade.is_short)}|{leverage_bin(trade.leverage)}"]


def test_journey_given_a_closed_trade_then_the_next_trade_is_protected_by_what_it_taught(journey: Journey) -> None:
    before = journey.parameters()
    closed = journey.first_closed_trade()
    for _ in range(25):
        journey.pass_candles(12)

    after = journey.learn()
    entry = journey.next_entry()

    # The trade is in the record, and its group has learned from it and its replayed horizon.
    mode = journey.store.run_mode
    assert (closed.trade_id, closed.open_date) in journey.platform.record.trades.keys(bot="BOT3", run_mode=mode, closed_since=None)
    old, new = cell_of(closed, before), cell_of(closed, after)
    assert new.trades_count > old.trades_count
    assert new.replays_count > old.replays_count
    assert (new.stop_sigma, new.take_profit_sigma, new.expectancy) != (old.stop_sigma, old.take_profit_sigma, old.expectancy)
    # The daemon's next entry names the new version, and its stop is the row's, for its own volatility and leverage.
    assert after.version != before.version
    assert entry.context["parameters_version"] == after.version
    assert entry.context["stop_loss"] == pytest.approx(learned_stop_loss(entry, after), rel=0.01)


def test_journey_given_the_stop_of_the_next_trade_then_it_rests_on_the_exchange(journey: Journey) -> None:
    journey.first_closed_trade()
    after = journey.learn()

    entry = journey.next_entry()

    stops = [i for i in journey.store.intents_of_trade(entry.trade_id) if i.leg is IntentLeg.STOP]
    assert entry.context["parameters_version"] == after.version
    assert [float(stop.trigger_rate or 0) for stop in stops] == [entry.context["stop_rate"]]
    trade = next(trade for trade in journey.store.open_trades() if trade.trade_id == entry.trade_id)
    assert stops[0].client_order_id in {order.client_order_id for order in journey.platform.exchange("BOT3").fetch_open_orders()}
    assert trade.pair == entry.pair


def learned_stop_loss(entry: Intent, parameters: ParameterSet) -> float:
    """Return the stop that a version gives an entry, ratio of the stake."""
    row = parameters.rows[str(entry.context["parameters_key"])]
    factors = {regime.value: factor for regime, (factor, _) in parameters.regime_factors.items()}
    sigma = entry.context["sigma"]
    assert isinstance(sigma, float)
    return stake_of_move(row.stop_sigma * sigma * factors.get(str(entry.context["regime"]), 1.0), leverage=entry.leverage)
