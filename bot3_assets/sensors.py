"""The fast beats: closes to parameters within a tick, and what the market's own calendar asks for."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING

import dagster as dg

from bot3_assets.lineage import Lineage, report_closes, report_refusal
from bot3_assets.partitions import MARKET_WEEKS, all_bots, all_feeders_of_week
from bot3_assets.resources import PlatformResource
from bot3_assets.schedules import backlog, retraining

if TYPE_CHECKING:
    from bot3.usecases.relearn import RelearnReport, TradeSource
    from bot3.wiring import Platform

POLL_S = 0.02
DUE_EVERY_S = 1.0
"""How often it is looked whether a replay's horizon has ended: that is no change in any store."""
BACKLOG = 2_000
"""So many new trades are a run of their own, with a page and logs."""
BACKLOG_AGAIN_S = 60.0
"""So long after a backlog's run ended the next one may begin, wall seconds: one that fails at once must not fill Dagster."""
SENSOR = "closes_to_parameters"
_AWAY = "away"  # as bot3.usecases.fleet.AWAY, which is heavy
# Not NOT_STARTED: a run that was made but never launched would stand in the way for ever.
_UNDER_WAY = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What Dagster was told last: the record it is about, and its revision then (the sensor's cursor)."""

    store_id: str
    revision: int

    @classmethod
    def of(cls, cursor: str | None, *, store_id: str) -> "Reported":
        """Read a cursor; of another record, or of none, nothing was reported."""
        kept = json.loads(cursor) if cursor else {}
        return cls(store_id=store_id, revision=int(kept["revision"]) if kept.get("store") == store_id else 0)

    def cursor(self) -> str:
        """Return the text that `of` reads."""
        return json.dumps({"store": self.store_id, "revision": self.revision})


class Watch:
    """Notices commits to the bots' databases and replays that have come due; kept warm between ticks."""

    def __init__(self, platform: "Platform") -> None:
        self._platform = platform
        self._sources = platform.sources()
        self._tokens: dict[str, str] = {}
        self._looked_at = 0.0
        self.refusal = ""
        """Why nothing was learned at the last attempt, as Dagster was told; empty where it was."""
        self.told_unread: frozenset[str] | None = None
        """Which sources could not be read, as Dagster was told last; None where this process has told it nothing yet."""

    def changed(self) -> "list[TradeSource]":
        """Return the sources that committed since the last call; all of them at the first."""
        found = []
        for source in self._sources:
            token = source.reader.change_token()
            if self._tokens.get(source.reader.store_id) != token:
                # The token is kept before the source is read: a commit in between is seen again, never missed.
                self._tokens[source.reader.store_id] = token
                found.append(source)
        return found

    def unread(self) -> frozenset[str]:
        """Return the sources that could not be asked when they were looked at last."""
        return frozenset(store_id for store_id, token in self._tokens.items() if token == _AWAY)

    def forget(self, sources: "Sequence[TradeSource]") -> None:
        """See sources as changed again: what was read of them did not get through."""
        for source in sources:
            self._tokens.pop(source.reader.store_id, None)

    def is_replay_due(self) -> bool:
        """Say whether a trade's horizon has ended since; asked once a second."""
        now = time.monotonic()
        if now - self._looked_at < DUE_EVERY_S:
            return False
        self._looked_at = now
        due_at = self._platform.record.next_due_at()
        return due_at is not None and due_at <= self._platform.clock.now()


_watches: dict[int, Watch] = {}
_lock = Lock()


def _watch_of(platform: "Platform") -> Watch:
    with _lock:
        return _watches.setdefault(id(platform), Watch(platform))


@dg.sensor(
    name=SENSOR,
    job=backlog,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Waits for closed trades, learns from them at once, and reports the chain from trades to parameters.",
)
def closes_to_parameters(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
    """Learn from closes as they are committed, for one tick."""
    opened = platform.platform()
    record = opened.record
    reported = Reported.of(context.cursor, store_id=record.store_id)
    if (waiting := opened.unsynced_closes()) > BACKLOG:
        return _backlog_run(context.instance, waiting=waiting, now=opened.wall_now())
    reported, learned = _listen(context, opened, reported=reported, tick_s=platform.tick_s)
    context.update_cursor(reported.cursor())
    return dg.SkipReason(f"learned {learned} times in {platform.tick_s} s, revision {reported.revision}, {waiting} closes were waiting")


def _backlog_run(instance: dg.DagsterInstance, *, waiting: int, now: datetime) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run that syncs and replays everything: one at a time, and again where the last one did not get through."""
    if instance.get_runs_count(dg.RunsFilter(job_name=backlog.name, statuses=list(_UNDER_WAY))):
        return dg.SkipReason(f"{waiting} closes are waiting; a run of {backlog.name} is under way")
    last = next(iter(instance.get_run_records(dg.RunsFilter(job_name=backlog.name), limit=1)), None)
    if last is not None and last.end_time is not None and now.timestamp() - last.end_time < BACKLOG_AGAIN_S:
        return dg.SkipReason(f"{waiting} closes are waiting; {backlog.name} is asked for again {BACKLOG_AGAIN_S:.0f} s after the last run")
    # A key asks once, ever: it names the run before, so that after a run that failed it is another.
    before = "none" if last is None else last.dagster_run.run_id
    return dg.RunRequest(run_key=f"{backlog.name}-after-{before}", tags=all_bots())


def _listen(context: dg.SensorEvaluationContext, opened: "Platform", *, reported: Reported, tick_s: float) -> tuple[Reported, int]:
    """Wait for changes, learn from each and report it; return what was reported last, and how often it was learned."""
    from bot3.errors import StoreBusyError, StoreConflictError  # noqa: PLC0415  # heavy

    record, watch = opened.record, _watch_of(opened)
    lineage = Lineage(instance=context.instance, source=SENSOR)
    # A kill between the record and its event: what was learned then is told now.
    is_untold = record.revision() > reported.revision
    learned, deadline, is_first = 0, time.monotonic() + tick_s, True
    while is_first or time.monotonic() < deadline:
        is_first = False
        sources = watch.changed()
        if sources or is_untold or watch.is_replay_due():
            try:
                report = _learn(opened, watch, sources, lineage=lineage)
            except (StoreBusyError, StoreConflictError) as error:
                context.log.warning(f"delayed: {error}")
                time.sleep(POLL_S * 10)
                continue
            # A source that is read again makes what was told of it wrong, though nothing in it changed.
            if report.changed or is_untold or watch.refusal or watch.unread() != watch.told_unread:
                unread = watch.unread()
                reported = report_step(lineage, opened)
                learned, watch.refusal, watch.told_unread = learned + 1, "", unread
            is_untold = False
        time.sleep(POLL_S)
    return reported, learned


def report_step(lineage: Lineage, opened: "Platform") -> Reported:
    """Report the chain as the record holds it; return what was reported for certain."""
    # The revision is read first: a commit of another process in between may be told twice, never not at all.
    reported = Reported(store_id=opened.record.store_id, revision=opened.record.revision())
    report_closes(lineage, opened, bots=opened.source_names)
    return reported


def _learn(opened: "Platform", watch: Watch, sources: "Sequence[TradeSource]", *, lineage: Lineage) -> "RelearnReport":
    """Take a step; one that fails ends the tick but loses no close: the next one looks at its sources again."""
    from bot3.errors import Bot3Error, LearningError  # noqa: PLC0415  # heavy

    try:
        return opened.learn_from_closes(sources)
    except Bot3Error as error:
        watch.forget(sources)
        if isinstance(error, LearningError) and watch.refusal != str(error):
            # Once for each reason: a tick every few seconds would fill Dagster with the same verdict.
            report_refusal(lineage, opened)
            watch.refusal = str(error)
        raise


@dg.sensor(
    job=retraining,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A market that runs faster than the wall begins its weeks by itself: each gets its models then.",
)
def new_market_week(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for the models of the market's week once it has begun."""
    from bot3.market.weeks import week_of  # noqa: PLC0415

    opened = platform.platform()
    week = week_of(opened.clock.now())
    if context.cursor == week or week == week_of(opened.seeded_until):
        return dg.SkipReason(f"the models of {week} were asked for, or the seed's are in force")
    context.instance.add_dynamic_partitions(MARKET_WEEKS, [week])
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"week-{week}", tags=all_feeders_of_week(week))], cursor=week)


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING, description="Says in the platform's log which run failed, and why: people watch that."
)
def run_failed(context: dg.RunFailureSensorContext) -> None:
    """Log a failed run."""
    context.log.error(f"run {context.dagster_run.run_id} of {context.dagster_run.job_name} failed: {context.failure_event.message}")
