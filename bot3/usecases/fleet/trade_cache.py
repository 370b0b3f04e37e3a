"""Cache closed trades for pages, and read published values together with the reason why one is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

import pandas as pd

from bot3.errors import InvalidLearningError, LearningError
from bot3.ports.record import PlatformRecord
from bot3.ports.trades import TradeReader
from bot3.trading.trades import RunMode, Trade

ALL_MODES = tuple(RunMode)
CLOSE_COLUMNS = (
    "trade_id", "pair", "is_short", "leverage", "open_date", "close_date", "enter_tag", "exit_reason",
    "stake_amount", "close_profit", "close_profit_abs",
)  # fmt: skip

_KEY = ["bot", "run_mode", "trade_id", "open_date"]
_REREAD = timedelta(hours=6)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known(Generic[_Value]):
    """A published value, or None with the reason in `problem`; `is_refused` is True if one is published but has values out of bounds."""

    value: _Value | None
    problem: str = ""
    is_refused: bool = False


def known(read: Callable[[], _Value]) -> Known[_Value]:
    """Call a reader of a published value; return the value, or the text of its LearningError. Other errors are not caught."""
    try:
        return Known(value=read())
    except LearningError as error:
        return Known(value=None, problem=str(error), is_refused=isinstance(error, InvalidLearningError))


class RecordedTrades:
    """Cache of all closed trades of the record, updated when the record's revision has changed.

    Reading 50,000 rows takes most of a second, too long for a page: only rows that changed since the last call are read. All rows are read
    again if a trade was deleted.
    """

    def __init__(self, record: PlatformRecord) -> None:
        self._record = record
        self._lock = Lock()
        self._revision = -1
        self._frame = pd.DataFrame()
        self._counts = pd.DataFrame()

    def frame(self) -> tuple[pd.DataFrame, int]:
        """Return the record's trade frame (all bots and run modes, oldest close first) and its revision; callers must not change it."""
        with self._lock:
            self._refresh()
            return self._frame, self._revision

    def counts(self) -> pd.DataFrame:
        """Return `TradeRepository.counts`: the numbers of closed trades by bot and run mode."""
        with self._lock:
            self._refresh()
            return self._counts

    def _refresh(self) -> None:
        # Read the revision first: what is committed in between is read twice rather than never.
        revision = self._record.revision()
        if revision == self._revision:
            return
        counts = self._record.trades.counts()
        frame = self._merged() if self._revision >= 0 else self._read()
        if len(frame) != int(counts["trades"].sum()):  # a deleted trade is not among the changed rows
            frame, counts = self._read(), self._record.trades.counts()
        self._frame, self._counts, self._revision = frame, counts, revision

    def _read(self) -> pd.DataFrame:
        return self._record.trades.frame(as_of=None, run_modes=ALL_MODES)

    def _merged(self) -> pd.DataFrame:
        changed = self._record.trades.frame(as_of=None, run_modes=ALL_MODES, since_revision=self._revision)
        if changed.empty:
            return self._frame
        both = pd.concat([self._frame, changed], ignore_index=True) if len(self._frame) else changed
        return both.drop_duplicates(_KEY, keep="last").sort_values("close_date", kind="stable", ignore_index=True)


class BotCloses:
    """Cache of the closed trades of one bot's own store, updated when another connection has committed to it.

    An update reads the trades of the last six hours before the newest close again, or all trades if the number then differs.
    """

    def __init__(self, reader: TradeReader) -> None:
        self._reader = reader
        self._lock = Lock()
        self._token = ""
        self._frame = close_frame([])

    def frame(self) -> pd.DataFrame:
        """Return closed trades with the columns `CLOSE_COLUMNS`, oldest close first; callers must not change the frame."""
        with self._lock:
            token = self._reader.change_token()
            if token != self._token:
                self._frame, self._token = self._read(), token
            return self._frame

    def _read(self) -> pd.DataFrame:
        if len(self._frame):
            since: datetime = self._frame["close_date"].iloc[-1].to_pydatetime() - _REREAD
            kept = self._frame[self._frame["close_date"] < since]
            fresh = close_frame(self._reader.closed_trades(closed_since=since))
            frame = pd.concat([kept, fresh], ignore_index=True) if len(kept) and len(fresh) else (fresh if len(fresh) else kept)
            if len(frame) == self._reader.count_closed(closed_since=None):
                return frame
        return close_frame(self._reader.closed_trades(closed_since=None))


def close_frame(trades: list[Trade]) -> pd.DataFrame:
    """Return closed trades as a frame with the columns `CLOSE_COLUMNS`, in the given order."""
    frame = pd.DataFrame([[getattr(trade, name) for name in CLOSE_COLUMNS] for trade in trades], columns=list(CLOSE_COLUMNS))
    dates = {name: frame[name].astype("datetime64[us, UTC]") for name in ("open_date", "close_date")}
    numbers = {name: frame[name].astype("float64") for name in ("leverage", "stake_amount", "close_profit", "close_profit_abs")}
    return frame.assign(**dates, **numbers)
