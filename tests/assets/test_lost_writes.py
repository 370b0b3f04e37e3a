"""A copy that loses what it acknowledged is published again, once, and Dagster shows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import StoreBusyError
from bot3.ports.publisher import PublicationKind
from bot3.usecases.publishing.republish_lost import EVERY_S
from bot3_assets.lineage import Lineage
from bot3_assets.publishing import CHECK_EVERY_S, LOOK_EVERY_S, SEARCH_EVERY_S, SENSOR, TRY_AFTER_OUTAGE_S, PublishLoop
from tests.fate import Fate
from tests.journey.interleaving import World, a_close, an_outage
from tests.learned import a_regime
from tests.memory_copy import MemoryCopy

pytestmark = pytest.mark.slow

CHECK = dg.AssetCheckKey(dg.AssetKey("published_learning"), "published_equals_record")


class Beating:
    """A beat that published a bot's trades and found the copy equal; its clock is moved."""

    def __init__(self, folder: Path) -> None:
        self.memory = MemoryCopy(Fate())
        self.world = World(folder, source_url=sqlite_url(folder / "grid.sqlite"), memory=self.memory, fate=self.memory.fate)
        for trade_id in (1, 2):
            self.world.add(a_close(trade_id, day=trade_id, minute=0))
        self.world.tick()
        self.platform, self.now_s = self.world.platform, 0.0
        self.lineage = Lineage(instance=self.world.instance, source=SENSOR)
        self.beat = PublishLoop(self.platform, monotonic=lambda: self.now_s)
        self.work(0.0)

    def work(self, after_s: float) -> None:
        """Let time pass, then publish and compare."""
        self.now_s += after_s
        self.beat.work(self.lineage)

    def restart_server(self) -> None:
        """Let a step find the server away."""
        self.write()
        self.memory.fate.arm(1, is_late=False, error=an_outage)
        with pytest.raises(StoreBusyError):
            self.beat.work(self.lineage)

    def write(self) -> None:
        self.world.market_at += timedelta(minutes=5)
        self.platform.record.regimes.publish([a_regime(self.world.market_at)])

    @property
    def is_equal(self) -> bool:
        return self.platform.publishing.check(now=self.platform.clock.now()).is_equal

    @property
    def verdicts(self) -> list[tuple[bool, dict[str, object]]]:
        """Return whether each comparison passed, and its metadata, oldest first."""
        records = self.world.instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=100)
        events = [record.event.dagster_event for record in reversed(records) if record.event is not None]
        told = [event.asset_check_evaluation_data for event in events if event is not None]
        return [(one.passed, {name: value.value for name, value in one.metadata.items()}) for one in told]


@pytest.fixture
def beating(tmp_path: Path) -> Iterator[Beating]:
    made = Beating(tmp_path)
    yield made
    made.world.end()


def test_beat_given_a_server_that_restarted_without_trades_then_publishes_them_at_once(beating: Beating) -> None:
    beating.restart_server()
    beating.memory.trades.clear()

    beating.work(TRY_AFTER_OUTAGE_S)
    beating.work(TRY_AFTER_OUTAGE_S)

    assert beating.is_equal
    assert [passed for passed, _ in beating.verdicts] == [True, False, True]


def test_beat_given_a_restart_that_it_did_not_notice_soon_after_an_outage_then_publishes_again(beating: Beating) -> None:
    beating.restart_server()
    beating.work(TRY_AFTER_OUTAGE_S)
    was_equal = beating.is_equal
    beating.memory.trades.clear()

    beating.work(SEARCH_EVERY_S)

    assert (was_equal, beating.is_equal) == (True, True)


def test_beat_given_restarts_between_two_steps_then_publishes_again_after_each(beating: Beating) -> None:
    found = []
    for _ in range(2):
        beating.memory.restarts += 1
        beating.memory.trades.clear()
        beating.work(LOOK_EVERY_S)
        found.append(beating.is_equal)

    assert found == [True, True]


def test_beat_given_a_failed_step_then_drops_connections_that_may_be_half_open(beating: Beating) -> None:
    before = beating.memory.closes

    beating.restart_server()

    assert beating.memory.closes > before


def test_beat_given_lost_publications_and_no_outage_then_publishes_them_after_its_next_comparison(beating: Beating) -> None:
    beating.memory.known[PublicationKind.PARAMETERS].clear()

    beating.work(CHECK_EVERY_S)
    beating.work(TRY_AFTER_OUTAGE_S)

    assert beating.is_equal


def test_beat_given_lost_writes_then_its_verdicts_say_so(beating: Beating) -> None:
    beating.memory.trades.clear()

    beating.work(CHECK_EVERY_S)
    beating.work(TRY_AFTER_OUTAGE_S)

    (_, found), (_, after) = beating.verdicts[-2:]
    assert "InfluxDB had lost or changed 0 publications, 2 trades" in str(found["published_again"])
    assert after["published_again"] == found["published_again"]
    assert "remedy" not in found


def test_beat_given_losses_again_and_no_outage_then_waits_ten_minutes(beating: Beating) -> None:
    beating.memory.trades.clear()
    beating.work(CHECK_EVERY_S)
    beating.work(TRY_AFTER_OUTAGE_S)

    beating.memory.trades.clear()
    beating.work(CHECK_EVERY_S)
    was_waiting = beating.platform.record.outbox.span() is not None
    beating.work(EVERY_S)

    assert not was_waiting
    assert beating.platform.record.outbox.span() is not None


def test_beat_given_an_extra_trade_then_reports_it_and_the_remedy_alone(beating: Beating) -> None:
    place, point = next(iter(beating.memory.trades.items()))
    beating.memory.trades[(*place[:-1], 77)] = {**point, "trade_id": 77}

    beating.work(CHECK_EVERY_S)

    passed, found = beating.verdicts[-1]
    assert (passed, beating.platform.record.outbox.span()) == (False, None)
    assert "bot3 publish run --all" in str(found["remedy"])


def test_beat_given_a_restored_record_then_leaves_the_copy_to_a_person(beating: Beating) -> None:
    beating.platform.record.begin_epoch()

    beating.work(CHECK_EVERY_S)

    assert beating.verdicts[-1][0] is False
    assert beating.platform.record.outbox.span() is None


def test_losses_given_writes_since_the_record_was_read_then_are_only_what_was_published_before(beating: Beating) -> None:
    publishing = beating.platform.publishing
    before = publishing.recorded()
    lost = next(iter(beating.memory.trades))
    del beating.memory.trades[lost]
    beating.world.add(a_close(3, day=3, minute=0))
    beating.world.tick()
    beating.write()

    found = publishing.find_losses(before)

    assert found.lost == {f"trade {lost[-1]} of {lost[0]}"}
    assert found.waiting > 0


def test_losses_given_a_trade_that_was_deleted_since_the_record_was_read_then_are_none(beating: Beating) -> None:
    before = beating.platform.publishing.recorded()
    beating.world.delete(1)
    beating.world.compare_nightly()
    beating.beat.step(beating.lineage)

    assert beating.platform.publishing.find_losses(before).lost == frozenset()
