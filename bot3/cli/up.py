"""`bot3 up`: run all services on one machine, under one supervisor."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from bot3.cli.lineage import report_seed_once
from bot3.cli.output import messages
from bot3.cli.services import cancel_runs, child_environment, free_port, prepare_dagster_home, require_free_port, services
from bot3.cli.session import command_settings
from bot3.cli.supervisor import Supervisor
from bot3.cli.supervisor_lock import only_supervisor
from bot3.errors import Bot3Error, StoreError
from bot3.logs import redacted
from bot3.private_files import close_to_others
from bot3.settings import Settings
from bot3.usecases.fleet.bot_state import DAEMON, TELEGRAM
from bot3.wiring import Platform, fleet_of, is_seeded, open_platform, when_available

_HEALTHY_WITHIN_S = 180.0
_FRESH = timedelta(seconds=10)


def register(app: typer.Typer) -> None:
    """Add the command `up` to the command line."""
    app.command()(up)


def up(
    candles: Annotated[str | None, typer.Option(help="Candle directory in freqtrade's layout; default: BOT3_CANDLES.")] = None,
    stop_after_s: Annotated[float | None, typer.Option(help="Stop automatically this many seconds after all services are healthy.")] = None,
) -> None:
    """Seed the home if it is empty, start every service, print the addresses, stop all at Ctrl-C."""
    settings = command_settings(candles=candles)
    fleet_of(settings)  # an invalid fleet file is reported here, not by the first service that reads it
    with only_supervisor(settings):
        _require_ports(settings)
        close_to_others(settings.home)
        _seed_if_empty(settings, candles)
        _serve(settings, stop_after_s)


def _require_ports(settings: Settings) -> None:
    require_free_port(settings.dagster_port, setting="BOT3_DAGSTER_PORT")
    require_free_port(settings.dashboard_port, setting="BOT3_DASHBOARD_PORT")


def _seed_if_empty(settings: Settings, candles: str | None) -> None:
    if is_seeded(settings):
        report_seed_once(settings)
        return
    # In a separate process: training leaves half a gigabyte of memory allocated, which the supervisor should not keep.
    override = [] if candles is None else ["--candles", candles]
    command = [sys.executable, "-m", "bot3.cli.main", "init", *override]
    code = subprocess.run(command, env=child_environment(), check=False).returncode  # noqa: S603
    if code != 0:
        raise Bot3Error(f"seeding {settings.home} ended with {code}; run `bot3 init` to continue")


def _serve(settings: Settings, stop_after_s: float | None) -> None:
    code_port = free_port()
    dagster_home = prepare_dagster_home(settings, code_port=code_port)
    with open_platform(settings) as platform:
        began = datetime.now(UTC)

        def is_fresh(name: str) -> bool:
            try:
                beats = [beat for beat in platform.control.heartbeats() if beat.process == name]
            except StoreError:
                return False  # the service also waits for the store
            return any(beat.wall_at >= began and datetime.now(UTC) - beat.wall_at < _FRESH for beat in beats)

        todo = services(
            settings,
            dagster_home=dagster_home,
            code_port=code_port,
            execution_is_fresh=lambda: is_fresh(DAEMON),
            telegram_is_fresh=lambda: is_fresh(TELEGRAM),
        )
        supervisor = Supervisor(todo, run_directory=settings.home / "run", log_directory=settings.home / "logs")
        when_available(platform.start_clock)
        try:
            supervisor.start()
            late = supervisor.wait_healthy(timeout_s=_HEALTHY_WITHIN_S, tell=_tell_healthy)
            _tell_late(settings, late, may_wait=stop_after_s is None)
            _tell_addresses(platform.settings)
            supervisor.supervise(for_s=math.inf if stop_after_s is None else stop_after_s)
        finally:
            messages.print("Stopping ...")
            canceled = cancel_runs(f"http://127.0.0.1:{settings.dagster_port}")
            if canceled:
                messages.print(f"  {canceled} runs canceled")
            supervisor.stop()
            _pause_clock(platform)


def _tell_healthy(name: str, seconds: float) -> None:
    messages.print(f"  {name:<15} healthy after {seconds:.1f} s")


def _tell_late(settings: Settings, late: Sequence[str], *, may_wait: bool) -> None:
    """Print the services that are not healthy in time. Raises Bot3Error instead if `up` was called with a time after which it stops."""
    if not late:
        return
    text = f"not healthy after {_HEALTHY_WITHIN_S:.0f} s: {', '.join(late)}; see {settings.home / 'logs'}"
    if not may_wait:
        raise Bot3Error(text)
    messages.print(f"{text}. They are restarted until they are healthy; run `bot3 doctor` for the reason.")


def _pause_clock(platform: Platform) -> None:
    try:
        platform.pause_clock()
    except StoreError as error:
        # The next start continues from the newest heartbeat: no market time passes while nothing runs.
        messages.print(f"the market clock could not be paused: {redacted(str(error))}")


def _tell_addresses(settings: Settings) -> None:
    where = "the simulated market" if not settings.candle_directories else ", ".join(str(Path(d)) for d in settings.candle_directories)
    messages.print(f"\nTrading on paper on {where} at {settings.clock_speed:g}x.")
    messages.print(f"  dashboard  http://127.0.0.1:{settings.dashboard_port}")
    messages.print(f"  Dagster    http://127.0.0.1:{settings.dagster_port}")
    messages.print("Ctrl-C stops everything.")
