"""`bot3 learn`: sync closed trades and learn from them immediately."""

from __future__ import annotations

import typer

from bot3.cli.output import JsonFlag, messages, print_json
from bot3.cli.session import seeded_platform


def register(app: typer.Typer) -> None:
    """Add the command group `learn` to the command line."""
    group = typer.Typer(no_args_is_help=True, help="Manual learning; Dagster learns automatically while it runs.")
    group.command("run")(run)
    app.add_typer(group, name="learn")


def run(*, as_json: JsonFlag = False) -> None:
    """Sync all bots, replay what is due, relearn everything, and publish parameters, scores, regime and recommendation."""
    with seeded_platform(read_only=False) as platform:
        outcome = platform.steps.relearn_everything()
        revision = platform.record.revision()
    if as_json:
        print_json({"revision": revision, "outcome": outcome})
        return
    messages.print(f"learned; the record is at revision {revision}")
