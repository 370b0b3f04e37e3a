"""`bot3 audit`: report what learned stops and targets would have earned on a freqtrade bot's trades; no other service is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bot3.cli.audit_page import audit_page
from bot3.cli.audit_tables import print_report
from bot3.cli.output import JsonFlag, messages, print_json
from bot3.cli.session import command_settings
from bot3.errors import SettingsError
from bot3.file_replacement import replace_file
from bot3.learning.parameters.learner import LearningSettings
from bot3.learning.replay.paths import ReplayCosts
from bot3.market.timeframes import timeframe_duration
from bot3.settings import Settings
from bot3.trading.exit_rules import NO_RULES
from bot3.trading.names import shown_name
from bot3.usecases.audit.audit import AuditSettings, Tell
from bot3.usecases.audit.audit import audit as audit_trades
from bot3.usecases.audit.report import AuditReport
from bot3.wiring import file_candles, open_backtest, open_foreign_trades, shown_address


def register(app: typer.Typer) -> None:
    """Add the command `audit` to the command line."""
    app.command()(audit)


def audit(
    *,
    candles: Annotated[Path, typer.Option(help="Candle directory in freqtrade's layout, such as user_data/data/binance.")],
    db: Annotated[
        str | None, typer.Option(help="freqtrade's database: tradesv3.sqlite, or postgresql://user@host/name. It is opened read-only.")
    ] = None,
    backtest: Annotated[
        Path | None,
        typer.Option(help="In place of --db: a backtest result of freqtrade, backtest-result-*.zip or .json. It is opened read-only."),
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Strategy of a backtest result that contains several.")] = None,
    funding: Annotated[list[Path] | None, typer.Option(help="Another directory to read funding rates from; may be repeated.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file that works without a network.")] = None,
    timeframe: Annotated[str, typer.Option(help="Timeframe of the candles for the replay.")] = "5m",
    split: Annotated[
        float,
        typer.Option(
            help="Share of the trades, by entry, before the split: learning uses these, judging those after it.", min=0.05, max=0.95
        ),
    ] = 0.6,
    judge_from: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Day of the split, instead of a share: trades entered on it or later are judged."),
    ] = None,
    stop_loss: Annotated[
        float | None, typer.Option(help="Static stop, ratio of the stake, below 0; default: BOT3_STOP_LOSS.", max=-1e-4)
    ] = None,
    take_profit: Annotated[
        float | None, typer.Option(help="Static target after fees, ratio of the stake; default: BOT3_TAKE_PROFIT.", min=1e-4)
    ] = None,
    fee: Annotated[
        float | None, typer.Option(help="Fee of each side, such as 0.0005; default: the median of the trades' own.", min=0.0, max=0.01)
    ] = None,
    source_timezone: Annotated[
        str, typer.Option(help="Time zone of the database's dates; UTC except for PostgreSQL in local time.")
    ] = "UTC",
    as_json: JsonFlag = False,
) -> None:
    """Replay a bot's trades: report what its static stop and target earned, and what learned ones would have earned on unseen trades."""
    learning = _learning_settings(command_settings(), timeframe=timeframe, stop_loss=stop_loss, take_profit=take_profit)
    first_judged = None if judge_from is None else judge_from.replace(tzinfo=UTC)
    wanted = AuditSettings(learning=learning, split=split, judge_from=first_judged, fee=fee)
    address = _address(db, backtest=backtest, strategy=strategy, source_timezone=source_timezone)
    if html is not None:
        _require_writable(html, db=address)
    held = file_candles(candles, timeframe=timeframe, funding_from=funding or ())
    if backtest is not None:
        source, name = open_backtest(backtest, strategy=strategy)
        with _progress() as tell:
            report = audit_trades(source, held, database=f"{backtest} ({shown_name(name)})", settings=wanted, tell=tell)
    else:
        with (
            open_foreign_trades(address, bot="freqtrade", source_timezone=source_timezone, is_any_mode=True) as reader,
            _progress() as tell,
        ):
            report = audit_trades(reader, held, database=shown_address(address), settings=wanted, tell=tell)
    if html is not None:
        _write(html, audit_page(report))
        messages.print(f"report written to {html}")
    if as_json:
        print_json(_without_bounds(report))
    else:
        print_report(report)


def _address(db: str | None, *, backtest: Path | None, strategy: str | None, source_timezone: str) -> str:
    """Return the database's address or the backtest result's path; raise SettingsError unless exactly one is set and its options fit."""
    if (db is None) == (backtest is None):
        raise SettingsError("set the source of the trades: either --db (a bot's database) or --backtest (a backtest result)")
    if backtest is None and strategy is not None:
        raise SettingsError("--strategy selects a strategy of a backtest result: use it together with --backtest")
    if backtest is not None and source_timezone != "UTC":
        raise SettingsError("--source-timezone is valid for databases only: the dates of a backtest result are in UTC")
    return str(backtest) if db is None else db


def _learning_settings(settings: Settings, *, timeframe: str, stop_loss: float | None, take_profit: float | None) -> LearningSettings:
    timeframe_duration(timeframe)
    # The giveback rule is off: freqtrade bots have no such exit rule, but they can move a stop.
    return LearningSettings(
        timeframe=timeframe,
        costs=ReplayCosts(
            taker_fee=settings.taker_fee,
            maker_fee=settings.maker_fee,
            slippage=settings.slippage,
            stop_slippage=settings.stop_slippage,
        ),
        exit_rules=replace(NO_RULES, break_even_activation_sigma=settings.exit_rules.break_even_activation_sigma),
        bins=settings.bins,
        static_stop_loss=settings.stop_loss if stop_loss is None else stop_loss,
        static_take_profit=settings.take_profit if take_profit is None else take_profit,
    )


def _without_bounds(report: AuditReport) -> dict[str, Any]:
    """Return a report as a dictionary; the bounds of parameter rows based on fewer than `MIN_DAYS` days are None."""
    rows = [asdict(row) | ({} if report.has_interval(row) else {"lower_bound": None, "upper_bound": None}) for row in report.parameters]
    return {item.name: getattr(report, item.name) for item in fields(report)} | {"parameters": rows, "is_learned": report.is_learned}


def _require_writable(html: Path, *, db: str) -> None:
    """Raise SettingsError if the HTML page cannot be written or would overwrite the source; called before the audit starts."""
    # The address may carry options: sqlite:///tradesv3.sqlite?timeout=5
    database = db.removeprefix("sqlite:///").partition("?")[0] if "://" in db else db
    if html.resolve() == Path(database).resolve():
        raise SettingsError(f"--html {html} is the source of the trades itself: use another file")
    if html.is_dir() or not os.access(html.parent, os.W_OK):
        raise SettingsError(f"--html {html} cannot be written: use a file in an existing, writable directory")


def _write(html: Path, text: str) -> None:
    """Write the page atomically: the file contains its old contents or the whole page. Raises SettingsError if it cannot be written."""
    try:
        replace_file(html, text.encode())
    except OSError as error:
        raise SettingsError(f"--html {html} cannot be written ({error.strerror}): use another file") from error


@contextmanager
def _progress() -> Iterator[Tell]:
    """Yield a callback that shows the progress of the audit on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=messages, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield tell
