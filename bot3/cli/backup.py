"""`bot3 backup` copies every store of a home, also while its services run; `bot3 restore` restores them into an empty home."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bot3.cli.output import JsonFlag, messages, print_json
from bot3.cli.session import command_settings, seeded_platform
from bot3.errors import DataError
from bot3.usecases.operations.back_up import back_up
from bot3.usecases.operations.back_up import restore as restore_stores
from bot3.wiring import begin_epoch, finish_restore, is_seeded, mark_restoring, require_whole, store_backups


def register(app: typer.Typer) -> None:
    """Add the commands `backup` and `restore` to the command line."""
    app.command()(backup)
    app.command()(restore)


def backup(*, folder: Annotated[Path, typer.Argument(metavar="DIR", help="Directory to create.")], as_json: JsonFlag = False) -> None:
    """Copy databases, models, signals and published files into a new directory, with a digest of each; services may continue to run."""
    with seeded_platform() as platform:
        groups = store_backups(platform.settings, os.environ)
        report = back_up(groups, folder, now=platform.wall_now, market_now=platform.clock.now)
    if as_json:
        print_json({"backup": folder, "report": report})
    else:
        size = f"{len(report.stores)} stores, {report.files} files, {report.bytes / 1e6:.1f} MB"
        messages.print(f"{folder}: {size}, as of {report.taken_at:%Y-%m-%d %H:%M:%S} UTC")


def restore(*, folder: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a backup.")], as_json: JsonFlag = False) -> None:
    """Restore a backup into an empty home and empty databases; the market clock is paused at the time of the backup."""
    settings = command_settings()
    require_whole(settings)
    if is_seeded(settings):
        raise DataError(f"{settings.home} is seeded, nothing was restored: set BOT3_HOME to an empty directory")
    report = restore_stores(
        store_backups(settings, os.environ), folder, mark=partial(mark_restoring, settings), begin=partial(begin_epoch, settings)
    )
    finish_restore(settings, market_at=report.market_at)
    if as_json:
        print_json({"restored": folder, "report": report})
        return
    messages.print(f"{settings.home}: restored as of {report.taken_at:%Y-%m-%d %H:%M:%S} UTC; `bot3 doctor` checks it, `bot3 up` continues")
    if settings.influx_url:
        messages.print("`bot3 publish run --all` publishes it to InfluxDB again")
