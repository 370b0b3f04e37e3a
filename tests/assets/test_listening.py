"""What a listener does when a step or its telling fails: no close and no event is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import LearningError, StoreBusyError
from bot3.wiring import Platform
from bot3_assets.lineage import Lineage
from bot3_assets.listening import BACKLOG, BacklogError, ChangeDetector, ClosesLoop, EventReporter, ReportedCursor

STORE = "record-1"


class AwayError(Exception):
    """Something that no error of ours stands for."""


@dataclass
class ASource:
    """A bot's database that commits when told to."""

    store_id: str
    commits: int = 0
    is_busy: bool = False

    @property
    def reader(self) -> ASource:
        return self

    def change_token(self) -> str:
        if self.is_busy:
            raise StoreBusyError(f"{self.store_id} is busy")
        return str(self.commits)


@dataclass
class ARecord:
    """A record that stands at a revision; `is_away` lets it raise."""

    at: int = 5
    asked: int = 0
    is_away: bool = False
    store_id: str = STORE

    def revision(self) -> int:
        self.asked += 1
        if self.is_away:
            raise AwayError
        return self.at

    @property
    def replays(self) -> ARecord:
        return self

    def next_due_at(self) -> datetime | None:
        return None

    @property
    def parameters(self) -> ARecord:
        return self

    def as_of(self, at: datetime) -> object:
        raise LearningError(f"nothing was learned as of {at}")


@dataclass
class APlatform:
    """As much of a platform as a listener asks; learning notes what it was given and does what it is told to."""

    found: list[ASource]
    learn: Callable[[], object]
    record: ARecord = field(default_factory=ARecord)
    waiting: int = 1
    learned: list[list[str]] = field(default_factory=list)

    def sources(self) -> list[ASource]:
        return self.found

    @property
    def steps(self) -> APlatform:
        return self

    def unsynced_closes(self) -> int:
        return self.waiting

    def learn_from_closes(self, sources: Sequence[ASource]) -> Any:
        self.learned.append([source.store_id for source in sources])
        return self.learn()

    @property
    def clock(self) -> APlatform:
        return self

    def now(self) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC)


def failing() -> object:
    raise AwayError


def platform(learn: Callable[[], object] = failing, **given: Any) -> tuple[APlatform, ClosesLoop, Lineage]:
    made = APlatform([ASource("a"), ASource("b")], learn, **given)
    return made, ClosesLoop(cast("Platform", made)), Lineage(instance=dg.DagsterInstance.ephemeral(), source="test")


ODD_CURSORS = ["garbage", "5", "null", "[]", '"text"', '{"store": 1}', '{"revision": 7}', '{"store": "record-1"}', "NaN"]
ODD_REVISIONS = ['"x"', "null", "[1]", "-4", "1e999", "NaN"]


@pytest.mark.parametrize("cursor", [*ODD_CURSORS, *(f'{{"store": "record-1", "revision": {text}}}' for text in ODD_REVISIONS)])
def test_reported_given_what_a_person_wrote_into_the_cursor_then_nothing_was_reported(cursor: str) -> None:
    assert ReportedCursor.of(cursor, store_id=STORE) == ReportedCursor(store_id=STORE, revision=0)


@given(cursor=st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=4).map(json.dumps))
def test_reported_given_any_cursor_then_is_read_and_written_again(cursor: str) -> None:
    reported = ReportedCursor.of(cursor, store_id=STORE)

    assert ReportedCursor.of(reported.cursor(), store_id=STORE) == reported


def test_begin_given_a_cursor_that_is_none_then_all_is_told_anew_and_the_next_one_is_read() -> None:
    _, listener, _ = platform()

    listener.begin("garbage")

    assert json.loads(listener.end().cursor()) == {"store": STORE, "revision": 0}


def test_watch_given_a_source_that_is_busy_then_names_those_before_it_again() -> None:
    a, b = ASource("a"), ASource("b")
    watch = ChangeDetector(cast("Platform", APlatform([a, b], failing)))
    assert watch.changed() == [a, b]
    a.commits, b.is_busy = 1, True
    with pytest.raises(StoreBusyError):
        watch.changed()
    b.is_busy = False

    assert watch.changed() == [a]


def test_look_given_learning_fails_in_a_way_nobody_thought_of_then_the_next_one_learns_from_the_same_closes() -> None:
    made, listener, lineage = platform()

    for _ in range(2):
        with pytest.raises(AwayError):
            listener.look(lineage)

    assert made.learned == [["a", "b"], ["a", "b"]]


def test_look_given_more_closes_than_a_step_should_take_then_leaves_them_to_a_run() -> None:
    made, listener, lineage = platform(waiting=BACKLOG + 1)

    with pytest.raises(BacklogError, match="2001 closes are pending"):
        listener.look(lineage)
    assert made.learned == []
    made.waiting = BACKLOG

    with pytest.raises(AwayError):
        listener.look(lineage)
    assert made.learned == [["a", "b"]]


def test_begin_given_an_event_that_failed_and_no_new_revision_then_it_is_told_still() -> None:
    @dataclass
    class AReport:
        changed: bool = True

    made, listener, lineage = platform(AReport)
    made.record.is_away = True
    with pytest.raises(AwayError):
        listener.look(lineage)
    made.record.is_away = False
    listener.begin(ReportedCursor(store_id=STORE, revision=5).cursor())
    made.record.is_away, asked = True, made.record.asked

    with pytest.raises(AwayError):
        listener.look(lineage)

    assert made.record.asked == asked + 1


def test_teller_given_a_record_that_was_restored_to_an_earlier_state_then_all_of_it_is_untold() -> None:
    teller = EventReporter(STORE)

    teller.take(ReportedCursor(store_id=STORE, revision=9).cursor(), revision=9)
    kept = teller.reported.revision
    teller.take(ReportedCursor(store_id=STORE, revision=9).cursor(), revision=7)

    assert (kept, teller.reported.revision) == (9, 0)
