"""`bot3 doctor`: check a home, and report each problem with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from bot3.cli import doctor_fleet, doctor_services, doctor_stores
from bot3.cli.findings import DoctorContext, Finding, Look, bad, good, is_supervised
from bot3.cli.output import JsonFlag, print_json, print_table
from bot3.cli.session import command_settings
from bot3.cli.supervisor_lock import is_being_seeded
from bot3.errors import Bot3Error, SettingsError
from bot3.settings import BOT_NAMES, Settings
from bot3.usecases.terms import definitions
from bot3.wiring import is_seeded, open_platform

_UNHEALTHY = 4
_FIRST = ("settings", "home")
_LOOKS: dict[str, Look] = {
    "permissions": doctor_stores.permissions,
    "servers": doctor_stores.servers,
    "record": doctor_stores.record,
    **{f"{name} store": doctor_stores.bot_store for name in BOT_NAMES},
    "fleet": doctor_fleet.fleet,
    "clock": doctor_services.clock,
    "candles": doctor_stores.candles,
    "models": doctor_stores.models,
    "parameters": doctor_services.parameters,
    "recommendation": doctor_services.recommendation,
    "influx": doctor_stores.influx,
    "ports": doctor_services.ports,
    "execution": doctor_services.execution,
    "telegram": doctor_services.telegram,
    "dagster": doctor_services.dagster,
    "ticks": doctor_services.ticks,
    "runs": doctor_services.runs,
}


def register(app: typer.Typer) -> None:
    """Add the command `doctor` to the command line."""
    app.command(epilog=definitions("dead letter", "epoch", "heartbeat", "latch", "record", "recommendation"))(doctor)


def doctor(
    *,
    only: Annotated[list[str] | None, typer.Option(help="Check only this subject; may be repeated.")] = None,
    served: Annotated[
        bool | None, typer.Option("--served/--not-served", help="Services should run, or not [whether `bot3 up` runs].", show_default=False)
    ] = None,
    dagster: Annotated[str | None, typer.Option(help="Address of Dagster's web server [127.0.0.1 at BOT3_DAGSTER_PORT].")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check settings, home, databases, fleet, clocks, candles, models, learning, InfluxDB, services; exit code 4 if there is a problem."""
    settings = command_settings()
    web = dagster or f"http://127.0.0.1:{settings.dagster_port}"
    findings = list(examine(settings, only=only or (), is_served=served, web=web))
    is_healthy = all(finding.is_good for finding in findings)
    if as_json:
        print_json({"is_healthy": is_healthy, "findings": findings})
    else:
        print_table("", ("", "what", "found", "remedy"), [("ok" if f.is_good else "BAD", f.subject, f.detail, f.remedy) for f in findings])
    if not is_healthy:
        raise typer.Exit(_UNHEALTHY)


def examine(settings: Settings, *, only: Sequence[str], is_served: bool | None, web: str) -> Iterator[Finding]:
    """Check the subjects in `only` (all if it is empty) and yield a finding for each; one that cannot be checked is a bad finding.

    If the home is not seeded, only settings and home are checked, and a bad finding `seed` is yielded.

    Parameters
    ----------
    is_served : bool or None
        Whether services should run; None: whether `bot3 up` runs for this home.
    web : str
        Address of Dagster's web server.

    Raises
    ------
    SettingsError
        If `only` contains an unknown subject.
    """
    if unknown := [name for name in only if name not in {*_FIRST, *_LOOKS}]:
        raise SettingsError(f"{unknown[0]!r} is not a subject, valid subjects are {', '.join((*_FIRST, *_LOOKS))}")
    wanted = set(only) or {*_FIRST, *_LOOKS}
    if "settings" in wanted:
        yield good("settings", "all names are known, all values are valid")
    if "home" in wanted:
        yield doctor_stores.home(settings)
    if is_being_seeded(settings):
        yield bad("seed", f"`bot3 up` is seeding {settings.home}", remedy="wait until it prints the addresses")
        return
    if not is_seeded(settings):
        yield bad("seed", f"{settings.home} was never seeded", remedy="run `bot3 init` or `make run`")
        return
    yield from _examine_platform(settings, wanted=wanted, is_served=is_served, web=web)


def _examine_platform(settings: Settings, *, wanted: set[str], is_served: bool | None, web: str) -> Iterator[Finding]:
    try:
        with open_platform(settings, read_only=True) as platform:
            patient = DoctorContext(platform=platform, is_served=is_supervised(platform) if is_served is None else is_served, web=web)
            yield from (_finding(name, look, patient) for name, look in _LOOKS.items() if name in wanted)
    except Bot3Error as error:
        yield bad("stores", str(error), remedy="fix the problem that the text names")


def _finding(name: str, look: Look, patient: DoctorContext) -> Finding:
    try:
        return look(name, patient)
    except Bot3Error as error:
        return bad(name, str(error), remedy="fix the problem that the text names")
