"""Signals and regimes of a backtest as arrays and lists, selected by time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pandas as pd

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_of, instant_us, microseconds
from bot3.market.regimes import Regime
from bot3.trading.horizons import Horizon
from bot3.trading.signals import Signal


def signals_between(signals: pd.DataFrame, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the rows of a signal frame with start <= known_at < end.

    Raises
    ------
    InvalidTradeError
        If the signals are not sorted by known_at.
    """
    known_us = microseconds(signals["known_at"])
    if bool((np.diff(known_us) < 0).any()):
        raise InvalidTradeError("signals are not in order: sort them by known_at")
    low, high = np.searchsorted(known_us, [instant_us(start), instant_us(end)], side="left")
    return signals.iloc[low:high]


def signals_of_directions(signals: pd.DataFrame, directions: frozenset[str]) -> pd.DataFrame:
    """Return the signals of the given directions ("long", "short")."""
    shorts = signals["is_short"].to_numpy(dtype=np.bool_)
    return signals[(shorts & ("short" in directions)) | (~shorts & ("long" in directions))]


class SignalTable:
    """Rows of a signal frame (`ports.signals`) as lists, because a backtest reads them one by one."""

    def __init__(self, signals: pd.DataFrame) -> None:
        self.known_us = microseconds(signals["known_at"])
        self.open_us = microseconds(signals["candle_open_time"])
        self.pairs: list[str] = signals["pair"].tolist()
        self.shorts: list[bool] = signals["is_short"].tolist()
        self.confidences: list[float] = signals["confidence"].tolist()
        self.feeders: list[str] = signals["feeder_id"].tolist()
        self.digests: list[str] = signals["model_digest"].tolist()
        self.horizons: list[str] = signals["horizon"].tolist()

    def __len__(self) -> int:
        return len(self.pairs)

    def closes(self) -> Iterator[tuple[int, int, int]]:
        """Yield (known_us, first row, row after the last) for each instant at which signals are known, oldest first."""
        starts = np.flatnonzero(np.diff(self.known_us, prepend=-1))
        bounds = [*starts.tolist(), len(self)]
        instants = self.known_us[starts].tolist()
        yield from zip(instants, bounds[:-1], bounds[1:], strict=True)

    def signal(self, row: int) -> Signal:
        """Return one row as a signal."""
        return Signal(
            feeder_id=self.feeders[row],
            pair=self.pairs[row],
            is_short=self.shorts[row],
            confidence=self.confidences[row],
            candle_open_time=instant_of(int(self.open_us[row])),
            known_at=instant_of(int(self.known_us[row])),
            model_digest=self.digests[row],
            horizon=Horizon(self.horizons[row]),
        )


class RegimeLine:
    """Finds the regime in force at a time.

    Parameters
    ----------
    regimes : DataFrame or None
        Columns known_at (increasing) and regime.
    """

    def __init__(self, regimes: pd.DataFrame | None) -> None:
        is_empty = regimes is None or regimes.empty
        self._known_us = np.array([], dtype=np.int64) if regimes is None or is_empty else microseconds(regimes["known_at"])
        self._regimes = [] if regimes is None or is_empty else [Regime(str(name)) for name in regimes["regime"]]

    def at(self, at_us: int) -> Regime | None:
        """Return the newest regime known at an instant; None before the first one, or without a frame."""
        index = int(np.searchsorted(self._known_us, at_us, side="right")) - 1
        return self._regimes[index] if index >= 0 else None
