"""Whatever happens in whatever order: the record is the source, the copy is the record, and no lineage is missing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy.engine import make_url

from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import StoreBusyError
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.trades import RunMode
from tests.fate import Fate
from tests.journey.interleaving import World, a_close, digests_of
from tests.learned import a_regime
from tests.memory_copy import MemoryCopy
from tests.servers.cut_proxy import CutProxy
from tests.servers.influx import InfluxProgram
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.slow

IDS = st.integers(min_value=1, max_value=3)
SHAPES = st.fixed_dictionaries(
    {
        "day": st.sampled_from([1, 2, 20, 29]),
        "minute": st.integers(0, 2),
        "pair": st.integers(0, 1),
        "leverage": st.sampled_from([3.0, 5.0, 20.0]),
        "exit_reason": st.sampled_from(["roi", None]),
    }
)
STEPS = st.integers(min_value=1, max_value=9)
FATES = st.fixed_dictionaries({"is_late": st.booleans(), "is_kill": st.booleans()})
REACHABLE = precondition(lambda self: not self.world.is_source_away)


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Not shrunk: an example takes seconds, and a shorter one minutes to find."""


class Interleaving(RuleBasedStateMachine):
    """What can happen to a bot, the platform's processes and its stores; at the end of every example all is up again for one tick."""

    def make_world(self, folder: Path) -> World:
        fate = Fate()
        return World(folder, source_url=sqlite_url(folder / "grid.sqlite"), memory=MemoryCopy(fate), fate=fate)

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bot3-world-"))
        self.world = self.make_world(self.folder)
        self.is_copy_away = False

    # The bot

    @REACHABLE
    @rule(trade_id=IDS, shape=SHAPES)
    def close(self, trade_id: int, shape: dict[str, Any]) -> None:
        self.world.add(a_close(trade_id, **shape))

    @REACHABLE
    @rule(trade_id=IDS, shape=SHAPES)
    def reuse_id(self, trade_id: int, shape: dict[str, Any]) -> None:
        self.world.delete(trade_id)
        self.world.add(a_close(trade_id, **shape))

    @REACHABLE
    @rule(trade_id=IDS, shape=SHAPES)
    def update_late(self, trade_id: int, shape: dict[str, Any]) -> None:
        row = a_close(trade_id, **shape)
        self.world.change(trade_id, **{name: row[name] for name in ("close_profit", "exit_reason", "leverage", "pair")})

    @REACHABLE
    @rule(trade_id=IDS)
    def delete(self, trade_id: int) -> None:
        self.world.delete(trade_id)

    @REACHABLE
    @rule(trade_id=IDS)
    def reopen(self, trade_id: int) -> None:
        self.world.change(trade_id, is_open=True)

    @rule(day=st.integers(2, 30))
    def close_of_our_own(self, day: int) -> None:
        self.world.close_own(self.world.market_at - timedelta(days=day))

    # The platform

    @rule()
    def tick(self) -> None:
        self.world.tried(self.world.tick)

    @rule()
    def publish(self) -> None:
        try:
            self.world.publish()
        except StoreBusyError:
            if not self.is_copy_away:
                raise

    @REACHABLE
    @rule()
    def compare_nightly(self) -> None:
        self.world.compare_nightly()

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.world.market_at += timedelta(hours=hours)
        self.world.platform.set_clock(self.world.market_at)
        self.world.platform.record.regimes.publish([a_regime(self.world.market_at)])

    # What goes wrong

    @REACHABLE
    @rule(trade_id=IDS, shape=SHAPES, step=st.integers(1, 24), fate=FATES)
    def tick_is_struck(self, trade_id: int, shape: dict[str, Any], step: int, fate: dict[str, bool]) -> None:
        self.reuse_id(trade_id, shape)
        self.world.struck(self.world.tick, step=step, **fate)

    @rule(step=STEPS, fate=FATES)
    def publishing_is_struck(self, step: int, fate: dict[str, bool]) -> None:
        self.world.struck(self.publish, step=step, **fate)

    @REACHABLE
    @rule(step=STEPS, fate=FATES)
    def comparison_is_struck(self, step: int, fate: dict[str, bool]) -> None:
        self.world.struck(self.world.compare_nightly, step=step, **fate)

    @REACHABLE
    @rule()
    def a_process_learns_and_dies_before_it_tells(self) -> None:
        self.world.learn_untold()

    @rule()
    def process_restarts(self) -> None:
        self.world.restart()

    @rule()
    def cursor_is_lost(self) -> None:
        self.world.cursor = self.world.published_cursor = None

    @REACHABLE
    @rule()
    def source_goes_away(self) -> None:
        self.world.send_source_away()

    @rule()
    def source_comes_back(self) -> None:
        self.world.bring_source_back()

    # What must be so

    @invariant()
    def cursor_is_never_ahead_of_what_was_told(self) -> None:
        self.world.note()
        told = self.world.told("synced_trades", self.world.name)
        assert self.world.reported() <= told.get("revision", 0)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.bring_all_back()
            self.require_all()
        finally:
            self.world.end()
            shutil.rmtree(self.folder)

    def bring_all_back(self) -> None:
        self.world.bring_source_back()
        self.world.compare_nightly()
        self.world.tick()
        self.world.publish()

    def require_all(self) -> None:
        world = self.world
        platform = world.platform
        world.note()
        source = world.source_digests()
        assert digests_of(platform.record) == source
        assert world.counted() == (len(source), len(world.seen) - len(source))
        found = platform.publishing.check(now=platform.clock.now())
        assert (found.is_equal, found.waiting) == (True, 0), found
        self.require_lineage()

    def require_lineage(self) -> None:
        """Everything that was ever written was told, and what was told last is what is in force."""
        world, platform = self.world, self.world.platform
        revision = platform.record.revision()
        parameters = platform.record.parameters.as_of(platform.clock.now())
        trades, tombstones = world.counted()
        for bot in platform.source_names:
            assert world.told("synced_trades", bot)["revision"] == revision
        told = world.told("synced_trades", world.name)
        assert (told["dagster/row_count"], told["deleted"]) == (trades, tombstones)
        assert world.told("adaptive_params")["version"] == parameters.version
        assert world.told("bot_trades", world.name)["dagster/row_count"] == trades
        assert world.reported() == revision
        assert world.told("published_learning")["revision"] == revision


def proved(machine: type[Interleaving], *, examples: int) -> None:
    """Run a machine; `--hypothesis-profile` scales how often."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, examples * settings().max_examples // 100),
            stateful_step_count=max(14, settings().stateful_step_count // 4),
            deadline=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(autouse=True, scope="module")
def living_instance() -> Iterator[None]:
    """Keep an instance open: Dagster remembers the last one that was opened."""
    with dg.DagsterInstance.ephemeral():
        yield


def test_world_given_any_interleaving_then_record_copy_and_lineage_are_as_the_source() -> None:
    proved(Interleaving, examples=5)


@pytest.mark.postgres
def test_world_on_postgres_given_any_interleaving_then_all_are_as_the_source(postgres: PostgresServer) -> None:
    class OnPostgres(Interleaving):
        """Source and record are databases of a server."""

        def make_world(self, folder: Path) -> World:
            fate, (record, source) = Fate(), (postgres.new_database() for _ in range(2))
            given = {
                "platform_db_host": str(postgres.directory),
                "platform_db_user": "bot3",
                "platform_db_name": str(make_url(record).database),
            }
            return World(folder, source_url=source, memory=MemoryCopy(fate), fate=fate, **given)

    proved(OnPostgres, examples=2)


@pytest.mark.influx
def test_world_with_a_real_copy_given_any_interleaving_then_all_are_as_the_source(influx: InfluxProgram) -> None:
    port = urlsplit(influx.url).port
    assert port is not None

    class WithCopy(Interleaving):
        """The copy is a real server's, on a way that can be cut."""

        def make_world(self, folder: Path) -> World:
            address, prefix = influx.address(), influx.new_prefix()
            self.way = CutProxy(port)
            self.way.__enter__()
            names = {f"{bot}_influx_bucket": f"{prefix}{bot}" for bot in ("bot1", "bot2", "bot3")} | {"influx_bucket": f"{prefix}learning"}
            server = {"influx_url": self.way.url, "influx_org": address.org, "influx_token": address.token, "influx_timeout_s": 5.0}
            source = sqlite_url(folder / "grid.sqlite")
            return World(folder, source_url=source, memory=None, fate=Fate(), bot=f"{prefix}GRID7", **server, **names)

        @rule()
        def copy_goes_away(self) -> None:
            self.way.cut()
            self.is_copy_away = True

        @rule()
        def copy_comes_back(self) -> None:
            self.way.mend()
            self.is_copy_away = False

        @rule(messages=st.integers(1, 6))
        def publishing_is_cut_off(self, messages: int) -> None:
            self.way.cut_after(messages)
            self.is_copy_away = True
            self.publish()
            self.copy_comes_back()

        def bring_all_back(self) -> None:
            self.copy_comes_back()
            super().bring_all_back()

        def teardown(self) -> None:
            super().teardown()
            self.way.__exit__(None, None, None)

    proved(WithCopy, examples=2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    fate = Fate()
    world = World(tmp_path, source_url=sqlite_url(tmp_path / "grid.sqlite"), memory=MemoryCopy(fate), fate=fate)
    yield world
    world.end()


def copied(world: World) -> bool:
    return world.platform.publishing.check(now=world.platform.clock.now()).is_equal


def test_copy_given_an_id_used_again_for_the_same_close_and_published_half_way_then_holds_the_new_trade(world: World) -> None:
    world.add(a_close(1, day=1, minute=0))
    world.tick()
    world.publish()
    world.delete(1)
    world.add(a_close(1, day=1, minute=1))
    # Killed once the new trade is in the record, and before the old one is marked as deleted.
    world.struck(world.compare_nightly, step=1, is_late=True, is_kill=True)
    world.publish()

    world.tick()
    world.publish()

    assert world.counted() == (1, 1)
    assert copied(world)


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("step", [1, 4, 5, 6])
def test_publishing_given_it_fails_at_any_step_then_what_is_published_is_told(world: World, step: int, is_late: bool) -> None:
    world.add(a_close(1, day=1, minute=0))
    world.tick()
    world.struck(world.publish, step=step, is_late=is_late, is_kill=True)

    world.publish()

    assert copied(world)
    assert world.told("published_learning")["revision"] == world.platform.record.revision()


@pytest.mark.parametrize("is_kill", [False, True])
@pytest.mark.parametrize("step", [1, 3, 5, 9, 16])
def test_sensor_given_it_fails_after_any_step_then_what_was_learned_is_told(world: World, step: int, is_kill: bool) -> None:
    world.add(a_close(1, day=1, minute=0))
    world.tick()
    world.add(a_close(2, day=2, minute=0))
    world.struck(world.tick, step=step, is_late=True, is_kill=is_kill)

    world.tick()

    record = world.platform.record
    assert world.counted() == (2, 0)
    assert world.told("adaptive_params")["version"] == record.parameters.as_of(world.platform.clock.now()).version
    assert {world.told("synced_trades", bot)["revision"] for bot in world.platform.source_names} == {record.revision()}


def test_sensor_given_a_trade_beyond_the_bins_of_leverage_then_learns_from_all_others(world: World) -> None:
    world.add(a_close(1, day=1, minute=0, leverage=20.0))
    world.add(a_close(2, day=2, minute=0))

    world.tick()

    assert world.counted() == (2, 0)
    assert world.platform.fleet[0].refused_trades() == ()
    replays = world.platform.record.replays.frame(as_of=None, run_modes=(RunMode.LIVE,))
    assert replays.loc[replays["state"] == "left_out", ["trade_id", "leverage_bin", "reason"]].to_numpy().tolist() == [
        [1, DEFAULT_BINS.outside[-1], "leverage outside the bins"]
    ]


def test_sensor_given_a_database_that_went_away_and_came_back_unchanged_then_tells_both(world: World) -> None:
    world.add(a_close(1, day=1, minute=0))
    world.tick()
    world.send_source_away()
    for _ in range(2):
        world.tried(world.tick)
    away = world.told("bot_trades", world.name)
    world.bring_source_back()

    world.tick()

    assert "no such table" in away["not_read"]
    assert world.told("bot_trades", world.name)["dagster/row_count"] == 1
