"""End Dagster runs whose process died with an earlier code server: otherwise they block the next scheduled run until their time limit."""

from __future__ import annotations

import dagster as dg
import psutil
import structlog
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

log = structlog.get_logger()

_CLOCKS_DIFFER_S = 5.0
LOST = "the process of this run no longer exists: the code server was killed or restarted during the run"


class LostRuns:
    """Ends lost runs once in a code server process: runs that this process starts later end with it."""

    def __init__(self, _platform: object = None) -> None:
        self._is_done = False

    def end(self, instance: dg.DagsterInstance) -> int:
        """End the runs whose process no longer exists; return their number. After the first success a call does nothing and returns 0."""
        if self._is_done:
            return 0
        ended = end_lost_runs(instance)
        self._is_done = True
        return ended


def end_lost_runs(instance: dg.DagsterInstance) -> int:
    """End every run of this machine whose process no longer exists, as failed, or as canceled if that was requested; return their number.

    Dagster's launcher for one machine does not check whether a run's process exists. With another launcher (workers) nothing is done.
    """
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return 0
    under_way = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    lost = [record.dagster_run for record in instance.get_run_records(under_way) if not _may_live(instance, record)]
    for run in lost:
        log.warning("lost_run_ended", run_id=run.run_id, job=run.job_name)
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message=LOST)
        else:
            instance.report_run_failed(run, message=LOST)
    return len(lost)


def _may_live(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Return whether a process that the run reported exists, or the run has reported none (then only its time limit ends it)."""
    entries = instance.all_logs(record.dagster_run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    events = [entry.dagster_event.engine_event_data for entry in entries if entry.dagster_event is not None]
    pids = [int(str(event.metadata["pid"].value)) for event in events if "pid" in event.metadata]
    if not pids or record.start_time is None:
        return True
    return any(is_process_of_run(pid, started_at=record.start_time) for pid in pids)


def is_process_of_run(pid: int, *, started_at: float) -> bool:
    """Return whether a process with this id runs and started before the run (with 5 s tolerance); a later one has only reused the id."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= started_at + _CLOCKS_DIFFER_S
    except psutil.NoSuchProcess:
        return False
