"""The beat that keeps the copy in InfluxDB up to date: a sensor of its own, so that no learning waits for a server."""

import time
from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.assets.published_learning import NO_COPY, published_metadata, published_verdict
from bot3_assets.lineage import Lineage
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from bot3.usecases.publish_learning import PublishReport
    from bot3.wiring import Platform

TICK_S = 4.5
POLL_S = 0.05
CHECK_EVERY_S = 60.0
"""All trades are compared then: a second's work for fifty thousand of them."""
SENSOR = "record_to_copy"

publish_record = dg.define_asset_job(
    "publish_record",
    selection=["published_learning"],
    description="What waits in the outbox, published in a run of its own, and compared with the record.",
    executor_def=dg.in_process_executor,
)


class Beat:
    """One process' publishing: publishes what waits, and compares now and then."""

    def __init__(self, platform: "Platform", lineage: Lineage) -> None:
        self._platform, self._lineage = platform, lineage

    def step(self) -> int:
        """Publish and report what waits; return how many writes it were. Raises StoreError if the server cannot be used."""
        if self._platform.record.span() is None:
            return 0
        report = self._platform.publishing.publish(tell=self._tell)
        return 0 if report is None else report.writes

    def _tell(self, report: "PublishReport") -> None:
        self._lineage.materialized("published_learning", published_metadata(self._platform, report))

    def compare(self) -> None:
        """Report whether the copy is equal to the record. Raises StoreError if either cannot be asked."""
        found = self._platform.publishing.check(now=self._platform.clock.now())
        if not found.waiting:
            self._lineage.checked("published_learning", "published_equals_record", published_verdict(found))


_compared_at: dict[str, float] = {}


@dg.sensor(
    name=SENSOR,
    job=publish_record,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Publishes to InfluxDB what was written to the record, within a tick; a server that is down delays this alone.",
)
def record_to_copy(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """Publish what waits, as it comes, for one tick."""
    from bot3.errors import DataError  # noqa: PLC0415  # heavy

    opened = platform.platform()
    if not opened.publishing.is_configured:
        opened.publishing.publish()
        return dg.SkipReason(NO_COPY)
    beat, writes, deadline = Beat(opened, Lineage(instance=context.instance, source=SENSOR)), 0, time.monotonic() + TICK_S
    try:
        while time.monotonic() < deadline:
            writes += beat.step()
            if time.monotonic() - _compared_at.get(opened.record.store_id, -CHECK_EVERY_S) >= CHECK_EVERY_S:
                beat.compare()
                _compared_at[opened.record.store_id] = time.monotonic()
            time.sleep(POLL_S)
    except DataError as error:
        context.log.warning(f"delayed: {error}")
        return dg.SkipReason(f"published {writes} writes, then: {error}")
    return dg.SkipReason(f"published {writes} writes in {TICK_S} s")
