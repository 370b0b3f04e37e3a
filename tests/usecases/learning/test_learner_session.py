"""A session over a record: its learner, its position, and the steps review, learn and publish."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import LearningError, StoreConflictError
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.learning.promotion.permissions import NOBODY, Permission
from bot3.learning.replay.groups import group_of_key
from bot3.trading.parameters import ParameterSet, ParameterState
from bot3.trading.trades import RunMode
from bot3.usecases.learning.learn_params import LearnOutcome, learn, learn_params, publish
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.replay_trades import replay_trades
from bot3.usecases.learning.review_gates import review
from tests.learned import a_row, a_set
from tests.learning.worlds import PAIRS, START
from tests.usecases.fakes import FakeRecord
from tests.usecases.learning.test_relearn import CANDLES, a_session, a_trade

BEGIN = START + timedelta(days=5)
LIFE = timedelta(days=7)
MODES = [RunMode.PAPER]


@dataclass
class World:
    """A record, a session that continues over all steps, and the market time."""

    record: FakeRecord = field(default_factory=FakeRecord)
    session: LearnerSession = field(default_factory=a_session)
    now: datetime = BEGIN

    def insert(self, number: int) -> None:
        opened = self.now - timedelta(hours=3 + number)
        self.record.trades.upsert([a_trade(number, opened=opened, pair=PAIRS[number % 2], leverage=(1.5, 3.0, 9.0)[number % 3])])

    def correct(self, number: int) -> None:
        known = self.record.trades.keys(bot="BOT1", run_mode=RunMode.PAPER, closed_since=None)
        for trade_id, opened in sorted(known)[number : number + 1]:
            self.record.trades.upsert([replace(a_trade(trade_id, opened=opened, pair=PAIRS[0], leverage=3.0), exit_reason="force_exit")])

    def delete(self, number: int) -> None:
        known = self.record.trades.keys(bot="BOT1", run_mode=RunMode.PAPER, closed_since=None)
        if found := sorted(known)[number : number + 1]:
            self.record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=found)

    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    def replay(self, _: int = 0) -> None:
        replay_trades(self.record, self.session, CANDLES, run_modes=MODES, now=self.now)  # type: ignore[arg-type]

    def learn(self, full: int) -> LearnOutcome:
        return learn_with(self.record, self.session, now=self.now, full=full > 2)

    def learn_elsewhere(self, _: int) -> None:
        other = a_session()
        replay_trades(self.record, other, CANDLES, run_modes=MODES, now=self.now)  # type: ignore[arg-type]
        learn_with(self.record, other, now=self.now, full=True)


def learn_with(record: FakeRecord, session: LearnerSession, *, now: datetime, full: bool) -> LearnOutcome:
    return learn_params(record, session, now=now, computed_at=now, life=LIFE, trades_revision=0, full=full)  # type: ignore[arg-type]


CALLS = st.tuples(
    st.sampled_from(["insert", "insert", "correct", "delete", "wait", "replay", "learn", "learn_elsewhere"]), st.integers(0, 5)
)


def world_after(calls: list[tuple[str, int]]) -> World:
    world = World()
    for name, number in calls:
        getattr(world, name)(number)
        world.wait(1)  # publications of one instant would have no order
    return world


@settings(max_examples=40, deadline=None)
@given(calls=st.lists(CALLS, max_size=14))
def test_session_given_any_order_of_calls_then_learns_in_full_as_one_that_begins_now(calls: list[tuple[str, int]]) -> None:
    warm = world_after(calls)
    cold = World(record=deepcopy(warm.record), now=warm.now)

    found = []
    for world in (warm, cold):
        world.replay()
        found.append(world.learn(full=3).published)

    assert found[0] == found[1]
    assert warm.record.gates.ledgers == cold.record.gates.ledgers
    assert (warm.session.permission, warm.session.ledger) == (cold.session.permission, cold.session.ledger)


@settings(max_examples=40, deadline=None)
@given(calls=st.lists(CALLS, max_size=14))
def test_session_given_any_order_of_calls_then_has_nothing_to_learn_right_after_it_learned(calls: list[tuple[str, int]]) -> None:
    world = world_after(calls)
    world.replay()
    world.learn(full=0)
    published = list(world.record.parameters.published)

    world.replay()
    again = world.learn(full=0)

    assert (again.published, world.record.parameters.published, world.session.touched) == (None, published, frozenset())


def test_learner_given_any_session_then_has_no_attribute_that_others_may_set() -> None:
    learner = ParameterLearner(LearningSettings())

    assert [name for name in vars(learner) if not name.startswith("_")] == []


def test_publish_given_a_conflict_then_leaves_the_session_as_it_was() -> None:
    world = World(record=FakeRecord(conflicts=1))
    world.insert(1)
    world.replay()
    record, session = world.record, world.session
    touched = session.touched
    found = review(record, session, now=world.now)  # type: ignore[arg-type]
    learned = learn(record, session, found, now=world.now, computed_at=world.now, life=LIFE, trades_revision=0)  # type: ignore[arg-type]
    assert learned is not None

    with pytest.raises(StoreConflictError):
        publish(record, session, learned)  # type: ignore[arg-type]

    assert touched
    assert (session.touched, session.publication, session.permission, session.ledger) == (touched, None, NOBODY, None)


def test_learn_given_a_review_and_nothing_touched_then_returns_nothing_to_publish() -> None:
    world = World()
    world.replay()
    world.learn(full=0)
    record, session = world.record, world.session

    found = review(record, session, now=world.now)  # type: ignore[arg-type]

    assert found.ledger is None
    assert learn(record, session, found, now=world.now, computed_at=world.now, life=LIFE, trades_revision=0) is None  # type: ignore[arg-type]


def trading_set(*keys: str, states: tuple[ParameterState, ...]) -> ParameterSet:
    groups = [group_of_key(key) for key in keys]
    rows = [
        a_row(pair=pair, direction=side, leverage_bin=name, state=state) for (pair, side, name), state in zip(groups, states, strict=True)
    ]
    return a_set("v1", *rows)


def test_published_given_a_part_of_the_rows_then_the_others_continue_to_trade() -> None:
    session, (first, second) = a_session(), (f"{pair}|long|2.0-3.5" for pair in PAIRS)
    session.follow(Permission(raised=frozenset({group_of_key(first), group_of_key(second)})), None)

    session.published(trading_set(first, states=(ParameterState.PROBE,)), is_full=False, ledger=None, token="t1")

    assert session.permission.raised == {group_of_key(second)}


def test_published_given_all_rows_then_only_its_own_trade() -> None:
    session, (first, second) = a_session(), (f"{pair}|long|2.0-3.5" for pair in PAIRS)
    session.follow(Permission(raised=frozenset({group_of_key(second)})), None)

    session.published(trading_set(first, states=(ParameterState.TRADE,)), is_full=True, ledger=None, token="t1")

    assert session.permission.raised == {group_of_key(first)}


def test_restart_given_a_session_that_learned_then_begins_anew_with_the_candles_it_has() -> None:
    world = World()
    world.insert(1)
    world.replay()
    world.learn(full=0)
    loaded = world.session.learner.candles_until(PAIRS[1])

    world.session.restart()

    session = world.session
    assert (session.position, session.publication, session.permission, session.touched) == (None, None, NOBODY, frozenset())
    assert (session.learner.cells(), session.learner.candles_until(PAIRS[1])) == ([], loaded)
    with pytest.raises(LearningError, match="learn_all first"):
        session.learner.rows_of([group_of_key("*|*|*")], now=world.now, version="")
