"""`bot3 doctor`: what is wrong, and the remedy of each finding."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import typer

from bot3.cli.output import JsonFlag, print_json, print_table
from bot3.cli.services import daemons_are_healthy, location_is_loaded
from bot3.cli.session import command_settings
from bot3.cli.supervisor import is_same_process
from bot3.errors import Bot3Error, DataError
from bot3.settings import Settings
from bot3.wiring import Platform, is_seeded, open_platform

_UNHEALTHY = 4
_LEAST_FREE_BYTES = 1_000_000_000
_STALE = timedelta(seconds=15)
_FRESH_CANDLES = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    is_good: bool
    detail: str
    remedy: str = ""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(*, as_json: JsonFlag = False) -> None:
    """Look at settings, home, stores, candles, models, learning and services; exit code 4 if anything is wrong."""
    findings = list(examine(command_settings()))
    if as_json:
        print_json({"is_healthy": all(f.is_good for f in findings), "findings": findings})
    else:
        print_table("", ("", "what", "found", "remedy"), [("ok" if f.is_good else "BAD", f.subject, f.detail, f.remedy) for f in findings])
    if not all(finding.is_good for finding in findings):
        raise typer.Exit(_UNHEALTHY)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield one finding a subject; a subject that cannot be looked at is a bad finding, not an error."""
    yield Finding(subject="settings", is_good=True, detail="all names known, all values in bounds")
    yield _home(settings)
    if not is_seeded(settings):
        yield Finding(subject="seed", is_good=False, detail=f"{settings.home} was never seeded", remedy="run `bot3 init` or `make run`")
        return
    try:
        with open_platform(settings, read_only=True) as platform:
            yield from _examine_platform(platform)
    except Bot3Error as error:
        yield Finding(subject="stores", is_good=False, detail=str(error), remedy="mend what the text names")


def _examine_platform(platform: Platform) -> Iterator[Finding]:
    looks: tuple[tuple[str, Callable[[Platform], Finding]], ...] = (
        ("record", _record),
        *((f"{name} store", _bot_store(name)) for name in platform.bot_names),
        ("candles", _candles),
        ("models", _models),
        ("parameters", _parameters),
        ("recommendation", _recommendation),
        ("execution", _execution),
        ("dagster", _dagster),
    )
    for subject, look in looks:
        try:
            yield look(platform)
        except Bot3Error as error:
            yield Finding(subject=subject, is_good=False, detail=str(error), remedy="the text names it")


def _home(settings: Settings) -> Finding:
    probe = settings.home if settings.home.exists() else settings.home.resolve().parent
    if not os.access(probe, os.W_OK):
        return Finding(
            subject="home", is_good=False, detail=f"{probe} cannot be written", remedy="give this user the directory, or set BOT3_HOME"
        )
    free = shutil.disk_usage(probe).free
    if free < _LEAST_FREE_BYTES:
        return Finding(subject="home", is_good=False, detail=f"{free / 1e9:.1f} GB free on {probe}", remedy="free at least 1 GB")
    return Finding(subject="home", is_good=True, detail=f"{settings.home}, {free / 1e9:.0f} GB free")


def _record(platform: Platform) -> Finding:
    counts = platform.record.counts()
    missing = []
    for name in platform.bot_names:
        for store, mode in ((platform.bot_store(name), "paper"), (platform.history_store(name), "backtest")):
            recorded = int(counts.loc[(counts["bot"] == name) & (counts["run_mode"] == mode), "trades"].sum())
            closed = store.count_closed(closed_since=None)
            if recorded < closed:
                missing.append(f"{name} {mode}: {recorded} of {closed}")
    if missing and _is_served(platform):
        return Finding(
            subject="record",
            is_good=False,
            detail=f"not all closed trades are synced: {'; '.join(missing)}",
            remedy="wait, then `bot3 learn run`",
        )
    detail = f"revision {platform.record.revision()}, {int(counts['trades'].sum())} trades" + (
        f"; to be synced: {'; '.join(missing)}" if missing else ""
    )
    return Finding(subject="record", is_good=True, detail=detail)


def _bot_store(name: str) -> Callable[[Platform], Finding]:
    def look(platform: Platform) -> Finding:
        store = platform.bot_store(name)
        state, reason = platform.control.trading_state(name)
        detail = f"{len(store.open_trades())} open, {store.count_closed(closed_since=None)} closed, {state}"
        if state != "active":
            return Finding(
                subject=f"{name} store", is_good=False, detail=f"{detail}: {reason}", remedy=f"look into it, then `bot3 resume {name}`"
            )
        return Finding(subject=f"{name} store", is_good=True, detail=detail)

    return look


def _candles(platform: Platform) -> Finding:
    now = platform.clock.now()
    behind = []
    for pair in platform.candles.pairs():
        _, last_close = platform.candles.span(pair, platform.settings.timeframe)
        if now - last_close > _FRESH_CANDLES:
            behind.append(f"{pair} ends {last_close:%Y-%m-%d %H:%M}")
    if behind:
        return Finding(subject="candles", is_good=False, detail="; ".join(behind), remedy="bring newer candles (`bot3 candles fetch`)")
    return Finding(
        subject="candles", is_good=True, detail=f"{len(platform.candles.pairs())} pairs, fresh at {now:%Y-%m-%d %H:%M} market time"
    )


def _models(platform: Platform) -> Finding:
    digests = platform.record.models_frame()["digest"].unique()
    for digest in digests:
        platform.models.read(str(digest))
    if not len(digests):
        raise DataError("no model is registered: seed the home again (`bot3 init` in an empty BOT3_HOME)")
    return Finding(subject="models", is_good=True, detail=f"{len(digests)} files, every digest right")


def _parameters(platform: Platform) -> Finding:
    now = platform.clock.now()
    parameters = platform.record.parameters(as_of=now)
    parameters.require_fresh(now=now)
    return Finding(
        subject="parameters", is_good=True, detail=f"{len(parameters.rows)} rows, until {parameters.expires_at:%Y-%m-%d %H:%M} market time"
    )


def _recommendation(platform: Platform) -> Finding:
    now = platform.clock.now()
    recommendation = platform.record.recommendation(as_of=now)
    if _is_served(platform):
        recommendation.require_fresh(now=now)
    return Finding(
        subject="recommendation",
        is_good=True,
        detail=f"{recommendation.regime}, until {recommendation.expires_at:%Y-%m-%d %H:%M} market time",
    )


def _execution(platform: Platform) -> Finding:
    beat = next((beat for beat in platform.control.heartbeats() if beat.process == "execution"), None)
    if beat is None:
        return Finding(subject="execution", is_good=not _is_served(platform), detail="never ran", remedy="`bot3 up`")
    age = platform.clock.wall_now() - beat.wall_at
    if _is_served(platform) and age > _STALE:
        return Finding(
            subject="execution",
            is_good=False,
            detail=f"last heartbeat {age.total_seconds():.0f} s ago",
            remedy="see logs/execution.log in the home",
        )
    return Finding(subject="execution", is_good=True, detail=f"{beat.state}, heartbeat {age.total_seconds():.0f} s ago")


def _dagster(platform: Platform) -> Finding:
    if not _is_served(platform):
        return Finding(subject="dagster", is_good=True, detail="not started")
    web = f"http://127.0.0.1:{platform.settings.dagster_port}"
    if not location_is_loaded(web):
        return Finding(
            subject="dagster",
            is_good=False,
            detail="the web server or its code location does not answer",
            remedy="see logs/dagster-web.log and logs/code.log",
        )
    if not daemons_are_healthy(web):
        return Finding(subject="dagster", is_good=False, detail="a daemon does not beat", remedy="see logs/dagster-daemon.log")
    return Finding(subject="dagster", is_good=True, detail="web server, code location and daemons answer")


def _is_served(platform: Platform) -> bool:
    import json  # noqa: PLC0415

    state_file = platform.settings.home / "run" / "supervisor.json"
    return state_file.exists() and is_same_process(json.loads(state_file.read_text(encoding="utf-8"))["supervisor"])
