"""`bot3 candles`: fetch candles, and say what is wrong with those that are there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot3.cli.output import JsonFlag, messages, print_json, print_table
from bot3.cli.session import command_settings
from bot3.errors import SettingsError
from bot3.wiring import candle_reports, fetch_candle_files


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Candles on disk.")
    group.command("fetch")(fetch)
    group.command("check")(check)
    app.add_typer(group, name="candles")


def fetch(
    pairs: Annotated[list[str], typer.Argument(help='Pairs as ccxt writes them, such as "BTC/USDT:USDT".')],
    directory: Annotated[Path, typer.Option(help="Where to keep them, in freqtrade's layout.")],
    since: Annotated[str, typer.Option(help="First day, 2025-01-31.")],
    exchange: Annotated[str, typer.Option(help="ccxt's id of the exchange.")] = "binanceusdm",
) -> None:
    """Fetch candles and funding through public endpoints; goes on where an earlier fetch stopped."""
    settings = command_settings()
    try:
        start = datetime.fromisoformat(since).replace(tzinfo=UTC)
    except ValueError as error:
        raise SettingsError(f"--since {since!r} is not a day such as 2025-01-31") from error
    for pair in pairs:
        rows = fetch_candle_files(settings, directory=directory, pair=pair, since=start, exchange=exchange)
        messages.print(f"{pair}: {rows} new candles in {directory}")


def check(directory: Annotated[Path, typer.Argument(help="Candle directory.")], *, as_json: JsonFlag = False) -> None:
    """Read every candle file of a directory and report gaps, duplicates, spikes and what was repaired."""
    reports = candle_reports(command_settings(), directory)
    if as_json:
        print_json({"directory": directory, "reports": list(reports)})
        return
    print_table(
        str(directory),
        ("pair", "timeframe", "rows in", "rows out", "duplicates", "gaps", "missing", "spikes", "flat"),
        [(r.pair, r.timeframe, r.rows_in, r.rows_out, r.duplicates, len(r.gaps), r.missing_candles, r.spikes, r.flat) for r in reports],
    )
