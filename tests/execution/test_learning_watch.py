"""What is in force in the daemon: every publication from its known_at on, however clock and publications move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.cached_learning import FollowedLearning
from bot3.errors import InvalidLearningError, StoreBusyError
from bot3.trading.decisions import Learning
from execution.learning_watch import LearningWatch
from tests.clocks import MovableClock
from tests.execution.floors import ShelfOfLearning
from tests.learned import a_recommendation, a_regime, a_row, a_set

START = MovableClock().now()
NOUNS = ("parameters", "recommendation", "regime")

published = st.tuples(st.sampled_from(NOUNS), st.integers(-5, 90))
"""A noun, and how many market minutes from now it comes into force."""
moved = st.integers(1, 40)
"""Market minutes that pass."""


def a_publication(noun: str, version: str, *, known_at: datetime) -> Any:
    if noun == "parameters":
        return a_set(version, a_row(known_at=known_at), known_at=known_at)
    if noun == "recommendation":
        return a_recommendation(version, known_at=known_at)
    return replace(a_regime(known_at), version=version)


def in_force(watch: LearningWatch) -> dict[str, str | None]:
    learning, regime = watch.learning, watch._regime
    values = (learning.parameters, learning.recommendation, regime)
    return {noun: None if value is None else value.version for noun, value in zip(NOUNS, values, strict=True)}


def newest(shelf: ShelfOfLearning, *, now: datetime) -> dict[str, str | None]:
    """Return what a reader that asks anew finds."""
    found: dict[str, str | None] = {}
    for noun in NOUNS:
        known = [value for value in shelf.published.get(noun, []) if value.known_at <= now]
        found[noun] = max(reversed(known), key=lambda value: value.known_at).version if known else None
    return found


@pytest.mark.parametrize("is_followed", [False, True])
@given(steps=st.lists(st.one_of(published, moved), max_size=25), speed=st.sampled_from([0.5, 1.0, 60.0, 5_000.0]))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be loaded
def test_watch_given_publications_that_wait_and_a_clock_that_moves_then_what_is_in_force_is_the_newest_known_by_now(
    is_followed: bool, steps: Sequence[tuple[str, int] | int], speed: float
) -> None:
    shelf, clock = ShelfOfLearning(), MovableClock(START, speed=speed)
    followed = FollowedLearning(shelf, now=clock.now, poll_s=1.0, first_wait_s=0.0)
    watch = LearningWatch(followed if is_followed else shelf, clock=clock)

    def look() -> None:
        followed.look()
        watch.look()

    # Both begin on something, as every home does that was seeded.
    for noun in NOUNS:
        shelf.publish(noun, a_publication(noun, "first", known_at=START))
    look()
    for number, step in enumerate(steps):
        if isinstance(step, int):
            clock.move(step * 60.0 / speed)
        else:
            noun, minutes = step
            known_at = clock.now() + timedelta(minutes=minutes)
            shelf.publish(noun, a_publication(noun, f"v{number}", known_at=max(known_at, START)))
        look()

        assert in_force(watch) == newest(shelf, now=clock.now())


def test_look_given_a_publication_that_waits_then_reads_it_at_its_time_and_not_before() -> None:
    shelf, clock = ShelfOfLearning(), MovableClock(START, speed=60.0)
    watch = LearningWatch(shelf, clock=clock)
    shelf.publish("parameters", a_set("v1", known_at=START))
    watch.look()
    shelf.publish("parameters", a_set("v2", known_at=START + timedelta(minutes=30)))
    shelf.publish("parameters", a_set("v3", known_at=START + timedelta(minutes=50)))

    seen = []
    for _ in range(12):
        changed = watch.look()
        seen.append((watch.versions()["parameters_version"], changed))
        clock.move(5.0)

    assert seen == [("v1", False)] * 6 + [("v2", True)] + [("v2", False)] * 3 + [("v3", True), ("v3", False)]


def test_look_given_nothing_new_and_nothing_that_waits_then_reads_nothing() -> None:
    shelf, clock = ShelfOfLearning(), MovableClock(START)
    watch = LearningWatch(shelf, clock=clock)
    shelf.publish("parameters", a_set("v1", known_at=START))
    watch.look()
    reads = shelf.reads

    for _ in range(5):
        clock.move(3_600.0)
        assert not watch.look()

    assert shelf.reads == reads


def test_learning_given_nothing_read_yet_then_is_unread_and_after_a_look_at_an_empty_store_it_is_nothing() -> None:
    watch = LearningWatch(ShelfOfLearning(), clock=MovableClock(START))
    assert watch.learning.is_unread

    watch.look()

    assert not watch.learning.is_unread
    assert watch.learning.parameters is None


class UnreliableShelf(ShelfOfLearning):
    """A shelf whose reads of parameters raise `problem` while there is one."""

    problem: Exception | None = None

    def known(self, noun: str, at: datetime) -> Any:
        if noun == "parameters" and self.problem is not None:
            raise self.problem
        return super().known(noun, at)


def test_watch_given_refused_parameters_and_then_a_store_that_cannot_be_read_then_it_is_not_as_if_nothing_was_learned() -> None:
    shelf = UnreliableShelf()
    watch = LearningWatch(shelf, clock=MovableClock(START))
    shelf.problem = InvalidLearningError("stop_loss is 0.0")
    watch.look()

    shelf.problem, shelf.token = StoreBusyError("cannot be reached"), shelf.token + 1
    with pytest.raises(StoreBusyError):
        watch.look()

    assert watch.learning == Learning(parameters=None, recommendation=None, is_unread=True)
