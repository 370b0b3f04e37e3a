"""`bot3 pause`, `resume`, `halt`, `exit`: queue commands in the control store, which the execution daemon takes from there."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from bot3.cli.output import messages
from bot3.cli.session import seeded_platform

_REFUSED = 5

BotArgument = Annotated[str, typer.Argument(help="BOT1, BOT2 or BOT3.")]
YesFlag = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


def register(app: typer.Typer) -> None:
    """Add the commands `pause`, `resume`, `halt` and `exit` to the command line."""
    app.command()(pause)
    app.command()(resume)
    app.command()(halt)
    app.command("exit")(force_exit)


def pause(bot: BotArgument) -> None:
    """Let a bot only reduce its positions: no entries; exits and stops continue."""
    _send(bot, "pause", "")


def resume(bot: BotArgument, *, yes: YesFlag = False) -> None:
    """Let a bot enter trades again after it was paused or halted, by a person or by the daemon."""
    _require_yes(f"let {bot} enter new positions again", yes=yes)
    _send(bot, "resume", "")


def halt(bot: BotArgument) -> None:
    """Stop a bot: no entries, no exits by its rules; stops and targets on the exchange remain."""
    _send(bot, "halt", "")


def force_exit(bot: BotArgument, trade_id: Annotated[int, typer.Argument(help="Id of the open trade.")], *, yes: YesFlag = False) -> None:
    """Close one open trade with a market order."""
    _require_yes(f"close trade {trade_id} of {bot} at market", yes=yes)
    _send(bot, "force_exit", str(trade_id))


def _send(bot: str, command: str, argument: str) -> None:
    with seeded_platform(read_only=False) as platform:
        platform.require_bot(bot)
        number = platform.control.send_command(
            bot=bot, command=command, argument=argument, issued_by=getpass.getuser(), at=platform.clock.wall_now()
        )
    messages.print(f"command {number} is queued: the daemon takes it within a second while it runs")


def _require_yes(what: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        messages.print(f"refused: this would {what}; confirm with --yes")
        raise typer.Exit(_REFUSED)
    if not typer.confirm(f"This will {what}. Continue?"):
        raise typer.Exit(_REFUSED)
