"""`bot3 down`: stop the supervisor and the services that `bot3 up` started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time

import typer

from bot3.cli.output import messages
from bot3.cli.session import command_settings
from bot3.cli.supervisor import is_same_process, kill_all
from bot3.cli.supervisor_lock import is_being_seeded
from bot3.errors import Bot3Error

_STOP_WITHIN_S = 30.0


def register(app: typer.Typer) -> None:
    """Add the command `down` to the command line."""
    app.command()(down)


def down() -> None:
    """Stop the supervisor of this home and every service it started."""
    settings = command_settings()
    state_file = settings.home / "run" / "supervisor.json"
    if not state_file.exists():
        if is_being_seeded(settings):
            raise Bot3Error(f"`bot3 up` is seeding {settings.home} and has started no service yet: stop it with Ctrl-C where it runs")
        messages.print(f"no service of {settings.home} was started by `bot3 up`")
        return
    state = json.loads(state_file.read_text(encoding="utf-8"))
    if is_same_process(state["supervisor"]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(state["supervisor"][0]), signal.SIGTERM)
        deadline = time.monotonic() + _STOP_WITHIN_S
        while is_same_process(state["supervisor"]) and time.monotonic() < deadline:
            time.sleep(0.1)
    left = [int(identity[0]) for identity in state["services"].values() if is_same_process(identity)]
    kill_all(left)
    state_file.unlink(missing_ok=True)
    messages.print("stopped" if not left else f"stopped; {len(left)} services had to be killed")
