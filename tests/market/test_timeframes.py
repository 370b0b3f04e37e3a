from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot3.errors import SettingsError
from bot3.market.timeframes import candle_open_time, timeframe_duration


def test_timeframe_duration_given_known_texts_then_their_length() -> None:
    assert [timeframe_duration(t) for t in ("5m", "1h", "1d")] == [timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)]


@pytest.mark.parametrize("text", ["", "5", "m", "0m", "-5m", "5s", "5M"])
def test_timeframe_duration_given_other_texts_then_refuses(text: str) -> None:
    with pytest.raises(SettingsError, match="set a number followed by"):
        timeframe_duration(text)


def test_candle_open_time_given_an_instant_within_then_the_first_instant() -> None:
    assert candle_open_time(datetime(2025, 1, 1, 12, 4, 59, tzinfo=UTC), "5m") == datetime(2025, 1, 1, 12, 0, tzinfo=UTC)
