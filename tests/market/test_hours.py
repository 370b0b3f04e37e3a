"""Hours aggregated from 5m candles."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.market.columns import candle_columns
from bot3.market.hours import HOUR_US, hourly_columns, joined_columns
from tests.market.random_walks import random_walk

STEP_US = HOUR_US // 12


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), lost=st.sets(st.integers(0, 119), max_size=60), count=st.integers(1, 120))
def test_hours_given_missing_candles_then_equal_a_resample_of_those_with_a_last_candle(seed: int, lost: set[int], count: int) -> None:
    frame = random_walk(count, seed=seed)
    frame = frame[~frame.index.isin(lost)].reset_index(drop=True)
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    ends = set(frame.loc[frame["open_time"].dt.minute == 55, "open_time"].dt.floor("h"))
    grouped = frame.set_index("open_time").resample("1h").agg(rules) if len(frame) else pd.DataFrame(columns=list(rules))
    expected = grouped[grouped.index.isin(ends)]

    made = hourly_columns(candle_columns(frame), step_us=STEP_US)

    assert made.open_us.tolist() == [int(at.timestamp() * 1e6) for at in expected.index]
    for name in rules:
        np.testing.assert_allclose(getattr(made, name), expected[name].to_numpy(dtype=np.float64), rtol=1e-12)


def test_joined_columns_given_two_series_then_the_first_one_counts() -> None:
    whole = hourly_columns(candle_columns(random_walk(240, seed=1)), step_us=STEP_US)
    other = hourly_columns(candle_columns(random_walk(240, seed=2)), step_us=STEP_US)

    made = joined_columns(whole.since(10), other)

    assert made.open_us.tolist() == whole.open_us.tolist()
    assert made.close.tolist() == [*other.close[:10], *whole.close[10:]]
