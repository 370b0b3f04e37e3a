"""`bot3 clock`: start or pause the market clock, for homes whose services `bot3 up` does not start."""

from __future__ import annotations

import typer

from bot3.cli.output import messages
from bot3.cli.session import WaitFlag, seeded_platform
from bot3.wiring import when_available


def register(app: typer.Typer) -> None:
    """Add the command group `clock` to the command line."""
    group = typer.Typer(no_args_is_help=True, help="The market clock; `bot3 up` starts and pauses it automatically.")
    group.command("start")(start)
    group.command("pause")(pause)
    app.add_typer(group, name="clock")


def start(*, wait: WaitFlag = False) -> None:
    """Start the market clock from the market time at which it stopped."""
    with seeded_platform(read_only=False) as platform:
        when_available(platform.start_clock) if wait else platform.start_clock()
        messages.print(f"the market clock runs from {platform.clock.now():%Y-%m-%d %H:%M:%S} UTC at {platform.clock.speed:g}x")


def pause() -> None:
    """Pause the market clock."""
    with seeded_platform(read_only=False) as platform:
        platform.pause_clock()
        messages.print(f"the market clock is paused at {platform.clock.now():%Y-%m-%d %H:%M:%S} UTC")
