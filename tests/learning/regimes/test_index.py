from __future__ import annotations

import pandas as pd
import pytest

from bot3.errors import CandleError
from bot3.learning.regimes.index import hourly_index
from tests.learning.worlds import candle_frame


def test_hourly_index_given_an_hour_in_progress_then_leaves_it_out() -> None:
    whole = candle_frame(seed=1, n=12 * 10)

    index = hourly_index({"A": candle_frame(seed=1, n=12 * 10 - 1)})

    assert len(index) == 9
    pd.testing.assert_series_equal(index, hourly_index({"A": whole}).iloc[:9], check_freq=False)


def test_hourly_index_given_no_candles_then_raises() -> None:
    with pytest.raises(CandleError, match="no pair has candles"):
        hourly_index({"A": candle_frame(seed=1, n=1)})
