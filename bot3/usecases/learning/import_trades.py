"""Copy a foreign database's closed trades into the record once: of a bot that no longer runs, or before it becomes a source."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from bot3.errors import SettingsError
from bot3.ports.foreign_trades import ForeignTradeReader, RefusedTrade
from bot3.ports.record import TradeRecord
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.trades import OrderPattern, RunMode
from bot3.usecases.learning.left_out import UnusedTrades, left_out_of_learning

Tell = Callable[[str, int, int], None]
"""Progress callback: receives a stage, how much of it is done, and the total."""

BATCH = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeImport:
    """Result of an import: rows of the record by result, and trades that were not imported.

    `open` trades have no close to learn from; `refused` rows cannot be trades. `left_out` trades are in the record, and nothing is learned
    from them; those `without_orders` are compared with their candles before anything is learned from them.
    """

    bot: str
    run_mode: RunMode
    inserted: int
    updated: int
    unchanged: int
    open: int
    refused: tuple[RefusedTrade, ...]
    left_out: tuple[UnusedTrades, ...]
    without_orders: int
    first_close: datetime | None
    last_close: datetime | None


def require_importable(bot: str, *, run_mode: RunMode, synced: Collection[tuple[str, RunMode]]) -> None:
    """Reject trades that a source of the platform owns: its next full sync would delete the copies.

    Raises
    ------
    SettingsError
        If the bot and run mode are synced; the text contains the remedy.
    """
    if (bot, run_mode) in synced:
        raise SettingsError(
            f"{run_mode} trades of {bot} are synced from its own database, which would undo an import: choose another --bot or --run-mode"
        )


def import_trades(
    reader: ForeignTradeReader,
    record: TradeRecord,
    *,
    run_mode: RunMode,
    bins: LeverageBins,
    tell: Tell = lambda *_: None,
    batch: int = BATCH,
) -> TradeImport:
    """Upsert all closed trades as of one instant; a second import changes nothing, and one after a failure continues.

    Trades that the record has and the database lacks are not changed: an import only adds.
    """
    found = reader.read_all()
    tell("trades", 0, len(found.closed))
    inserted = updated = unchanged = 0
    for start in range(0, len(found.closed), batch):
        outcome = record.upsert_trades(found.closed[start : start + batch])
        inserted, updated, unchanged = inserted + outcome.inserted, updated + outcome.updated, unchanged + outcome.unchanged
        tell("trades", min(start + batch, len(found.closed)), len(found.closed))
    return TradeImport(
        bot=reader.bot,
        run_mode=run_mode,
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
        open=len(found.open),
        refused=found.refused,
        left_out=left_out_of_learning(found, bins=bins),
        without_orders=sum(trade.order_pattern is OrderPattern.UNKNOWN for trade in found.closed),
        first_close=found.closed[0].close_date if found.closed else None,
        last_close=found.closed[-1].close_date if found.closed else None,
    )
