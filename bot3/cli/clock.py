"""`bot3 clock`: let the market's time run or stand still, where no supervisor does it."""

from __future__ import annotations

import typer

from bot3.cli.output import messages
from bot3.cli.session import WaitFlag, seeded_platform
from bot3.wiring import when_available


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="The market clock; `bot3 up` starts and stops it by itself.")
    group.command("start")(start)
    group.command("pause")(pause)
    app.add_typer(group, name="clock")


def start(*, wait: WaitFlag = False) -> None:
    """Let the market's time run from where it stands."""
    with seeded_platform(read_only=False) as platform:
        when_available(platform.start_clock) if wait else platform.start_clock()
        messages.print(f"the market's time runs from {platform.clock.now():%Y-%m-%d %H:%M:%S} UTC at {platform.clock.speed:g}x")


def pause() -> None:
    """Let the market's time stand still."""
    with seeded_platform(read_only=False) as platform:
        platform.pause_clock()
        messages.print(f"the market's time stands at {platform.clock.now():%Y-%m-%d %H:%M:%S} UTC")
