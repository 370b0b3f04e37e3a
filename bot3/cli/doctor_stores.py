"""Checks of the stores: the home, databases, models, candles, and the copy in InfluxDB."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bot3.cli.findings import DoctorContext, Finding, bad, good
from bot3.errors import CandleError, DataError
from bot3.ports.control import TradingState
from bot3.settings import Settings
from bot3.trading.trades import RunMode
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.bot_state import state_in_force
from bot3.usecases.fleet.status import SYNC_GRACE
from bot3.wiring import facts_of_server, server_urls

if TYPE_CHECKING:
    from bot3.usecases.publishing.check import HeadsGap

_LEAST_FREE_BYTES = 1_000_000_000
_FRESH_CANDLES = timedelta(minutes=15)
_SERVER_AHEAD = timedelta(seconds=2)
_MOUNTED = Path("/run/secrets")
_SECRET_ENDS = ("_PASSWORD_FILE", "_TOKEN_FILE")
_SECRET_LINE = re.compile(r"^\s*(export\s+)?BOT3_\w*(PASSWORD|TOKEN)\s*=\s*\S", re.MULTILINE | re.IGNORECASE)


def home(settings: Settings) -> Finding:
    """Check the home's directory (its parent if it does not exist): this user can write it, others cannot, and 1 GB of disk is free."""
    probe = settings.home if settings.home.exists() else settings.home.resolve().parent
    if not os.access(probe, os.W_OK):
        return bad("home", f"{probe} is not writable", remedy="make this user the owner of the directory, or set BOT3_HOME")
    if settings.home.exists() and stat.S_IMODE(settings.home.stat().st_mode) & stat.S_IWOTH:
        return bad("home", f"{settings.home} is writable for every user of this machine", remedy=f"chmod o-w {settings.home}")
    free = shutil.disk_usage(probe).free
    if free < _LEAST_FREE_BYTES:
        return bad("home", f"{free / 1e9:.1f} GB free on {probe}", remedy="free at least 1 GB")
    return good("home", f"{settings.home}, {free / 1e9:.0f} GB free")


def permissions(subject: str, patient: DoctorContext) -> Finding:
    """Check that this user may read and write every SQLite file of the home, and that other users can read neither these nor secrets."""
    home = patient.platform.settings.home
    closed = [path for path in sorted(home.rglob("*.sqlite")) if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        return bad(
            subject,
            f"this user cannot write {_listed(closed)}",
            remedy="make this user the owner of the files: the services of a home share one user",
        )
    open_to_all = [path for path in _secret_files(patient) if _others_may_read(path)]
    if open_to_all:
        return bad(subject, f"{_listed(open_to_all)} readable for every user", remedy=f"chmod o-r {' '.join(map(str, open_to_all))}")
    shared = [path for path in sorted(home.rglob("*.sqlite")) if _others_may_read(path) or _group_may_read(path)]
    if shared:
        return bad(subject, f"{_listed(shared)} readable for other users", remedy=f"chmod -R go-rwx {home} (`bot3 init` does this too)")
    return good(subject, f"only this user can read the stores of {home} and the secrets")


def _others_may_read(path: Path) -> bool:
    """Return whether other users of this machine (neither owner nor group) may reach and read a file.

    Files mounted by a container runtime (`/run/secrets`) are not checked: only this service sees them, and the machine's own file is in a
    directory closed to others (`deploy/make-secrets.sh`).
    """
    whole = path.resolve()
    if _MOUNTED in whole.parents:
        return False
    return bool(whole.stat().st_mode & stat.S_IROTH) and all(folder.stat().st_mode & stat.S_IXOTH for folder in whole.parents)


def _group_may_read(path: Path) -> bool:
    """Return whether the group of a file may reach and read it."""
    whole = path.resolve()
    return bool(whole.stat().st_mode & stat.S_IRGRP) and all(folder.stat().st_mode & stat.S_IXGRP for folder in whole.parents)


def _secret_files(patient: DoctorContext) -> list[Path]:
    """Return the files that contain a secret: a `.env` with one, files named in settings, and the password files of the fleet."""
    text = Path(".env").read_text(encoding="utf-8") if Path(".env").exists() else ""
    named = [Path(path) for name, path in os.environ.items() if name.startswith("BOT3_") and name.endswith(_SECRET_ENDS) and path]
    fleet = [bot.password_file for bot in patient.platform.fleet_bots if bot.password_file is not None]
    return [*([Path(".env")] if _SECRET_LINE.search(text) else []), *named, *fleet]


def _listed(paths: Sequence[Path]) -> str:
    return f"{', '.join(str(path) for path in paths[:3])}{f' and {len(paths) - 3} more' if len(paths) > 3 else ''}"


def record(subject: str, patient: DoctorContext) -> Finding:
    """Compare the numbers of closed trades in the own bots' databases and histories with the record.

    A difference is a problem only if services should run and it cannot be a trade that closed within `SYNC_GRACE`.
    """
    platform = patient.platform
    late: list[str] = []
    waiting: list[str] = []
    for name in platform.bot_names:
        for store, mode in ((platform.bot_store(name), RunMode.PAPER), (platform.history_store(name), RunMode.BACKTEST)):
            found = patient.unsynced(store, run_mode=mode)
            if found is not None:
                (late if found.is_late else waiting).append(f"{name} {mode}: {found.recorded} of {found.closed}")
    if late and patient.is_served:
        detail = f"closed trades are not synced after {fmt.span(SYNC_GRACE)}: {'; '.join(late)}"
        return bad(subject, detail, remedy="see the ticks of `closes_to_parameters`, then `bot3 learn run`")
    counts = platform.record.trades.counts()
    held = f"revision {platform.record.revision()}, {int(counts['trades'].sum())} trades"
    unsynced = [*late, *waiting]
    return good(subject, f"{held}; pending sync: {'; '.join(unsynced)}" if unsynced else held)


def bot_store(subject: str, patient: DoctorContext) -> Finding:
    """Check that a bot's database can be read and that its trading state is ACTIVE; the subject is "BOT1 store"."""
    platform, name = patient.platform, subject.split(maxsplit=1)[0]
    store = platform.bot_store(name)
    found = state_in_force(platform.control, name, wall_now=platform.wall_now())
    detail = f"{len(store.open_trades())} open, {store.count_closed(closed_since=None)} closed, {found.state}"
    if found.state is not TradingState.ACTIVE:
        remedy = (
            f"check the reason, then run `bot3 resume {name}`"
            if found.is_latched
            else "fix the cause, which ends the state (docs/runbook.md)"
        )
        return bad(subject, f"{detail}: {found.reason}", remedy=remedy)
    return good(subject, detail)


def servers(subject: str, patient: DoctorContext) -> Finding:
    """Check every database on a PostgreSQL server: its time zone is UTC, its clock agrees with this machine's, its role is no superuser."""
    names = server_urls(patient.platform.settings)
    if not names:
        return good(subject, "every store is a file in the home")
    told = []
    for name in names:
        facts = facts_of_server(patient.platform.settings, name)
        where = f"{name}: database {facts.database} as {facts.role}"
        if facts.timezone not in {"UTC", "Etc/UTC"}:
            remedy = f"ALTER DATABASE {facts.database} SET timezone TO 'UTC'; then reconnect (deploy/postgres/roles.sql does this)"
            return bad(subject, f"{where} shows times in {facts.timezone}", remedy=remedy)
        if abs(facts.ahead) > _SERVER_AHEAD:
            detail = f"{where}: the server's clock differs by {facts.ahead.total_seconds():+.1f} s from this machine's"
            return bad(subject, detail, remedy="synchronise both with a time server (`timedatectl set-ntp true`)")
        if facts.is_superuser:
            return bad(subject, f"{where}, which is a superuser", remedy="use the roles of deploy/postgres/roles.sql")
        told.append(where)
    return good(subject, f"{'; '.join(told)}; UTC, clocks agree")


def candles(subject: str, patient: DoctorContext) -> Finding:
    """Check that the candles of every pair end at most 15 minutes before the market's time."""
    platform = patient.platform
    now = platform.clock.now()
    behind = []
    for pair in platform.candles.pairs():
        try:
            _, last_close = platform.candles.span(pair, platform.settings.timeframe)
        except CandleError as error:
            # One bad file must not hide the problems of the others.
            behind.append(str(error))
            continue
        if now - last_close > _FRESH_CANDLES:
            behind.append(f"{pair} ends {last_close:%Y-%m-%d %H:%M}")
    if behind:
        return bad(subject, "; ".join(behind), remedy="fetch newer candles (`bot3 candles fetch`)")
    return good(subject, f"{len(platform.candles.pairs())} pairs, fresh at {now:%Y-%m-%d %H:%M} market time")


def models(subject: str, patient: DoctorContext) -> Finding:
    """Read every registered model file and compare its digest.

    Raises ModelError if one is missing or wrong, DataError if no model is registered; the doctor reports both.
    """
    digests = patient.platform.record.models.frame()["digest"].unique()
    for digest in digests:
        patient.platform.models.read(str(digest))
    if not len(digests):
        raise DataError("no model is registered: seed the home again (`bot3 init` in an empty BOT3_HOME)")
    return good(subject, f"{len(digests)} files, every digest is correct")


def _late_writes(patient: DoctorContext) -> str | None:
    """Return a text with the number of writes pending publication, since when, and the reason.

    None if the oldest is pending for at most `SYNC_GRACE`, or services should not run.
    """
    since = patient.platform.record.outbox.waiting_since()
    age = timedelta(0) if since is None else patient.platform.wall_now() - since
    if not patient.is_served or age <= SYNC_GRACE:
        return None
    span = patient.platform.record.outbox.span()
    why = patient.platform.publishing.last_error() or "no error was reported, check that Dagster's daemon runs"
    return f"{0 if span is None else span.writes} writes are pending publication, the oldest for {fmt.span(age)}: {why}"


def _unequal(subject: str, gap: HeadsGap) -> Finding | None:
    """Return a bad finding if the copy has publications that the record lacks, or lacks some; None otherwise."""
    if gap.extra:
        detail = (
            f"{gap.extra} publications in InfluxDB belong to another record or to an epoch before a restore, {gap.missing or 0} are missing"
        )
        return bad(subject, detail, remedy="`bot3 publish run --all` writes the copy again; use one record per organization and bucket")
    if gap.missing:
        detail = f"{gap.missing} publications of the record are missing in InfluxDB: InfluxDB lost them, or they were deleted"
        return bad(
            subject,
            detail,
            remedy="the sensor `record_to_copy` publishes them within a minute; else `bot3 publish check`, then `bot3 publish run --all`",
        )
    return None


def influx(subject: str, patient: DoctorContext) -> Finding:
    """Check the copy in InfluxDB: buckets, write access, late and rejected writes, and publications; good if no server is configured."""
    publishing = patient.platform.publishing
    if not publishing.is_configured:
        return good(subject, "not used: BOT3_INFLUX_URL is empty")
    if problems := publishing.health():
        return bad(subject, "; ".join(problems), remedy="fix the problem that the text names")
    publishing.require_write_access()
    if (late := _late_writes(patient)) is not None:
        return bad(subject, late, remedy="see the ticks of `record_to_copy`; `bot3 publish run` shows the error")
    letters = patient.platform.settings.home / "influx" / "dead_letters.jsonl"
    if letters.exists():
        return bad(subject, f"rejected points are stored in {letters}", remedy="fix the cause, then run `bot3 publish replay-dead-letters`")
    if (unequal := _unequal(subject, publishing.heads_gap())) is not None:
        return unequal
    span = patient.platform.record.outbox.span()
    return good(
        subject,
        f"{len(publishing.bots())} bots, buckets and field types are correct, {0 if span is None else span.writes} writes are pending",
    )
