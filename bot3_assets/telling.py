"""Notify people of failed Dagster runs, and deliver pending notices; repeated failures of one job are counted in one message."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from bot3.errors import StoreBusyError
from bot3.logs import redacted
from bot3.ports.notices import Notice
from bot3.ports.notifier import Message
from bot3.usecases.operations.notify import notify

# Dagster reads the resource's type from the signature.
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dagster._core.events import DagsterEvent
    from dagster_shared.error import SerializableErrorInfo

    from bot3.wiring import Platform

NOBODY = "no notice is sent: BOT3_TELEGRAM_CHAT_ID is not set (docs/telegram.md)"
TIMES = 5
WAIT_S = 2.0
"""Seconds between attempts. Each attempt waits some seconds for a busy store; all together take up to half a minute."""
_LINE = 300
_BY_HAND = "__ASSET_JOB"
"""Dagster's job name of runs that materialize assets without a job of the code location."""


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies people which run failed, and why; without a configured chat the failure is only logged.",
)
def run_failed(context: dg.RunFailureSensorContext, platform: PlatformResource) -> None:
    """Log a failed run, queue a notice about it if a chat is set, and try to deliver it; until it is delivered it stays queued."""
    run, why = context.dagster_run, first_line(context.failure_event, context.get_step_failure_events())
    context.log.error(f"run {run.run_id} of {name_of(run)} failed: {why}")
    opened = platform.platform()
    if not opened.settings.telegram_chat_id:
        context.log.info(NOBODY)
        return
    notice = notice_of(run, why, opened=opened, now=opened.wall_now())
    try:
        keep(lambda: opened.notices.queue(notice))
    except Exception as error:
        # Dagster continues with the next run even if this raises: only this log line and the failed tick remain.
        context.log.error(f"run {run.run_id} of {name_of(run)} failed, and no notice was queued: {error}")  # noqa: TRY400  # the tick contains the traceback
        raise
    context.log.info(deliver(opened))


def keep(queue: Callable[[], None], *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Queue a notice; try up to five times while the control store is busy, because Dagster reports a failed run only once.

    Raises StoreBusyError if the last attempt fails.
    """
    for _ in range(TIMES - 1):
        try:
            queue()
        except StoreBusyError:
            sleep(WAIT_S)
        else:
            return
    queue()


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Delivers pending notices: those that could not be delivered, and repeated ones, which wait BOT3_NOTICE_QUIET_MINUTES.",
)
def waiting_notices(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """Deliver the pending notices that are due, and report the result as the tick's skip reason."""
    if (reason := platform.nothing_to_do()) is not None:
        return dg.SkipReason(reason)
    opened = platform.platform()
    said = deliver(opened) if opened.notices.waiting() else "no notice is pending"
    context.log.debug(said)
    return dg.SkipReason(said)


def deliver(opened: Platform) -> str:
    """Deliver pending notices that are due; return a summary. A failure of Telegram is reported in it, and the notices stay pending."""
    if opened.notifier is None:
        return f"{opened.notices.waiting()} notices are pending for `python -m telegram_bot`: this process has no BOT3_TELEGRAM_TOKEN"
    came = notify(opened.notices, opened.notifier, wall_now=opened.wall_now)
    problem = f"; {came.problem}" if came.problem else ""
    return f"{came.sent} notices sent, {came.refused} rejected, {came.waiting} pending{problem}"


def notice_of(run: dg.DagsterRun, why: str, *, opened: Platform, now: datetime) -> Notice:
    """Return the notice about a failed run: its name, id and partition, the reason, and its address."""
    partition = run.tags.get("dagster/partition")
    of = f"run {run.run_id[:8]}" + (f", partition {partition}" if partition else "")
    lines = (of, why, f"{opened.settings.dagster_address}/runs/{run.run_id}")
    return Notice(
        key=f"run_failed|{name_of(run)}",
        message=Message(title=f"Run failed: {name_of(run)}", lines=lines),
        at=now,
        quiet=timedelta(minutes=opened.settings.notice_quiet_minutes),
    )


def name_of(run: dg.DagsterRun) -> str:
    """Return the display name of a run: its job, or for a run without a job the names of its assets."""
    if run.job_name != _BY_HAND or not run.asset_selection:
        return run.job_name
    return ", ".join(sorted(key.to_user_string() for key in run.asset_selection))


def first_line(event: DagsterEvent, steps: Sequence[DagsterEvent]) -> str:
    """Return why a run failed in one line, without secrets: the innermost cause of its first failed step, else the run's message."""
    error = steps[0].step_failure_data.error if steps else None
    text = _innermost(error).message if error is not None else (event.message or "no message")
    line = redacted(next((line.strip() for line in text.splitlines() if line.strip()), "no message"))
    where = f"{steps[0].step_key}: " if steps and steps[0].step_key else ""
    return f"{where}{line[:_LINE]}"


def _innermost(error: SerializableErrorInfo) -> SerializableErrorInfo:
    return error if error.cause is None else _innermost(error.cause)
