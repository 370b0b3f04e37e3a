"""When a copy that lost writes is published again: once an outage, otherwise once in ten minutes, and never twice in vain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot3.ports.publisher import Head, Origin, PublicationKind
from bot3.usecases.publishing.check import PublishedCheck, TradesCheck
from bot3.usecases.publishing.republish_lost import EVERY_S, LostWrites

EQUAL = PublishedCheck(missing=(), extra=(), differing=(), trades={}, waiting=0)
HEAD = Head(
    origin=Origin(store_id="r", epoch="1"),
    noun=PublicationKind.REGIME,
    known_at=datetime(2026, 1, 1, tzinfo=UTC),
    seq=0,
    version="v1",
    rows=1,
)


class Watched:
    """What was lost, and a clock that is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.lost = LostWrites(monotonic=lambda: self.now_s)

    def finds(self, *checks: PublishedCheck) -> list[bool]:
        return [self.lost.are_due(check) for check in checks]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def without_trades(*ids: int) -> PublishedCheck:
    return replace(EQUAL, trades={"BOT1": TradesCheck(record=9, published=9 - len(ids), missing=ids, extra=(), changed=())})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(EQUAL, missing=(HEAD,)), {"regime v1 of 2026-01-01 00:00:00+00:00"}),
        (replace(EQUAL, differing=("parameters",)), {"parameters in force"}),
        (without_trades(3), {"trade 3 of BOT1"}),
        (replace(EQUAL, trades={"BOT1": TradesCheck(record=1, published=1, missing=(), extra=(), changed=(4,))}), {"trade 4 of BOT1"}),
    ],
)
def test_lost_given_what_the_copy_lacks_or_holds_otherwise_then_is_due(watched: Watched, found: PublishedCheck, words: set[str]) -> None:
    assert found.lost == words
    assert watched.finds(found) == [True]


def test_lost_given_an_equal_copy_then_is_not_due(watched: Watched) -> None:
    assert watched.finds(EQUAL) == [False]


def test_lost_given_only_extra_trades_then_is_not_due(watched: Watched) -> None:
    extra = TradesCheck(record=1, published=2, missing=(), extra=(7,), changed=())

    assert watched.finds(replace(EQUAL, trades={"BOT1": extra})) == [False]


def test_lost_given_publications_of_another_record_then_is_left_to_a_person(watched: Watched) -> None:
    restored = replace(HEAD, origin=Origin(store_id="r", epoch="2"))

    assert watched.finds(replace(EQUAL, missing=(restored,), extra=(HEAD,))) == [False]


def test_lost_given_new_losses_soon_after_then_waits_ten_minutes(watched: Watched) -> None:
    watched.finds(without_trades(1), EQUAL)

    watched.now_s = EVERY_S - 1.0
    assert watched.finds(without_trades(2)) == [False]
    watched.now_s = EVERY_S
    assert watched.finds(without_trades(2)) == [True]


def test_lost_given_another_outage_then_is_due_at_once_and_once(watched: Watched) -> None:
    watched.finds(without_trades(1), EQUAL)

    watched.lost.notice_outage()

    assert watched.finds(without_trades(2), EQUAL, without_trades(3)) == [True, False, False]


def test_lost_given_a_loss_that_publishing_does_not_bring_then_is_not_due_again(watched: Watched) -> None:
    watched.finds(without_trades(1))

    assert watched.finds(without_trades(1)) == [False]
    watched.now_s = 10.0 * EVERY_S
    watched.lost.notice_outage()
    assert watched.finds(without_trades(1)) == [False]
    assert watched.finds(without_trades(1, 2)) == [True]


def test_lost_given_an_outage_before_it_was_looked_at_again_then_is_due_again(watched: Watched) -> None:
    watched.finds(without_trades(1))

    watched.lost.notice_outage()

    assert watched.finds(without_trades(1)) == [True]


def test_lost_given_a_loss_that_was_brought_by_a_person_then_is_due_when_lost_again(watched: Watched) -> None:
    watched.finds(without_trades(1), without_trades(1), EQUAL)

    watched.now_s = EVERY_S

    assert watched.finds(without_trades(1)) == [True]


def test_lost_given_a_search_after_an_outage_then_what_it_does_not_name_stays_unpublishable(watched: Watched) -> None:
    watched.finds(without_trades(1), without_trades(1))
    watched.lost.notice_outage()

    searched = watched.lost.are_due(EQUAL, is_whole=False)

    assert (searched, watched.finds(without_trades(1))) == (False, [False])
