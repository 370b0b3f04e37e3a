"""Compare the closed trades in a bot's own database with those in the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from bot3.trading.trades import RunMode

_KEY = ["trade_id", "open_date"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Numbers of closed trades that only one side has: `missing` are not in the record, `surplus` are only in the record."""

    missing: int = 0
    surplus: int = 0


NO_GAP = Gap()


def gap_of_closes(own: pd.DataFrame, recorded: pd.DataFrame, *, until: datetime) -> Gap:
    """Return how many trades that closed before an instant are in only one of two frames, compared by trade_id and open_date.

    Parameters
    ----------
    own, recorded : DataFrame
        Closed trades of one bot and run mode with the columns trade_id, open_date, close_date: of its own database, and of the record.
    until : datetime
        Exclusive end: later closes may not be synced yet and are not counted.
    """
    both = own[[*_KEY, "close_date"]].merge(recorded[[*_KEY, "close_date"]], on=_KEY, how="outer", indicator=True)
    missing = (both["_merge"] == "left_only") & (both["close_date_x"] < until)
    surplus = (both["_merge"] == "right_only") & (both["close_date_y"] < until)
    return Gap(missing=int(missing.sum()), surplus=int(surplus.sum()))


def gap_of_counts(closed: int, recorded: int) -> Gap:
    """Return the difference between the number of closed trades in a bot's own database and their number in the record."""
    return Gap(missing=max(closed - recorded, 0), surplus=max(recorded - closed, 0))


def recorded_count(counts: pd.DataFrame, *, bot: str, run_mode: RunMode) -> int:
    """Return the number of closed trades of a bot and run mode in the record, from `TradeRepository.counts`; 0 if it has none."""
    found = counts[(counts["bot"] == bot) & (counts["run_mode"] == run_mode.value)]
    return int(found["trades"].sum())


def recorded_closes(trades: pd.DataFrame, *, bot: str, run_mode: RunMode) -> pd.DataFrame:
    """Return the rows of one bot and run mode from the record's trade frame."""
    return trades[(trades["bot"] == bot) & (trades["run_mode"] == run_mode.value)]
