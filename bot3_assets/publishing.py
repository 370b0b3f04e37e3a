"""The sensor that publishes the record to InfluxDB, separate from learning, so that learning never waits for that server."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

import dagster as dg
import structlog

from bot3.errors import DataError
from bot3_assets.assets.published_learning import NO_COPY, not_compared, published_metadata, published_verdict, republished_text
from bot3_assets.keep_alive_loop import KeepAliveLoops, warm_instance
from bot3_assets.lineage import Lineage
from bot3_assets.listening import EventReporter, ReportedCursor
from bot3_assets.resources import KeptByPlatform, PlatformResource

if TYPE_CHECKING:
    from bot3.usecases.publishing.check import PublishedCheck
    from bot3.usecases.publishing.publish import PublishReport
    from bot3.wiring import Platform

POLL_S = 0.05
CHECK_EVERY_S = 60.0
"""Seconds between two complete comparisons of copy and record; one takes about a second for fifty thousand trades."""
TRY_EVERY_S = 10.0
"""Minimum seconds between two attempts of a comparison; nothing is published while one runs."""
TRY_AFTER_OUTAGE_S = 1.0
"""The same after an outage, because a restarted server may have lost writes that it had confirmed."""
LOOK_EVERY_S = 1.0
"""Minimum seconds between two checks whether the connection to the server had to be opened again."""
SEARCH_FOR_S, SEARCH_EVERY_S = 60.0, 3.0
"""Seconds after a failure during which lost writes are searched for, and seconds between two searches.

A full disk first makes writes fail; the restart that loses confirmed writes follows later.
"""
OLD_AFTER_S = 600.0
SENSOR = "record_to_copy"

log = structlog.get_logger()

publish_record = dg.define_asset_job(
    "publish_record",
    selection=["published_learning"],
    description="Publishes the pending writes of the outbox in a run, and compares the copy with the record.",
    executor_def=dg.in_process_executor,
    tags={"bot3/beat": "publish_record", "dagster/max_runtime": "600"},
)


class PublishLoop:
    """Publishes pending writes, reports to Dagster, compares copy and record periodically, and publishes lost writes again.

    Parameters
    ----------
    monotonic : callable
        Returns seconds that never decrease.
    """

    def __init__(self, platform: "Platform", *, monotonic: Callable[[], float] = time.monotonic) -> None:
        from bot3.usecases.publishing.republish_lost import LostWrites  # noqa: PLC0415  # heavy

        self._platform, self._monotonic = platform, monotonic
        self._teller = EventReporter(platform.record.store_id)
        self._turn = RLock()
        self._compared_at = self._tried_at = -math.inf
        self._warned_at = monotonic()
        self._lost = LostWrites(monotonic=monotonic)
        self._failed_at = self._searched_at = self._looked_at = -math.inf
        self._connections: int | None = None
        self._is_suspect = False
        self._republished = ""
        self.writes = 0
        """Number of the record's writes that this process has published to InfluxDB."""

    def begin(self, lineage: Lineage, *, cursor: str | None) -> None:
        """Begin a tick with the cursor that Dagster stored.

        Writes that another process published, such as `bot3 publish run`, are no longer in the outbox; if the record's revision is above
        the cursor's, they are reported to Dagster now.
        """
        from bot3.usecases.publishing.publish import nothing_published  # noqa: PLC0415  # heavy

        with self._turn:
            # Read the revision first: a write in between stays pending, or was published and is reported a second time.
            revision = self._platform.record.revision()
            self._teller.take(cursor, revision=revision)
            if revision > self._teller.reported.revision and self._platform.record.outbox.span() is None:
                self._tell(nothing_published(revision), lineage=lineage)

    def end(self) -> ReportedCursor:
        """End a tick; return the state that Dagster stores as the cursor."""
        with self._turn:
            return self._teller.hand()

    def step(self, lineage: Lineage) -> int:
        """Publish pending writes and report them to Dagster; return their number. Raises StoreError if the server is unavailable."""
        with self._turn, self._noticed():
            if self._platform.record.outbox.span() is None:
                return 0
            report = self._platform.publishing.publish(tell=lambda found: self._tell(found, lineage=lineage))
            if report is None:
                return 0
            self.writes += report.writes
            return report.writes

    def compare(self, lineage: Lineage) -> None:
        """Compare copy and record if that is due, and report the result to Dagster.

        It is due `CHECK_EVERY_S` after the last comparison, and soon after an outage. A comparison during which the record was written does
        not count. If the copy lost writes, the whole record becomes pending, and the next step publishes it. Raises StoreError if the
        record or InfluxDB is unavailable.
        """
        with self._turn, self._noticed():
            if not self._is_due():
                return
            self._tried_at = self._monotonic()
            revision = self._platform.record.revision()
            found = self._platform.publishing.check(now=self._platform.clock.now())
            # A write between both reads would be reported as a difference although it is none.
            if not found.waiting and self._platform.record.revision() == revision:
                self._judge(found, lineage=lineage)
            elif self._tried_at - max(self._compared_at, self._warned_at) > OLD_AFTER_S:
                # Replace an old result, which would otherwise be shown as the current one.
                self._tell_verdict(not_compared(found.waiting, for_s=OLD_AFTER_S), lineage=lineage)
                self._warned_at = self._tried_at

    def work(self, lineage: Lineage) -> None:
        """Publish pending writes, search for lost ones for a minute after an outage, and compare if due. Raises as `step` and `compare`."""
        with self._turn:
            self._look()
            if self._is_search_due():
                self._search(lineage)
            self.step(lineage)
            self.compare(lineage)

    def _look(self) -> None:
        """Treat a connection that had to be opened again as an outage: the server may have restarted between two steps."""
        with self._noticed():
            if self._monotonic() - self._looked_at < LOOK_EVERY_S:
                return
            before, self._connections = self._connections, self._platform.publishing.connections()
            self._looked_at = self._monotonic()
            if before is not None and before != self._connections:
                self._suspect()

    def _search(self, lineage: Lineage) -> None:
        """Publish pending writes, then search the copy for lost ones; unlike `compare`, this works while the record is being written."""
        with self._noticed():
            before = self._platform.publishing.recorded()
            self.step(lineage)
            found = self._platform.publishing.find_losses(before)
            self._searched_at = self._monotonic()
            if self._lost.are_due(found, is_whole=False):
                self._publish_again(found, lineage=lineage)

    def _publish_again(self, found: "PublishedCheck", *, lineage: Lineage) -> None:
        """Make the whole record pending for publishing, and report to Dagster what the copy has lost."""
        self._platform.record.outbox.requeue()
        self._republished = republished_text(found, at=self._platform.wall_now())
        log.warning("copy_lost_writes", lost=len(found.lost), remedy="the whole record is published again")
        self._tell_verdict(published_verdict(found, republished=self._republished, is_again=True), lineage=lineage)
        self._is_suspect = True

    def _is_search_due(self) -> bool:
        now = self._monotonic()
        return now - self._failed_at < SEARCH_FOR_S and now - self._searched_at >= SEARCH_EVERY_S

    def _is_due(self) -> bool:
        now = self._monotonic()
        if self._is_suspect:
            return now - self._tried_at >= TRY_AFTER_OUTAGE_S
        return now - self._compared_at >= CHECK_EVERY_S and now - self._tried_at >= TRY_EVERY_S

    def _judge(self, found: "PublishedCheck", *, lineage: Lineage) -> None:
        """Report a comparison to Dagster; if the copy has lost writes, make the whole record pending and compare again soon."""
        self._compared_at, self._is_suspect = self._monotonic(), False
        if self._lost.are_due(found):
            self._publish_again(found, lineage=lineage)
        else:
            self._tell_verdict(published_verdict(found, republished=self._republished), lineage=lineage)

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        """Run a block; treat any failure as an outage, after which writes may be lost, close the connections, and raise the error."""
        try:
            yield
        except Exception:
            self._suspect()
            self._platform.publishing.drop_connections()
            raise

    def _suspect(self) -> None:
        self._failed_at, self._searched_at, self._is_suspect = self._monotonic(), -math.inf, True
        self._lost.notice_outage()

    def _tell_verdict(self, verdict: dg.AssetCheckResult, *, lineage: Lineage) -> None:
        lineage.checked("published_learning", "published_equals_record", verdict)

    def _tell(self, report: "PublishReport", *, lineage: Lineage) -> None:
        lineage.materialized("published_learning", published_metadata(self._platform, report))
        reported = self._teller.reported
        self._teller.reported = ReportedCursor(store_id=reported.store_id, revision=max(reported.revision, report.revision or 0))


_beats = KeptByPlatform(PublishLoop)
_loops = KeepAliveLoops(SENSOR, poll_s=POLL_S)


@dg.sensor(
    name=SENSOR,
    job=publish_record,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Publishes writes of the record to InfluxDB as they occur; an unavailable server delays only this sensor.",
)
def record_to_copy(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """Publish pending writes, and continue in a thread until the next tick; unavailable stores only delay it."""
    if (reason := platform.nothing_to_do()) is not None:
        return dg.SkipReason(reason)
    opened = platform.platform()
    if not opened.publishing.is_configured:
        opened.publishing.publish()
        return dg.SkipReason(NO_COPY)
    beat, kept = _beats.of(opened), warm_instance(context)
    lineage = Lineage(instance=kept or context.instance, source=SENSOR)
    try:
        beat.begin(lineage, cursor=context.cursor)
        beat.work(lineage)
    except DataError as error:
        context.log.warning(f"delayed: {error}")
        return _end(context, beat, text=f"delayed: {error}")
    if kept is not None:
        _loops.renew(opened, lambda: beat.work(lineage))
    return _end(context, beat, text=f"published {beat.writes} writes since this process began")


def _end(context: dg.SensorEvaluationContext, beat: PublishLoop, *, text: str) -> dg.SkipReason:
    context.update_cursor(beat.end().cursor())
    return dg.SkipReason(text)
