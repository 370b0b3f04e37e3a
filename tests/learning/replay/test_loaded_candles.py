"""Candles and funding as they are loaded: appended, replaced, refused."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from bot3.errors import CandleError
from bot3.learning.replay.loaded_candles import LoadedCandles
from bot3.learning.replay.paths import ReplayCandles
from bot3.learning.replay.replay_frame import ReplayFrame
from bot3.learning.replay.trade_table import TradeTable
from bot3.market.candle_series import no_candles, no_funding
from bot3.market.instants import instant_us
from tests.learning.worlds import trade_row
from tests.markets import CANDLE, FIRST, funding_frame, random_candles

PAIR = "AAA/USDT:USDT"
FRAME = ReplayFrame(horizon_candles=12, candle_us=300_000_000)
CANDLES = random_candles(1, candles=600)
HOURLY = [FIRST + timedelta(hours=hour) for hour in range(50)]
FUNDING = funding_frame(HOURLY, [1e-4] * 50)


def loaded(candles: pd.DataFrame = CANDLES, funding: pd.DataFrame = FUNDING) -> LoadedCandles:
    own = LoadedCandles(FRAME)
    own.add(PAIR, candles, funding)
    return own


def part(start: int, end: int) -> pd.DataFrame:
    return CANDLES.iloc[start:end].reset_index(drop=True)


def test_until_given_candles_then_is_the_close_of_the_last_one() -> None:
    assert loaded(part(0, 40)).until(PAIR) == FIRST + 40 * CANDLE
    assert loaded(no_candles()).until(PAIR) is None
    assert loaded().until("BBB/USDT:USDT") is None


def test_add_given_two_parts_then_is_what_all_at_once_is() -> None:
    own = loaded(part(0, 40))

    changed = own.add(PAIR, part(40, 100), FUNDING)

    whole = loaded(part(0, 100))
    assert changed.tolist() == []
    for name in ("open_us", "close", "sigma", "funding_sum"):
        np.testing.assert_array_equal(getattr(own.arrays[PAIR], name), getattr(whole.arrays[PAIR], name))


def test_add_given_candles_after_none_then_takes_them() -> None:
    own = loaded(no_candles())

    assert own.arrays == {}
    own.add(PAIR, part(0, 40), FUNDING)
    assert len(own.arrays[PAIR]) == 40


def test_add_given_no_new_candle_then_replaces_the_funding_and_returns_the_payments_that_changed() -> None:
    own = loaded(part(0, 40), funding_frame(HOURLY[:2], [1e-4, 1e-4]))

    before = own.arrays[PAIR]

    assert own.add(PAIR, no_candles(), funding_frame(HOURLY[:2], [1e-4, 1e-4])).tolist() == []
    assert own.arrays[PAIR] is before  # nothing was computed again
    changed = own.add(PAIR, no_candles(), funding_frame(HOURLY[:3], [1e-4, 2e-4, 3e-4]))

    assert changed.tolist() == [instant_us(HOURLY[1]), instant_us(HOURLY[2])]
    assert len(own.arrays[PAIR]) == 40
    assert own.arrays[PAIR].funding_sum[-1] == pytest.approx(6e-4)


@pytest.mark.parametrize("start", [39, 20, 0])
def test_add_given_candles_that_are_already_loaded_then_is_refused(start: int) -> None:
    with pytest.raises(CandleError, match="already loaded"):
        loaded(part(0, 40)).add(PAIR, part(start, 50), FUNDING)


@pytest.mark.parametrize("rows", [[0, 0], [1, 0]])
def test_add_given_times_out_of_order_or_twice_then_is_refused(rows: list[int]) -> None:
    with pytest.raises(CandleError, match="candles of AAA"):
        loaded(CANDLES.iloc[rows].reset_index(drop=True))
    with pytest.raises(CandleError, match="funding of AAA"):
        loaded(CANDLES, FUNDING.iloc[rows].reset_index(drop=True))


def table_of(*opened: datetime, pair: str = PAIR) -> TradeTable:
    """Return a table whose trades were replayed on the candles of these tests."""
    arrays = loaded().arrays[PAIR]
    table = TradeTable(FRAME)
    table.ingest(pd.DataFrame([trade_row(number, opened=at, pair=pair) for number, at in enumerate(opened)]))
    table.replay_due({pair: arrays}, {pair: ReplayCandles.of(arrays)}, now_us=instant_us(FIRST + 600 * CANDLE))
    return table


def test_funding_missing_share_given_rates_until_a_time_then_counts_the_trades_beyond() -> None:
    opened = [FIRST + timedelta(hours=hour, minutes=30) for hour in (26, 28, 30, 32)]
    table = table_of(*opened)

    shares = [
        loaded(CANDLES, funding_frame(HOURLY[:count], [1e-4] * count)).funding_missing_share(table) for count in (50, 34, 33, 32, 2, 0)
    ]

    # A horizon of an hour from 32:30 ends at 33:30, and the rate at 34:00 is due then.
    assert shares == [0.0, 0.0, 0.25, 0.25, 1.0, 1.0]
    assert loaded().funding_missing_share(TradeTable(FRAME)) == 0.0
    assert LoadedCandles(FRAME).funding_missing_share(table) == 1.0


def test_pairs_without_funding_given_a_replay_of_the_last_day_then_are_looked_for_once_an_hour() -> None:
    table, known = table_of(FIRST + timedelta(hours=30)), funding_frame(HOURLY[:30], [1e-4] * 30)
    own = loaded(CANDLES, known)
    due = FIRST + timedelta(hours=31)

    assert own.pairs_without_funding(table, now=due) == {PAIR}
    own.look_for_funding(now=due)
    assert own.pairs_without_funding(table, now=due + timedelta(minutes=59)) == set()
    own.look_for_funding(now=due + timedelta(minutes=59))  # not due, so the next look is an hour after the first
    assert own.pairs_without_funding(table, now=due + timedelta(hours=1)) == {PAIR}
    assert own.pairs_without_funding(table, now=due + timedelta(hours=23, minutes=59)) == {PAIR}
    assert own.pairs_without_funding(table, now=due + timedelta(hours=24)) == set()
    assert loaded().pairs_without_funding(table, now=due) == set()


def test_pairs_without_funding_given_spot_then_none_is_missing() -> None:
    own = LoadedCandles(FRAME)
    own.add("AAA/USDT", CANDLES, no_funding())
    table = table_of(FIRST + timedelta(hours=30), pair="AAA/USDT")

    assert own.pairs_without_funding(table, now=FIRST + timedelta(hours=31)) == set()
    assert own.funding_missing_share(table) == 0.0
