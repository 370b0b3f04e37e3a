"""A code server that is killed before any of its commits: the next one loses no close, no parameters and no lineage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from bot3.ports.publisher import PublicationKind
from bot3.trading.trades import RunMode
from bot3.wiring import Platform, open_platform
from tests.assets.doomed_ticks import Tick, tick
from tests.assets.test_sensors import close_trades, told
from tests.seeded import copy_of_home, tiny_settings

pytestmark = pytest.mark.slow  # a seeded home, and processes

RECORD = "platform"
KILLS, SEED = 10, 3
"""Kills drawn beside those that are named; `python -m benchmarks.kill_lineage` kills real services, as often as wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A home, Dagster's home, and the cursor of the last tick that lived."""

    home: Path
    dagster_home: Path
    cursor: str
    known: frozenset[str]

    def tick(self, *, dies_at: int = 0) -> Tick | None:
        return tick(self.home, self.dagster_home, cursor=self.cursor, dies_at=dies_at)

    def versions(self, opened: Platform) -> set[str]:
        """Return the versions of the parameters that were ever in force, but those of the seed."""
        return {head.version for head in opened.record.outbox.heads() if head.noun is PublicationKind.PARAMETERS} - self.known


@pytest.fixture
def place(tmp_path: Path) -> Place:
    home, dagster_home = copy_of_home(tmp_path), tmp_path / "dagster"
    dagster_home.mkdir()
    with open_platform(tiny_settings(home)) as opened:
        known = frozenset(head.version for head in opened.record.outbox.heads() if head.noun is PublicationKind.PARAMETERS)
    first = tick(home, dagster_home, cursor=None)
    assert first is not None
    return Place(home=home, dagster_home=dagster_home, cursor=first.cursor, known=known)


def steps_of_a_close(place: Place) -> list[str]:
    """Return the databases that a tick commits to for one close, in order."""
    close_trades(place.home)
    lived = place.tick()
    assert lived is not None
    return lived.steps


def assert_nothing_is_missing(place: Place, last: Tick, *, closes: set[int]) -> None:
    with open_platform(tiny_settings(place.home)) as opened, dg.DagsterInstance.local_temp(str(place.dagster_home)) as instance:
        record = opened.record
        synced = {key[0] for key in record.trades.keys(bot="BOT1", run_mode=RunMode.PAPER, closed_since=None)}
        shown = told(instance, "adaptive_params")
        newest = {asset: told(instance, asset) for asset in ("bot_trades", "synced_trades", "trade_replays")}
        assert closes <= synced
        assert len(synced) == opened.bot_store("BOT1").count_closed(closed_since=None)
        assert shown[0].metadata["version"].value == record.parameters.as_of(opened.clock.now()).version
        assert place.versions(opened) <= {str(one.metadata["version"].value) for one in shown}
        assert json.loads(last.cursor)["revision"] == record.revision()
        for asset, events in newest.items():
            of_bot = next(one for one in events if one.partition == "BOT1")
            held = len(synced) if asset == "bot_trades" else int(record.trades.counts().query("bot == 'BOT1'")["trades"].sum())
            assert of_bot.metadata["dagster/row_count"].value == held, asset


def test_tick_given_a_close_then_commits_to_the_record_before_it_tells_dagster(place: Place) -> None:
    steps = steps_of_a_close(place)

    # The sync, the replay, the publication; then the events.
    assert steps[:3] == [RECORD] * 3
    assert len(steps) > 3
    assert RECORD not in steps[3:]


def test_tick_given_it_is_killed_between_the_record_and_its_event_then_the_next_one_tells_it_before_it_learns_on(place: Place) -> None:
    steps = steps_of_a_close(place)
    closes = set(close_trades(place.home))

    killed = place.tick(dies_at=steps.count(RECORD) + 1)
    closes |= set(close_trades(place.home))
    after = place.tick()

    assert killed is None
    assert after is not None
    assert_nothing_is_missing(place, after, closes=closes)


def test_ticks_given_they_are_killed_anywhere_then_the_last_one_has_told_everything(place: Place) -> None:
    random, most = np.random.default_rng(SEED), len(steps_of_a_close(place))
    closes: set[int] = set()
    killed = 0

    for _ in range(KILLS):
        closes |= set(close_trades(place.home, int(random.integers(1, 4))))
        killed += place.tick(dies_at=int(random.integers(1, most + 1))) is None
    after = place.tick()

    assert killed == KILLS
    assert after is not None
    assert_nothing_is_missing(place, after, closes=closes)
