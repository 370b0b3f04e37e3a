from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import SettingsError
from bot3.market.weeks import walk_forward_weeks, week_of, week_start

instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds it


@given(at=instants)
def test_week_of_an_instant_holds_it(at: datetime) -> None:
    start = week_start(week_of(at))

    assert start <= at < start + timedelta(days=7)


@pytest.mark.parametrize("week", ["2025-01-07", "2025-13-01", "week 3"])
def test_week_start_given_no_monday_then_refuses(week: str) -> None:
    with pytest.raises(SettingsError, match=week):
        week_start(week)


def test_walk_forward_weeks_given_a_span_then_returns_every_fourth_monday() -> None:
    weeks = walk_forward_weeks(datetime(2025, 1, 8, tzinfo=UTC), datetime(2025, 3, 10, tzinfo=UTC))

    assert weeks == ("2025-01-13", "2025-02-10", "2025-03-10")
