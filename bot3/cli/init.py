"""`bot3 init`: seed a home: train feeders, make the bots' backtest histories, and learn from them."""

from __future__ import annotations

from typing import Annotated, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bot3.cli.lineage import report_seed_once
from bot3.cli.output import messages
from bot3.cli.session import WaitFlag, command_settings
from bot3.private_files import close_to_others
from bot3.wiring import is_seeded, open_platform, when_available


def register(app: typer.Typer) -> None:
    """Add the command `init` to the command line."""
    app.command()(init)


def init(
    candles: Annotated[str | None, typer.Option(help="Candle directory in freqtrade's layout; default: BOT3_CANDLES.")] = None,
    *,
    wait: WaitFlag = False,
    no_lineage: Annotated[bool, typer.Option("--no-lineage", help="Do not report the seed to Dagster: another service does.")] = False,
) -> None:
    """Seed the home if it is empty: train feeders, replay the bots' histories, learn, publish. Continues an interrupted seed."""
    from bot3.usecases.seed.home import seed_home  # noqa: PLC0415  # heavy

    settings = command_settings(candles=candles)
    # An earlier release created homes with the umask of their first user, which may let others read them.
    close_to_others(settings.home)
    if wait:
        with open_platform(settings) as platform:
            when_available(platform.open_stores)
    if is_seeded(settings):
        with open_platform(settings) as platform:
            platform.open_stores()
        if not no_lineage:
            report_seed_once(settings)
        messages.print(f"{settings.home} is already seeded")
        return
    messages.print(f"Seeding {settings.home} (only once; it can be interrupted and continues where it stopped)")
    with open_platform(settings) as platform, _Bars() as bars:
        seed_home(platform.seed_parts(), progress=bars.show)
        platform.finish_seed()
    if not no_lineage:
        report_seed_once(settings)


class _Bars:
    """Shows a progress bar for each step on standard error, or one line for each completed step if that is no terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=messages
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if messages.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if messages.is_terminal:
            self._progress.stop()

    def show(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], completed=done, total=total)
        if not messages.is_terminal and done == total:
            messages.print(f"  {step}: {done} of {total}")
