"""Checks of running services (execution daemon, Telegram process, Dagster, ports, market clock) and of the published learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bot3.cli.findings import DoctorContext, Finding, bad, good
from bot3.cli.services import daemons_are_healthy, location_is_loaded, query_dagster, require_free_port
from bot3.errors import AlreadyRunningError
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.bot_state import ENDED, LISTENING, TELEGRAM, daemon_beat, is_silent

_STALE = timedelta(seconds=15)
_LATE_SENSOR = timedelta(minutes=2)
_LATE_RUN = timedelta(minutes=10)
"""Wall time: a run that is pending for longer is blocked by a run that has died, or by a full queue."""
DELAYED = "delayed: "
"""Prefix of the skip reason that a sensor or schedule of `bot3_assets` reports if a store is unavailable."""
_DELAYED_TICKS = 3
_TICK = "timestamp status skipReason error { message causes { message } }"
TICKS = f"""
{{ repositoriesOrError {{ ... on RepositoryConnection {{ nodes {{
  sensors {{ name sensorState {{ status ticks(limit: 5) {{ {_TICK} }} }} }}
  schedules {{ name scheduleState {{ status ticks(limit: 5) {{ {_TICK} }} }} }}
}} }} }} }}
"""
RUNS = """
{ runsOrError(filter: { statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING] }, limit: 100) {
  ... on Runs { results { runId jobName status creationTime startTime tags { key value } } }
} }
"""
_MAX_RUNTIME = "dagster/max_runtime"
_MONITOR_EVERY = timedelta(minutes=1)
"""Interval of Dagster's run monitor, which ends a run that exceeds its time limit."""


def parameters(subject: str, patient: DoctorContext) -> Finding:
    """Check that parameters are published, valid and not expired. Raises LearningError, which the doctor reports, if they are not."""
    now = patient.platform.clock.now()
    held = patient.platform.record.parameters.as_of(now)
    held.require_fresh(now=now)
    return good(subject, f"{len(held.rows)} rows, until {held.expires_at:%Y-%m-%d %H:%M} market time")


def recommendation(subject: str, patient: DoctorContext) -> Finding:
    """Check that a recommendation is published and valid, and not expired if the services that renew it should run.

    Raises LearningError, which the doctor reports, if it is not.
    """
    now = patient.platform.clock.now()
    held = patient.platform.record.recommendations.as_of(now)
    if patient.is_served:
        held.require_fresh(now=now)
    return good(subject, f"{held.regime}, until {held.expires_at:%Y-%m-%d %H:%M} market time")


def clock(subject: str, patient: DoctorContext) -> Finding:
    """Check the market clock: it was set, it runs if services should run, and this machine's clock is not behind the time it was set at."""
    anchor = patient.platform.control.anchor()
    if anchor is None:
        return bad(subject, "the market clock was never set", remedy="`bot3 init` sets it")
    if anchor.wall_at > patient.platform.clock.wall_now() + _STALE:
        remedy = "correct this machine's clock (`timedatectl set-ntp true`)"
        return bad(
            subject,
            f"this machine's clock is behind the time at which the market clock was set ({anchor.wall_at:%Y-%m-%d %H:%M:%S})",
            remedy=remedy,
        )
    detail = f"{anchor.source} market, {patient.platform.clock.now():%Y-%m-%d %H:%M} UTC, {anchor.speed:g}x"
    if patient.is_served and not anchor.is_running:
        return bad(subject, f"{detail}, paused", remedy="`bot3 clock start`, or `bot3 up`")
    return good(subject, detail)


def execution(subject: str, patient: DoctorContext) -> Finding:
    """Check that no file HALT exists and, if services should run, that the daemon runs and accepts the published learning."""
    platform = patient.platform
    halt = platform.settings.home / "HALT"
    if halt.exists():
        return bad(
            subject, f"{halt} stops every bot", remedy="find out why it was created, then delete it and run `bot3 resume` for each bot"
        )
    beat = daemon_beat(platform.control.heartbeats())
    if beat is None:
        return Finding(subject=subject, is_good=not patient.is_served, detail="never ran", remedy="run `bot3 up`")
    age = platform.clock.wall_now() - beat.wall_at
    if patient.is_served and beat.state in ENDED:
        detail = f"{beat.state}, {age.total_seconds():.0f} s ago"
        return bad(subject, detail, remedy="see the end of its log (docs/runbook.md), then restart it")
    if patient.is_served and is_silent(beat, wall_now=platform.clock.wall_now()):
        return bad(subject, f"last heartbeat {age.total_seconds():.0f} s ago", remedy="see its log (docs/runbook.md), then restart it")
    if patient.is_served and (refused := beat.detail.get("learning_refused")):
        detail = f"{beat.state}, trades with the last valid publication: {refused}"
        return bad(subject, detail, remedy="`bot3 learn run` publishes again; if the error remains, run `bot3 publish check`")
    return good(subject, f"{beat.state}, heartbeat {age.total_seconds():.0f} s ago")


def telegram(subject: str, patient: DoctorContext) -> Finding:
    """Check that Telegram accepts notices and that the Telegram process runs if it should; good if no chat is set."""
    platform, settings = patient.platform, patient.platform.settings
    if not settings.telegram_chat_id:
        return good(subject, "not used: BOT3_TELEGRAM_CHAT_ID is not set")
    beat = next((beat for beat in platform.control.heartbeats() if beat.process == TELEGRAM), None)
    waiting, refusals = platform.notices.waiting(), platform.notices.refusals()
    if refusals.problem:
        return bad(
            subject,
            f"{refusals.problem}; {waiting} notices are pending",
            remedy="fix that problem; pending notices are sent within five minutes",
        )
    if is_silent(beat, wall_now=platform.clock.wall_now()):
        is_needed = patient.is_served and (beat is not None or bool(settings.telegram_users) or waiting > 0)
        seen = "never ran" if beat is None else f"has sent no heartbeat since {beat.wall_at:%Y-%m-%d %H:%M:%S} UTC"
        detail = f"the Telegram process {seen}; {waiting} notices are pending"
        return Finding(subject=subject, is_good=not is_needed, detail=detail, remedy="run `python -m telegram_bot` (docs/telegram.md)")
    if beat is not None and beat.state != LISTENING:
        return bad(
            subject, f"{beat.state}; {waiting} notices are pending", remedy="see its log; check that it can reach BOT3_TELEGRAM_API_URL"
        )
    dropped = f", {refusals.dropped} were rejected in 30 days because of their text" if refusals.dropped else ""
    return good(subject, f"listening, {waiting} notices are pending{dropped}")


def dagster(subject: str, patient: DoctorContext) -> Finding:
    """Check through Dagster's web server that the code location is loaded and Dagster's daemons send heartbeats.

    This and the next two checks are skipped if services should not run.
    """
    if not patient.is_served:
        return good(subject, "not started")
    if not location_is_loaded(patient.web):
        remedy = "see the logs of the web server and the code server (docs/runbook.md)"
        return bad(subject, f"the web server at {patient.web} or its code location does not respond", remedy=remedy)
    if not daemons_are_healthy(patient.web):
        return bad(subject, "a daemon sends no heartbeat", remedy="see the log of Dagster's daemon (docs/runbook.md)")
    return good(subject, "web server, code location and daemons respond")


def ticks(subject: str, patient: DoctorContext) -> Finding:
    """Check every sensor and schedule: it is turned on, its last completed tick did not fail, and its last three were not all delayed.

    A sensor that has ticked at all must have done so within the last two minutes.
    """
    if not patient.is_served:
        return good(subject, "not started")
    data = query_dagster(patient.web, TICKS)
    if data is None:
        return bad(subject, f"{patient.web} does not return its ticks", remedy="see the log of Dagster's web server (docs/runbook.md)")
    now = patient.platform.clock.wall_now()
    wrong = [text for name, state in _states(data) if (text := _trouble(name, state, now=now))]
    if wrong:
        return bad(subject, "; ".join(wrong), remedy=f"see {patient.web}/automation")
    return good(subject, f"{len(list(_states(data)))} sensors and schedules, none failed")


def runs(subject: str, patient: DoctorContext) -> Finding:
    """Check Dagster's unfinished runs: none exceeds its time limit, and none is pending for longer than `_LATE_RUN`."""
    if not patient.is_served:
        return good(subject, "not started")
    data = query_dagster(patient.web, RUNS)
    found = data.get("runsOrError") if data else None
    if not isinstance(found, dict) or "results" not in found:
        return bad(subject, f"{patient.web} does not return its runs", remedy="see the log of Dagster's web server (docs/runbook.md)")
    now = patient.platform.clock.wall_now()
    wrong = [text for run in found["results"] if (text := _run_trouble(run, now=now))]
    if wrong:
        return bad(subject, "; ".join(wrong), remedy=f"terminate the run that blocks the others ({patient.web}/runs)")
    return good(subject, f"{len(found['results'])} in progress")


def ports(subject: str, patient: DoctorContext) -> Finding:
    """Check that the ports of Dagster and the dashboard are free; if services should run, only report them."""
    settings = patient.platform.settings
    if patient.is_served:
        return good(subject, f"Dagster {settings.dagster_port}, dashboard {settings.dashboard_port}")
    for name in ("dagster_port", "dashboard_port"):
        try:
            require_free_port(getattr(settings, name), setting=f"BOT3_{name.upper()}")
        except AlreadyRunningError as error:
            found, _, remedy = str(error).partition(": ")
            return bad(subject, found, remedy=remedy)
    return good(subject, f"{settings.dagster_port} and {settings.dashboard_port} are free")


def _states(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for node in data["repositoriesOrError"].get("nodes", []):
        yield from ((one["name"], one["sensorState"]) for one in node["sensors"])
        yield from ((one["name"], {**one["scheduleState"], "is_schedule": True}) for one in node["schedules"])


def _trouble(name: str, state: Mapping[str, Any], *, now: datetime) -> str | None:
    """Return the problem of a sensor or schedule from its last ticks; None if there is none, or no tick yet."""
    if state["status"] != "RUNNING":
        return f"{name} is turned off"
    newest = next(iter(state["ticks"]), None)
    if newest is None:
        return None  # Dagster has just started; a daemon that does not tick is detected by its missing heartbeat
    # A tick that has only started proves nothing: the tick before it may have failed, as every tick does while a call hangs.
    ended = [tick for tick in state["ticks"] if tick["status"] != "STARTED"]
    if ended and ended[0]["status"] == "FAILURE":
        return f"{name} failed: {_first_cause(ended[0]['error'] or {})}"
    delays = [str(tick.get("skipReason") or "") for tick in ended[:_DELAYED_TICKS]]
    if len(delays) == _DELAYED_TICKS and all(reason.startswith(DELAYED) for reason in delays):
        return f"{name} is {delays[0]}"
    age = now - datetime.fromtimestamp(newest["timestamp"], tz=UTC)
    return f"{name} ticked {age.total_seconds():.0f} s ago" if "is_schedule" not in state and age > _LATE_SENSOR else None


def _first_cause(error: Mapping[str, Any]) -> str:
    """Return the first line of an error's root cause: Dagster's own message only contains the name of the called function."""
    messages = [error.get("message"), *(cause.get("message") for cause in error.get("causes") or ())]
    text = str(next((message for message in reversed(messages) if message), "no message"))
    return text.strip().splitlines()[0]


def _run_trouble(run: Mapping[str, Any], *, now: datetime) -> str | None:
    """Return the problem of an unfinished run: it exceeds its time limit, or is pending for longer than `_LATE_RUN`; None if neither."""
    is_running = run["status"] in {"STARTED", "CANCELING"}
    since = datetime.fromtimestamp((run["startTime"] if is_running else None) or run["creationTime"], tz=UTC)
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    allowed = timedelta(seconds=float(tags[_MAX_RUNTIME])) + _MONITOR_EVERY if is_running and _MAX_RUNTIME in tags else _LATE_RUN
    if now - since <= allowed or (is_running and _MAX_RUNTIME not in tags):
        return None
    does = "runs" if is_running else "waits"
    return f"run {run['runId'][:8]} of {run['jobName']} {does} for {fmt.span(now - since)} ({run['status'].lower()})"
