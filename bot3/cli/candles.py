"""`bot3 candles`: fetch candles, and report problems of existing candle files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot3.cli.output import JsonFlag, messages, print_json, print_table
from bot3.cli.session import command_settings, seeded_platform
from bot3.errors import CandleError, SettingsError
from bot3.ports.candles import CandleFileFinding
from bot3.usecases.audit.candle_needs import CandleNeed, candle_needs, fetch_needs, foreign_trades
from bot3.wiring import fetch_candle_files, inspect_candle_files


def register(app: typer.Typer) -> None:
    """Add the command group `candles` to the command line."""
    group = typer.Typer(no_args_is_help=True, help="Fetch candles, and check candle files.")
    group.command("fetch")(fetch)
    group.command("check")(check)
    app.add_typer(group, name="candles")


def fetch(
    pairs: Annotated[list[str] | None, typer.Argument(help='Pairs as ccxt writes them, such as "BTC/USDT:USDT".')] = None,
    *,
    directory: Annotated[Path, typer.Option(help="Directory to store them in, in freqtrade's layout.")],
    since: Annotated[str | None, typer.Option(help="First day, 2025-01-31.")] = None,
    for_trades: Annotated[
        bool,
        typer.Option(
            "--for-trades",
            help="Fetch what the record's trades of fleet and imported bots need: their pairs, from 20 days before the first entry to the "
            "horizon after the last.",
        ),
    ] = False,
    bot: Annotated[list[str] | None, typer.Option(help="With --for-trades: only this bot; may be repeated.")] = None,
    exchange: Annotated[str, typer.Option(help="ccxt's id of the exchange.")] = "binanceusdm",
    exchange_url: Annotated[str | None, typer.Option(help="Other URL of the exchange (a proxy).")] = None,
) -> None:
    """Fetch candles and funding through public endpoints; continue where an earlier fetch stopped."""
    if for_trades:
        if pairs or since:
            raise SettingsError("--for-trades determines pairs and days itself: leave out PAIRS and --since")
        _fetch_for_trades(directory, bots=bot, exchange=exchange, exchange_url=exchange_url)
        return
    if not pairs or since is None or bot:
        raise SettingsError("set PAIRS and --since, or --for-trades; --bot is valid only with --for-trades")
    settings, start = command_settings(), _day(since)
    for pair in pairs:
        rows = fetch_candle_files(settings, directory=directory, pair=pair, since=start, exchange=exchange, exchange_url=exchange_url)
        messages.print(f"{pair}: {rows} new candles in {directory}")


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise SettingsError(f"--since {text!r} is not a day such as 2025-01-31") from error


def _fetch_for_trades(directory: Path, *, bots: list[str] | None, exchange: str, exchange_url: str | None) -> None:
    with seeded_platform() as platform:
        settings = platform.settings
        trades = foreign_trades(platform.record.trades, own=platform.bot_names, bots=bots)
        needs = candle_needs(trades, now=platform.wall_now())
    messages.print(f"{sum(need.trades for need in needs)} trades on {len(needs)} pairs")

    def fetch(need: CandleNeed) -> int:
        return fetch_candle_files(
            settings,
            directory=directory,
            pair=need.pair,
            since=need.start,
            until=need.end,
            exchange=exchange,
            exchange_url=exchange_url,
        )

    def tell(need: CandleNeed, added: int) -> None:
        messages.print(f"{need.pair}: {added} new candles, {need.start:%Y-%m-%d} to {need.end:%Y-%m-%d} for {need.trades} trades")

    fetched = fetch_needs(needs, fetch=fetch, tell=tell)
    for pair, why in fetched.refused.items():
        messages.print(f"{pair}: not fetched: {why}")
    if fetched.refused:
        raise typer.Exit(CandleError.exit_code)


def check(directory: Annotated[Path, typer.Argument(help="Candle directory.")], *, as_json: JsonFlag = False) -> None:
    """Read all files of a directory, of any timeframe; report gaps, duplicates, spikes, ignored files, and unusable ones (exit code 3)."""
    findings, ignored = inspect_candle_files(directory)
    is_usable = all(found.problem is None for found in findings)
    if as_json:
        print_json({"directory": directory, "is_usable": is_usable, "files": list(findings), "ignored": list(ignored)})
    else:
        print_table(str(directory), _CHECK_COLUMNS, map(_check_cells, findings))
        for found in findings:
            if found.problem is not None:
                messages.print(f"unusable: {found.problem}")
        for file in ignored:
            messages.print(f"ignored: {file.path}: {file.reason}")
    if not findings:
        raise CandleError(f"{directory} contains no candle file: files are named like BTC_USDT_USDT-5m-futures.feather or BTC_USDT-5m.csv")
    if not is_usable:
        raise typer.Exit(CandleError.exit_code)


_CHECK_COLUMNS = ("file", "pair", "kind", "rows", "used", "duplicates", "gaps", "missing", "spikes", "flat", "")


def _check_cells(found: CandleFileFinding) -> tuple[object, ...]:
    report = found.report
    counts = (
        (None,) * 6
        if report is None
        else (report.rows_out, report.duplicates, report.gaps_count, report.missing_candles, report.spikes, report.flat)
    )
    state = "ok" if found.problem is None else "UNUSABLE"
    return Path(found.path).name, found.pair, found.kind, found.rows, *counts, state
