"""Compare a bot's own closes with those of the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from bot3.trading.trades import RunMode

_KEY = ["trade_id", "open_date"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Closes that only one side has: `missing` ones are not in the record, `surplus` ones only there."""

    missing: int = 0
    surplus: int = 0


NO_GAP = Gap()


def gap_of_closes(own: pd.DataFrame, recorded: pd.DataFrame, *, until: datetime) -> Gap:
    """Return how many closes before an instant differ, trade by trade; either side may have any later ones.

    Parameters
    ----------
    own, recorded : DataFrame
        Closes of one bot and run mode with the columns trade_id, open_date, close_date.
    until : datetime
        Closes since then may not be synced yet, and do not hide older ones.
    """
    both = own[[*_KEY, "close_date"]].merge(recorded[[*_KEY, "close_date"]], on=_KEY, how="outer", indicator=True)
    missing = (both["_merge"] == "left_only") & (both["close_date_x"] < until)
    surplus = (both["_merge"] == "right_only") & (both["close_date_y"] < until)
    return Gap(missing=int(missing.sum()), surplus=int(surplus.sum()))


def gap_of_counts(closed: int, recorded: int) -> Gap:
    """Return the difference of two counts of the same closes."""
    return Gap(missing=max(closed - recorded, 0), surplus=max(recorded - closed, 0))


def recorded_count(counts: pd.DataFrame, *, bot: str, run_mode: RunMode) -> int:
    """Return how many closed trades of a bot and run mode the record contains."""
    found = counts[(counts["bot"] == bot) & (counts["run_mode"] == run_mode.value)]
    return int(found["trades"].sum())


def recorded_closes(trades: pd.DataFrame, *, bot: str, run_mode: RunMode) -> pd.DataFrame:
    """Return the rows of a bot and run mode of the record's trade frame."""
    return trades[(trades["bot"] == bot) & (trades["run_mode"] == run_mode.value)]
