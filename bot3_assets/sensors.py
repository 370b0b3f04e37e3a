"""The sensors that learn from closed trades as soon as they are committed, and that request the models of a new market week."""

from datetime import datetime

import dagster as dg

from bot3.errors import StoreBusyError, StoreConflictError, StoreFullError
from bot3.market.weeks import week_of
from bot3_assets.keep_alive_loop import KeepAliveLoops, warm_instance
from bot3_assets.lineage import Lineage
from bot3_assets.listening import BacklogError, ClosesLoop
from bot3_assets.lost_runs import LostRuns
from bot3_assets.partitions import MARKET_WEEKS, all_bots, all_feeders_of_week
from bot3_assets.resources import KeptByPlatform, PlatformResource
from bot3_assets.schedules import backlog, retraining

POLL_S = 0.02
BACKLOG_AGAIN_S = 60.0
"""Minimum wall seconds between the end of a backlog run and the next request: a run that fails at once must not fill Dagster."""
SENSOR = "closes_to_parameters"
# Without NOT_STARTED: a run that was created but never launched would block further runs for ever.
_UNDER_WAY = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


_listeners = KeptByPlatform(ClosesLoop)
_lost_runs = KeptByPlatform(LostRuns)
_loops = KeepAliveLoops(SENSOR, poll_s=POLL_S)


@dg.sensor(
    name=SENSOR,
    job=backlog,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Syncs closed trades when they are committed, learns from them, and reports every asset from trades to parameters.",
)
def closes_to_parameters(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.RunRequest | dg.SkipReason:
    """Sync and learn from trades closed since the last tick, and continue in a thread until the next one; request a run for a backlog."""
    if (reason := platform.nothing_to_do()) is not None:
        return dg.SkipReason(reason)
    opened = platform.platform()
    _lost_runs.of(opened).end(context.instance)
    listener = _listeners.of(opened)
    kept = warm_instance(context)
    lineage = Lineage(instance=kept or context.instance, source=SENSOR)
    delay = ""
    try:
        listener.begin(context.cursor)
        listener.look(lineage)
    except BacklogError as error:
        _loops.end(opened)
        return _backlog_run(context.instance, waiting=error.waiting, now=opened.wall_now())
    except (StoreBusyError, StoreConflictError, StoreFullError) as error:
        delay = f"delayed: {error}"
        context.log.warning(delay)
    if kept is not None:
        _loops.renew(opened, lambda: listener.look(lineage))
    reported = listener.end()
    context.update_cursor(reported.cursor())
    return dg.SkipReason(delay or f"learned {listener.learned} times since this process began, revision {reported.revision}")


def _backlog_run(instance: dg.DagsterInstance, *, waiting: int, now: datetime) -> dg.RunRequest | dg.SkipReason:
    """Request a run that syncs and replays all bots' trades, unless one is in progress or has ended within `BACKLOG_AGAIN_S`."""
    if instance.get_runs_count(dg.RunsFilter(job_name=backlog.name, statuses=list(_UNDER_WAY))):
        return dg.SkipReason(f"{waiting} closes are pending; a run of {backlog.name} is in progress")
    last = next(iter(instance.get_run_records(dg.RunsFilter(job_name=backlog.name), limit=1)), None)
    if last is not None and last.end_time is not None and now.timestamp() - last.end_time < BACKLOG_AGAIN_S:
        return dg.SkipReason(f"{waiting} closes are pending; {backlog.name} is requested again {BACKLOG_AGAIN_S:.0f} s after the last run")
    # Dagster uses a run key once only: it contains the id of the last run, so that the key differs after a failed run.
    before = "none" if last is None else last.dagster_run.run_id
    return dg.RunRequest(run_key=f"{backlog.name}-after-{before}", tags=all_bots())


@dg.sensor(
    job=retraining,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the feeders' models at the start of each week of market time, which may run faster than wall time.",
)
def new_market_week(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SensorResult | dg.SkipReason:
    """Request the models of the current market week, once per week; not for the week in which the seed ended, whose models exist."""
    if (reason := platform.nothing_to_do()) is not None:
        return dg.SkipReason(reason)
    opened = platform.platform()
    week = week_of(opened.clock.now())
    if context.cursor == week or week == week_of(opened.seeded_until):
        return dg.SkipReason(f"the models of the week {week} were requested already, or made by the seed")
    context.instance.add_dynamic_partitions(MARKET_WEEKS, [week])
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"week-{week}", tags=all_feeders_of_week(week))], cursor=week)
