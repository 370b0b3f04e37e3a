"""`bot3 import`: copy the closed trades of another program's database into the record, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bot3.cli.output import JsonFlag, messages, print_json
from bot3.cli.session import seeded_platform
from bot3.trading.trades import RunMode
from bot3.usecases.learning.import_trades import Tell, TradeImport, require_importable
from bot3.usecases.learning.import_trades import import_trades as copy_trades
from bot3.wiring import open_foreign_trades
from bot3.wiring.fleet import require_bucket, require_name


class ForeignMode(StrEnum):
    """Run modes that trades of another program can have."""

    PAPER = "paper"
    LIVE = "live"


def register(app: typer.Typer) -> None:
    """Add the command `import` to the command line."""
    app.command("import")(import_trades)


def import_trades(
    *,
    bot: Annotated[str, typer.Option(help="Name of the bot in the record.")],
    db: Annotated[str, typer.Option(help="freqtrade's database: tradesv3.sqlite, or postgresql://user@host/name. It is opened read-only.")],
    run_mode: Annotated[
        ForeignMode | None, typer.Option(help="Run mode of the trades: paper is freqtrade's dry run [derived from its order ids].")
    ] = None,
    source_timezone: Annotated[
        str, typer.Option(help="Time zone of the database's dates; UTC except for PostgreSQL in local time.")
    ] = "UTC",
    as_json: JsonFlag = False,
) -> None:
    """Copy another program's closed trades into the record; a repeat changes nothing. For bots that still trade, use the fleet file."""
    require_name(bot)
    asked = None if run_mode is None else RunMode(run_mode)
    with seeded_platform(read_only=False) as platform:
        require_bucket(platform.settings, bot)
        synced = {(source.reader.bot, source.run_mode) for source in platform.sources()}
        with open_foreign_trades(db, bot=bot, run_mode=asked, source_timezone=source_timezone) as reader, _progress() as tell:
            mode = reader.run_mode
            require_importable(bot, run_mode=mode, synced=synced)
            done = copy_trades(reader, platform.record.trades, run_mode=mode, bins=platform.settings.bins, tell=tell)
        is_learned_from = mode in platform.settings.run_modes
    if as_json:
        print_json({"import": done, "is_learned_from": is_learned_from})
        return
    _say(done, is_learned_from=is_learned_from)


def _say(done: TradeImport, *, is_learned_from: bool) -> None:
    messages.print(
        f"{done.bot} {done.run_mode}: {done.inserted} new, {done.updated} changed, {done.unchanged} unchanged; "
        f"left out {done.open} open and {len(done.refused)} refused"
    )
    for unused in done.left_out:
        messages.print(f"  {unused.count} are in the record but left out of learning: {unused.reason}")
    for row in done.refused[:20]:
        messages.print(f"  refused {row.trade_id} {row.pair}: {row.reason} {row.detail}".rstrip())
    if len(done.refused) > 20:
        messages.print(f"  and {len(done.refused) - 20} more: --json lists them all")
    if done.without_orders:
        messages.print(
            f"{done.without_orders} trades have no orders in the database: nothing is learned from them if most of their rates are outside "
            "the candles of their entries (several entries, another time zone, or another market)"
        )
    if not is_learned_from:
        messages.print(f"nothing is learned from {done.run_mode} trades yet: add {done.run_mode} to BOT3_LEARN_FROM")


@contextmanager
def _progress() -> Iterator[Tell]:
    """Yield a callback that shows the progress of the import on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=messages, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield tell
