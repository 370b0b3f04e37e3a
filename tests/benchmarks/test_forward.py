"""The forward benchmark: its entries use the past only, and its figures are what they are called."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.forward import LEARNED, STATIC, Judged, _past_deviation, tail, worse_cells
from benchmarks.forward_bots import BOTS, sides_of, trades_of
from bot3.market.instants import DAY_US
from bot3.market.volatility import SIGMA_WARM_UP_CANDLES, expected_sigma
from tests.markets import FIRST, random_candles

CANDLES = SIGMA_WARM_UP_CANDLES + 2_000


def sides(candles: pd.DataFrame) -> dict[str, list[int]]:
    sigma = expected_sigma(candles["close"].to_numpy(dtype=np.float64), horizon_candles=288)
    return {name: own.tolist() for name, own in sides_of(candles, sigma).items()}


def test_sides_given_later_candles_then_do_not_change() -> None:
    candles = random_candles(1, candles=1_000, first=FIRST)

    whole, part = sides(candles), sides(candles.iloc[:700])

    assert {name: own[:700] for name, own in whole.items()} == part
    assert all(len(set(own)) > 1 for own in part.values())


def test_trades_given_candles_then_each_bot_pauses_between_its_entries_and_enters_at_full_hours() -> None:
    trades = trades_of({"AAA/USDT:USDT": random_candles(2, candles=CANDLES, first=FIRST)})

    assert set(trades["bot"]) == {bot.name for bot in BOTS}
    assert (trades["open_date"].dt.minute == 0).all()
    for _, own in trades.groupby("bot"):
        assert (own["open_date"].diff().dropna() >= pd.Timedelta(hours=12)).all()


def judged(learned: list[float], *, days: int) -> Judged:
    table = pd.DataFrame({"open_us": np.arange(days) * DAY_US, "cell": "AAA|long", "promised": 0.0})
    money = {LEARNED: np.array(learned), STATIC: np.zeros(days)}
    return Judged(table=table, money=money, net=money)


def test_worse_cells_given_a_cell_that_loses_every_day_then_counts_it_and_not_one_that_wins() -> None:
    assert worse_cells(judged([-0.001] * 30, days=30)) == (1, 1)
    assert worse_cells(judged([0.001] * 30, days=30))[0] == 0


def test_tail_given_one_bad_day_of_twenty_then_is_its_loss_in_deviations() -> None:
    money = np.array([0.01] * 19 + [-0.19])

    assert tail(money, np.arange(20) * DAY_US) == pytest.approx(0.19 / money.std())


def test_past_deviation_given_weeks_then_uses_the_outcomes_that_had_ended_before() -> None:
    opened = np.array([0, 1, 6.5, 7, 13]) * DAY_US

    found = _past_deviation(np.array([1.0, 3.0, 100.0, 5.0, 5.0]), opened.astype(np.int64))

    assert np.isnan(found[:3]).all()
    assert found[3:].tolist() == pytest.approx([np.std([1.0, 3.0], ddof=1)] * 2)
