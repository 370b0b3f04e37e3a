"""Fill in the horizons of trades whose source states none, from the source's earlier trades."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from bot3.adapters.sql.columns import read_columns
from bot3.adapters.sql.record.tables import synced_trades
from bot3.ports.trade_columns import TradeColumns
from bot3.trading.horizons import horizons_of_source

_KEY = ("trade_id", "open_date_us")


def with_horizons(connection: Connection, columns: TradeColumns, places: NDArray[np.int64]) -> TradeColumns:
    """Return trades of which those at `places` have a horizon: the stated one, else that of their source (`horizons_of_source`).

    A source is a bot's enter tag in a run mode. Its trades are those given, and those of the record that are not among them and not
    deleted. The horizons of the trades at other places are returned unchanged.
    """
    horizons = columns.arrays["horizon"].copy()
    unstated = places[[name is None for name in horizons[places].tolist()]]
    bots, run_modes = columns.arrays["bot"], columns.arrays["run_mode"]
    for bot, run_mode in sorted(set(zip(bots[unstated].tolist(), run_modes[unstated].tolist(), strict=True))):
        is_own = (bots == bot) & (run_modes == run_mode)
        tags, open_us, close_us = _trades_of(connection, columns, np.flatnonzero(is_own), bot=bot, run_mode=run_mode)
        asked = unstated[is_own[unstated]]
        asked_tags = columns.arrays["enter_tag"][asked]
        for tag in set(asked_tags.tolist()):
            of_tag, rows = tags == tag, asked[asked_tags == tag]
            horizons[rows] = horizons_of_source(columns.arrays["open_date_us"][rows], open_us=open_us[of_tag], close_us=close_us[of_tag])
    return TradeColumns(arrays={**columns.arrays, "horizon": horizons})


def _trades_of(
    connection: Connection, columns: TradeColumns, own: NDArray[np.int64], *, bot: str, run_mode: str
) -> tuple[NDArray[np.object_], NDArray[np.int64], NDArray[np.int64]]:
    """Return enter tags, open and close times of a bot's trades in a run mode: the given ones, then the record's others."""
    table = synced_trades.c
    query = sa.select(table.trade_id, table.open_date_us, table.close_date_us, table.enter_tag)
    found = read_columns(connection, query.where(table.bot == bot, table.run_mode == run_mode, ~table.deleted))
    given = {name: columns.arrays[name][own] for name in (*_KEY, "close_date_us", "enter_tag")}
    keys = set(zip(*(given[name].tolist() for name in _KEY), strict=True))
    is_other = np.array([key not in keys for key in zip(*(found[name].tolist() for name in _KEY), strict=True)], dtype=np.bool_)
    tags, opened, closed = (np.concatenate([given[name], found[name][is_other]]) for name in ("enter_tag", "open_date_us", "close_date_us"))
    return tags, opened, closed
