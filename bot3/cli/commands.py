"""The commands of `bot3` and the modules that define them; a module is imported only if one of its commands is called.

The modules import pandas and numba, which takes long, so `bot3 --help` lists the commands without importing them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import NamedTuple

import typer


class CommandEntry(NamedTuple):
    """The module of `bot3.cli` that defines a command, and the command's text in `bot3 --help`."""

    module: str
    summary: str


COMMANDS: Mapping[str, CommandEntry] = {
    "up": CommandEntry("up", "Seed the home if it is empty, start every service, print the addresses, stop all at Ctrl-C."),
    "down": CommandEntry("down", "Stop the supervisor of this home and every service it started."),
    "status": CommandEntry(
        "status", "Show services, the market clock, bots and published learning; exit code 4 if a service that should run does not."
    ),
    "doctor": CommandEntry(
        "doctor",
        "Check settings, home, databases, fleet, clocks, candles, models, learning, InfluxDB, services; exit code 4 if there is a problem.",
    ),
    "init": CommandEntry(
        "init", "Seed the home if it is empty: train feeders, replay the bots' histories, learn, publish. Continues an interrupted seed."
    ),
    "learn": CommandEntry("learn", "Manual learning; Dagster learns automatically while it runs."),
    "params": CommandEntry(
        "params", "Show stop and target per pair, direction and leverage bin, with n, interval and the source of their data."
    ),
    "feeders": CommandEntry("feeders", "Show feeder scores over all regimes, best first, with n and interval."),
    "regime": CommandEntry("regime", "Show the regime, its probabilities, and the meta-learner's recommendation."),
    "trades": CommandEntry("trades", "Show a bot's newest trades, open and closed; for other programs' bots, closed ones in the record."),
    "skipped": CommandEntry("trades", "Show the newest decisions on signals: traded, or the reason why not."),
    "publish": CommandEntry("publish", "The record's copy in InfluxDB; Dagster updates it while it runs."),
    "metrics": CommandEntry("metrics", "Serve /metrics, /livez and /readyz until stopped; all stores are opened read-only."),
    "pause": CommandEntry("control", "Let a bot only reduce its positions: no entries; exits and stops continue."),
    "resume": CommandEntry("control", "Let a bot enter trades again after it was paused or halted, by a person or by the daemon."),
    "halt": CommandEntry("control", "Stop a bot: no entries, no exits by its rules; stops and targets on the exchange remain."),
    "exit": CommandEntry("control", "Close one open trade with a market order."),
    "clock": CommandEntry("clock", "The market clock; `bot3 up` starts and pauses it automatically."),
    "candles": CommandEntry("candles", "Fetch candles, and check candle files."),
    "audit": CommandEntry(
        "audit",
        "Replay a bot's trades: report what its static stop and target earned, and what learned ones would have earned on unseen trades.",
    ),
    "backup": CommandEntry(
        "backup",
        "Copy databases, models, signals and published files into a new directory, with a digest of each; services may continue to run.",
    ),
    "restore": CommandEntry(
        "backup", "Restore a backup into an empty home and empty databases; the market clock is paused at the time of the backup."
    ),
    "import": CommandEntry(
        "import_trades",
        "Copy another program's closed trades into the record; a repeat changes nothing. For bots that still trade, use the fleet file.",
    ),
}
"""Name of each command to its entry, in the order of `bot3 --help`; a test compares each summary with the command's docstring."""


def command_app(names: Collection[str]) -> typer.Typer:
    """Return the command line. Only the modules of the named commands are imported; other commands appear in `--help` but cannot run."""
    app = typer.Typer(
        name="bot3",
        help="Learn from a fleet's closed trades, and trade with the learned parameters (on paper).",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=True,
    )
    modules = {COMMANDS[name].module for name in names if name in COMMANDS}
    for name, entry in COMMANDS.items():
        if entry.module not in modules:
            app.command(name, help=entry.summary)(_listed_only)
    for module in modules:
        import_module(f"bot3.cli.{module}").register(app)
    return app


def _listed_only() -> None:
    raise AssertionError("this command was not named, so its module is not loaded")
