"""What was booked lately."""

from __future__ import annotations

from datetime import timedelta

from execution.booked import Booked
from tests.markets import NOON

OVERLAP = timedelta(minutes=10)


def test_booked_given_a_long_life_then_keeps_what_a_query_returns_again_and_nothing_older() -> None:
    booked = Booked(NOON, overlap=OVERLAP)

    for number in range(1_000):
        booked.add({str(number): NOON + timedelta(minutes=number)})

    assert booked.since == NOON + timedelta(minutes=989)
    assert [name in booked for name in ("988", "989", "999")] == [False, True, True]
    assert len(booked) == 11


def test_booked_given_an_older_one_than_the_newest_then_the_query_does_not_move_back() -> None:
    booked = Booked(NOON, overlap=OVERLAP)

    booked.add({"late": NOON - timedelta(minutes=5)})

    assert (booked.newest, "late" in booked) == (NOON, True)
