"""Which candles trades need, and fetching them pair by pair."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import CandleError, ExchangeBusyError
from bot3.trading.horizons import Horizon
from bot3.usecases.audit.candle_needs import WARM_UP, CandleNeed, candle_needs, fetch_needs

START = datetime(2025, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)
NOW = START + 300 * DAY


def trades(*rows: tuple[str, float, float], horizon: Horizon | None = Horizon.DAY) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["pair", "open_date", "close_date"])
    for name in ("open_date", "close_date"):
        frame[name] = (START + pd.to_timedelta(frame[name], unit="D")).astype("datetime64[us, UTC]")
    return frame.assign(horizon=None if horizon is None else horizon.value)


@pytest.mark.parametrize(("horizon", "days"), [(Horizon.EIGHT_HOURS, 1), (Horizon.THREE_DAYS, 4), (Horizon.WEEK, 8), (None, 8)])
def test_candle_needs_given_a_horizon_then_end_with_the_day_of_its_end(horizon: Horizon | None, days: int) -> None:
    (need,) = candle_needs(trades(("A", 30.25, 30.5), horizon=horizon), now=NOW)

    assert need.end == START + (30 + days) * DAY


def test_candle_needs_given_two_pairs_then_each_has_warm_up_and_horizon() -> None:
    needs = candle_needs(trades(("B", 40.5, 41.0), ("A", 30.25, 30.5), ("A", 33.0, 33.1)), now=NOW)

    assert [(need.pair, need.trades) for need in needs] == [("A", 2), ("B", 1)]
    assert (needs[0].start, needs[0].end) == (START + 10 * DAY, START + 35 * DAY)
    assert (needs[1].start, needs[1].end) == (START + 20 * DAY, START + 42 * DAY)


def test_candle_needs_given_trades_up_to_now_then_asks_for_no_future() -> None:
    (need,) = candle_needs(trades(("A", 299.0, 299.9)), now=NOW - timedelta(hours=1))

    assert need.end == NOW - timedelta(hours=1)


@given(st.lists(st.tuples(st.sampled_from("AB"), st.floats(0.0, 200.0), st.floats(0.0, 5.0)), min_size=1, max_size=12))
def test_candle_needs_cover_every_trade(rows: list[tuple[str, float, float]]) -> None:
    frame = trades(*((pair, opened, opened + held) for pair, opened, held in rows))

    spans = {need.pair: need for need in candle_needs(frame, now=NOW)}

    for row in frame.itertuples(index=False):
        assert spans[row.pair].start <= row.open_date - WARM_UP
        assert spans[row.pair].end >= max(row.open_date + DAY, row.close_date)


@pytest.mark.parametrize("error", [CandleError("no such pair"), ExchangeBusyError("busy")])
def test_fetch_needs_given_one_that_fails_then_the_others_are_fetched(error: Exception) -> None:
    needs = [CandleNeed(pair=pair, start=START, end=NOW, trades=1) for pair in "ABC"]

    def fetch(need: CandleNeed) -> int:
        if need.pair == "B":
            raise error
        return 7

    fetched = fetch_needs(needs, fetch=fetch)

    assert fetched.added == {"A": 7, "C": 7}
    assert fetched.refused == {"B": str(error)}
