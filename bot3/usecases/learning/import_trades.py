"""Copy the closed trades of another program's database into the record once, for a bot that the platform does not sync."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from bot3.errors import SettingsError
from bot3.ports.foreign_trades import ForeignTradeReader, RefusedTrade
from bot3.ports.record import TradeRepository
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.trades import OrderPattern, RunMode
from bot3.usecases.learning.left_out import UnusedTrades, left_out_of_learning

Tell = Callable[[str, int, int], None]
"""Progress callback: receives a stage, how much of it is done, and the total."""

BATCH = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeImport:
    """Result of an import: how many closed trades were new to the record, changed in it, or in it already, and what was not imported.

    `open` is the number of open trades, which are not imported; `refused` are rows that are not valid trades, open or closed. `left_out`
    are imported trades that learning does not use because of their leverage or their orders, by reason. `without_orders` is the number of
    imported trades whose orders are unknown: learning uses them only if their rates match the candles. `first_close` and `last_close` are
    None if there is no closed trade.
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
    """Refuse an import of trades under a bot and run mode that are synced: the next full sync would delete the imported trades.

    Raises
    ------
    SettingsError
        If `synced` contains the bot and run mode.
    """
    if (bot, run_mode) in synced:
        raise SettingsError(
            f"{run_mode} trades of {bot} are synced from its own database, which would undo an import: choose another --bot or --run-mode"
        )


def import_trades(
    reader: ForeignTradeReader,
    recorded: TradeRepository,
    *,
    run_mode: RunMode,
    bins: LeverageBins,
    tell: Tell = lambda *_: None,
    batch: int = BATCH,
) -> TradeImport:
    """Insert or update all closed trades that a database contains at one instant, in batches, each in one transaction.

    A second import of the same trades changes nothing; after a failure, an import adds the missing batches. Trades that the record has and
    the database lacks are not changed.
    """
    found = reader.read_all()
    tell("trades", 0, len(found.closed))
    inserted = updated = unchanged = 0
    for start in range(0, len(found.closed), batch):
        outcome = recorded.upsert(found.closed[start : start + batch])
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
