"""The journey of a trade: simulated candles in, a closed trade out, its parameter changed, the next trade protected by it.

Stores, models, learner, paper exchange and daemon are the real ones of a seeded home; only the clock is moved by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.orders import Intent, IntentLeg
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.trade_classes import class_label
from bot3.trading.trades import Trade, direction
from bot3.trading.units import stake_of_move
from tests.journey.journeys import Journey
from tests.seeded import copy_of_home

pytestmark = pytest.mark.slow  # hours of a market, on a seeded home


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    made = Journey(copy_of_home(tmp_path))
    yield made
    made.platform.close()


def cell_of(trade: Trade, parameters: ParameterSet) -> ExitParameters:
    label = class_label(DEFAULT_BINS.name_of(trade.leverage), trade.horizon or Horizon.DAY)
    return parameters.rows[f"{trade.pair}|{direction(is_short=trade.is_short)}|{label}"]


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
