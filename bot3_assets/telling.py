"""Failed runs are told to people: one message a failure, a repeated one counted, none lost while nobody can be reached."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

# Dagster reads the resource's type from the signature.
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dagster._core.events import DagsterEvent
    from dagster_shared.error import SerializableErrorInfo

    from bot3.ports.notices import Notice
    from bot3.wiring import Platform

NOBODY = "nobody is told: BOT3_TELEGRAM_CHAT_ID is not set (docs/telegram.md)"
TIMES = 5
WAIT_S = 2.0
"""A store that is busy waits by itself before it says so; with that a failed run is tried for half a minute."""
_LINE = 300
_BY_HAND = "__ASSET_JOB"
"""Dagster's name for all runs of assets that belong to no job."""


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people which run failed, and why; without a chat its log alone says it.",
)
def run_failed(context: dg.RunFailureSensorContext, platform: PlatformResource) -> None:
    """Log a failed run, and tell it; what cannot be delivered now waits in the control store."""
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
        # Dagster goes on to the next run whatever comes out of here: this line and the failed tick are all that is left.
        context.log.error(f"run {run.run_id} of {name_of(run)} failed, and nobody is told: {error}")  # noqa: TRY400  # the tick holds the rest
        raise
    context.log.info(deliver(opened))


def keep(queue: Callable[[], None], *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Queue a notice, again where the control store is busy: Dagster never asks twice about a run. Raises StoreBusyError at last."""
    from bot3.errors import StoreBusyError  # noqa: PLC0415

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
    description="Tells again what could not be delivered when it happened, and what was counted meanwhile.",
)
def waiting_notices(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """Deliver the notices whose time has come."""
    if (reason := platform.nothing_to_do()) is not None:
        return dg.SkipReason(reason)
    opened = platform.platform()
    said = deliver(opened) if opened.notices.waiting() else "no notice waits"
    context.log.debug(said)
    return dg.SkipReason(said)


def deliver(opened: Platform) -> str:
    """Tell what waits; return in words what came of it. A notifier in trouble is said, never raised: notices outlive it."""
    from bot3.usecases.tell import tell  # noqa: PLC0415

    if opened.notifier is None:
        return f"{opened.notices.waiting()} notices wait for `python -m telegram_bot`: this process has no BOT3_TELEGRAM_TOKEN"
    came = tell(opened.notices, opened.notifier, wall_now=opened.wall_now)
    problem = f"; {came.problem}" if came.problem else ""
    return f"{came.told} notices told, {came.refused} refused, {came.waiting} wait{problem}"


def notice_of(run: dg.DagsterRun, why: str, *, opened: Platform, now: datetime) -> Notice:
    """Return what people are told of a failed run."""
    from bot3.ports.notices import Notice  # noqa: PLC0415
    from bot3.ports.notifier import Message  # noqa: PLC0415

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
    """Return what people call a run: its job, or the assets that were asked for by hand."""
    if run.job_name != _BY_HAND or not run.asset_selection:
        return run.job_name
    return ", ".join(sorted(key.to_user_string() for key in run.asset_selection))


def first_line(event: DagsterEvent, steps: Sequence[DagsterEvent]) -> str:
    """Return why a run failed in one line, without secrets: the innermost cause of its first failed step, else what the run says."""
    from bot3.logs import redacted  # noqa: PLC0415

    error = steps[0].step_failure_data.error if steps else None
    text = _innermost(error).message if error is not None else (event.message or "no message")
    line = redacted(next((line.strip() for line in text.splitlines() if line.strip()), "no message"))
    where = f"{steps[0].step_key}: " if steps and steps[0].step_key else ""
    return f"{where}{line[:_LINE]}"


def _innermost(error: SerializableErrorInfo) -> SerializableErrorInfo:
    return error if error.cause is None else _innermost(error.cause)
