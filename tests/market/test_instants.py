"""Aware times and microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import CandleError
from bot3.market.instants import DAY_US, EPOCH, instant_of, instant_us, instants, microseconds

times = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone


@given(at=times)
def test_instant_of_is_the_inverse_of_instant_us(at: datetime) -> None:
    assert instant_of(instant_us(at)) == at


@given(ats=st.lists(times, max_size=5))
def test_instants_given_microseconds_then_are_the_times_one_by_one(ats: list[datetime]) -> None:
    at_us = np.array([instant_us(at) for at in ats], dtype=np.int64)

    column = instants(at_us)

    assert [at.to_pydatetime() for at in column] == ats
    assert microseconds(column).tolist() == at_us.tolist()


def test_instant_us_given_another_zone_then_is_the_same_instant() -> None:
    at = datetime(1970, 1, 2, 2, tzinfo=timezone(timedelta(hours=2)))

    assert (instant_us(at), instant_us(EPOCH)) == (DAY_US, 0)


def test_instant_us_given_no_zone_then_refuses() -> None:
    with pytest.raises(CandleError, match="has no time zone"):
        instant_us(datetime(2026, 1, 1))  # noqa: DTZ001  # what is refused
