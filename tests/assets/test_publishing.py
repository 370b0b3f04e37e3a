"""The beat that publishes: told to Dagster, apart from learning, and silent where there is no copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from bot3.errors import StoreBusyError
from bot3.wiring import Platform, open_platform
from bot3_assets.assets.published_learning import NO_COPY, published_learning
from bot3_assets.definitions import location
from bot3_assets.lineage import REPORTED_BY, Lineage
from bot3_assets.publishing import SENSOR, PublishLoop, record_to_copy
from bot3_assets.resources import PlatformResource
from tests.learned import a_regime
from tests.seeded import copy_of_home, tiny_settings
from tests.servers.influx import InfluxProgram

on_a_home = pytest.mark.slow

KEY = dg.AssetKey("published_learning")


@pytest.fixture
def published(tmp_path: Path, influx: InfluxProgram) -> Iterator[Platform]:
    with copied_home(tmp_path, influx) as opened:
        yield opened


@contextmanager
def copied_home(folder: Path, influx: InfluxProgram) -> Iterator[Platform]:
    """Open a seeded home whose copy is in buckets of its own."""
    address, prefix = influx.address(), influx.new_prefix()
    names = {f"{bot}_influx_bucket": f"{prefix}{bot}" for bot in ("bot1", "bot2", "bot3")} | {"influx_bucket": f"{prefix}learning"}
    given = {"influx_url": address.url, "influx_org": address.org, "influx_token": address.token}
    with open_platform(tiny_settings(copy_of_home(folder), **given, **names)) as opened:
        yield opened


def test_location_given_a_copy_then_it_is_described_owned_and_checked() -> None:
    whole = location(has_copy=True, has_notifier=False)

    dg.Definitions.validate_loadable(whole)
    spec = next(spec for spec in whole.resolve_all_asset_specs() if spec.key == KEY)
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"recommendations", "synced_trades"}
    assert spec.owners
    assert spec.freshness_policy is not None
    checks = [check for check in whole.resolve_asset_graph().asset_check_keys if check.asset_key == KEY]
    assert [check.name for check in checks] == ["published_equals_record"]
    assert whole.resolve_sensor_def(SENSOR).default_status is dg.DefaultSensorStatus.RUNNING


def test_location_given_no_copy_then_shows_nothing_of_it() -> None:
    assert KEY not in location(has_copy=False, has_notifier=False).resolve_asset_graph().get_all_asset_keys()


@on_a_home
def test_asset_given_no_server_then_says_that_the_record_is_read(resource: PlatformResource) -> None:
    result = dg.materialize([published_learning, *_parents()], selection=["published_learning"], resources={"platform": resource})

    materialized = result.asset_materializations_for_node("published_learning")[0]
    assert materialized.metadata["note"] == dg.MetadataValue.text(NO_COPY)


@on_a_home
def test_sensor_given_no_server_then_skips_at_once(resource: PlatformResource, instance: dg.DagsterInstance) -> None:
    context = dg.build_sensor_context(instance=instance, resources={"platform": resource})

    assert record_to_copy(context) == dg.SkipReason(NO_COPY)
    assert instance.get_latest_materialization_event(KEY) is None


@on_a_home
@pytest.mark.influx
def test_beat_given_a_seeded_home_then_publishes_it_all_and_reports_it_equal(published: Platform, instance: dg.DagsterInstance) -> None:
    beat, lineage = PublishLoop(published), Lineage(instance=instance, source=SENSOR)

    writes = beat.step(lineage)
    beat.compare(lineage)

    assert writes > 0
    event = instance.get_latest_materialization_event(KEY)
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata[REPORTED_BY] == dg.MetadataValue.text(SENSOR)
    assert beat.step(lineage) == 0
    assert published.publishing.check(now=published.clock.now()).is_equal


@on_a_home
@pytest.mark.influx
def test_beat_given_a_learning_step_then_publishes_what_it_wrote(published: Platform, instance: dg.DagsterInstance) -> None:
    beat, lineage = PublishLoop(published), Lineage(instance=instance, source=SENSOR)
    beat.step(lineage)
    learn_on(published)
    published.steps.learn_parameters()

    writes = beat.step(lineage)

    assert writes > 0
    assert published.publishing.check(now=published.clock.now()).is_equal


@on_a_home
@pytest.mark.influx
def test_beat_given_a_server_that_loses_its_log_at_a_restart_then_publishes_again_what_it_had_acknowledged(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with InfluxProgram(folder=tmp_path) as program:
        if not program.is_ours:
            pytest.skip("the server that TEST_INFLUX_URL names is not ours to stop")
        with copied_home(tmp_path / "home", program) as published:
            beat, lineage = PublishLoop(published), Lineage(instance=instance, source=SENSOR)
            beat.work(lineage)
            program.stop()
            for log in tmp_path.glob("bot3-influx-*/engine/wal/**/*.wal"):
                log.write_bytes(b"")
            learn_on(published)
            with pytest.raises(StoreBusyError):
                beat.work(lineage)
            program.start()
            was_equal = published.publishing.check(now=published.clock.now()).is_equal

            beat.step(lineage)
            beat.compare(lineage)
            beat.step(lineage)

            assert not was_equal
            assert published.publishing.check(now=published.clock.now()).is_equal


class KilledError(BaseException):
    """The process ends here: nothing that follows runs."""


class DyingLineage(Lineage):
    """A process that is killed before it can tell."""

    def materialized(self, asset: str, metadata: Mapping[str, dg.MetadataValue], *, partition: str | None = None) -> None:
        raise KilledError(asset, metadata, partition)


@on_a_home
@pytest.mark.influx
def test_beat_given_a_kill_between_the_copy_and_its_event_then_the_next_process_tells_it(
    published: Platform, instance: dg.DagsterInstance
) -> None:
    lineage, cursor = Lineage(instance=instance, source=SENSOR), kept_after_everything(published, instance)
    learn_on(published)
    with pytest.raises(KilledError):
        PublishLoop(published).step(DyingLineage(instance=instance, source=SENSOR))
    told = shown_revision(instance)

    beat = PublishLoop(published)
    beat.begin(lineage, cursor=cursor)
    beat.step(lineage)

    assert told != published.record.revision()
    assert shown_revision(instance) == published.record.revision()
    assert beat.end().revision == published.record.revision()


@on_a_home
@pytest.mark.influx
def test_beat_given_an_event_that_failed_then_its_next_step_tells_it(published: Platform, instance: dg.DagsterInstance) -> None:
    kept_after_everything(published, instance)
    learn_on(published)
    beat = PublishLoop(published)
    with pytest.raises(KilledError):
        beat.step(DyingLineage(instance=instance, source=SENSOR))

    beat.step(Lineage(instance=instance, source=SENSOR))

    assert shown_revision(instance) == published.record.revision()


@on_a_home
@pytest.mark.influx
def test_beat_given_another_process_published_then_the_next_tick_tells_it(published: Platform, instance: dg.DagsterInstance) -> None:
    cursor = kept_after_everything(published, instance)
    learn_on(published)
    published.publishing.publish()

    PublishLoop(published).begin(Lineage(instance=instance, source=SENSOR), cursor=cursor)

    assert shown_revision(instance) == published.record.revision()


@on_a_home
@pytest.mark.influx
def test_beat_given_a_cursor_that_names_everything_then_tells_nothing(published: Platform, instance: dg.DagsterInstance) -> None:
    cursor = kept_after_everything(published, instance)

    PublishLoop(published).begin(DyingLineage(instance=instance, source=SENSOR), cursor=cursor)

    assert shown_revision(instance) == published.record.revision()


def learn_on(published: Platform) -> None:
    """Write something new to the record: what is the same is not published again."""
    at = published.clock.now() + timedelta(minutes=5)
    published.set_clock(at)
    published.record.regimes.publish([a_regime(at)])


def kept_after_everything(published: Platform, instance: dg.DagsterInstance) -> str:
    """Publish all that waits, and return the cursor that Dagster then keeps."""
    beat, lineage = PublishLoop(published), Lineage(instance=instance, source=SENSOR)
    beat.step(lineage)
    beat.begin(lineage, cursor=None)
    return beat.end().cursor()


def shown_revision(instance: dg.DagsterInstance) -> object:
    event = instance.get_latest_materialization_event(KEY)
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.metadata["revision"].value


@on_a_home
def test_learning_given_a_server_that_is_down_then_is_not_delayed_by_it(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    with open_platform(tiny_settings(copy_of_home(tmp_path), influx_url="http://127.0.0.1:1", influx_timeout_s=0.5)) as opened:
        report = opened.steps.learn_from_closes(opened.sources())

        assert report.revision == opened.record.revision()
        with pytest.raises(StoreBusyError, match="cannot be reached in time"):
            PublishLoop(opened).step(Lineage(instance=instance, source=SENSOR))
        assert opened.record.outbox.span() is not None


def _parents() -> list[dg.AssetSpec]:
    return [dg.AssetSpec(name) for name in ("recommendations", "synced_trades")]
