"""Candles and funding of the traded pairs that the learner has loaded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import CandleError
from bot3.learning.replay.candle_arrays import CandleArrays, candle_arrays
from bot3.learning.replay.funding import changed_payments, funding_missing, has_funding, is_funding_known
from bot3.learning.replay.replay_frame import ReplayFrame
from bot3.learning.replay.trade_table import GRACE_US, RETRY_US, TradeTable
from bot3.market.instants import instant_of, instant_us, microseconds


class LoadedCandles:
    """Candles and funding by pair: candles are appended, funding is replaced, because a payment may become known late."""

    def __init__(self, frame: ReplayFrame) -> None:
        self._frame = frame
        self._raw: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {}
        self._arrays: dict[str, CandleArrays] = {}
        self._funding_looked_us = 0

    @property
    def arrays(self) -> dict[str, CandleArrays]:
        """Return the arrays by pair, for pairs with candles."""
        return self._arrays

    def until(self, pair: str) -> datetime | None:
        """Return the close time of the last candle of a pair; None if it has no candle."""
        loaded = self._arrays.get(pair)
        if loaded is None or not len(loaded):
            return None
        return instant_of(int(loaded.open_us[-1]) + self._frame.candle_us)

    def add(self, pair: str, candles: pd.DataFrame, funding: pd.DataFrame) -> NDArray[np.int64]:
        """Append a pair's candles and replace its funding; return the times (microseconds since 1970) of the payments that changed.

        The array is empty for the pair's first funding.

        Raises
        ------
        CandleError
            If candles or payments are not in order with unique times, or candles do not follow the loaded ones.
        """
        _require_increasing(candles["open_time"], f"candles of {pair}")
        _require_increasing(funding["time"], f"funding of {pair}")
        before, paid = self._raw.get(pair, (None, None))
        if before is not None and len(before):
            if len(candles) and candles["open_time"].iloc[0] <= before["open_time"].iloc[-1]:
                raise CandleError(f"candles of {pair} from {candles['open_time'].iloc[0]} on are already loaded: read only later ones")
            if not len(candles) and paid is not None and funding.equals(paid):
                return np.zeros(0, dtype=np.int64)
            candles = pd.concat([before, candles], ignore_index=True) if len(candles) else before
        self._raw[pair] = (candles, funding)
        if len(candles):
            self._arrays[pair] = candle_arrays(candles, funding, horizon_candles=self._frame.horizon_candles)
        return np.zeros(0, dtype=np.int64) if paid is None else changed_payments(paid, funding)

    def look_for_funding(self, *, now: datetime) -> None:
        """Store a market time as that of the last search for missing funding, if an hour has passed since the last one."""
        if self._is_look_due(instant_us(now)):
            self._funding_looked_us = instant_us(now)

    def pairs_without_funding(self, table: TradeTable, *, now: datetime) -> set[str]:
        """Return the pairs with a replay whose horizon ended within the last day and lacks funding; none within an hour of a search.

        A search is noted by `look_for_funding`.
        """
        if not self._is_look_due(instant_us(now)):
            return set()
        found = set()
        for pair, candles in self._arrays.items():
            _, start_us, end_us = table.horizons(pair)
            recent = end_us > instant_us(now) - GRACE_US
            if has_funding(pair) and not is_funding_known(candles.funding_us, start_us[recent], end_us[recent]).all():
                found.add(pair)
        return found

    def funding_missing_share(self, table: TradeTable) -> float:
        """Return the share of replayed trades with unknown funding in their horizon, whose rates count as 0; 0.0 without trades."""
        rows = table.observations(np.arange(len(table)))
        if not len(rows):
            return 0.0
        opened, ends, without = table.fact("open_us")[rows], table.due_us(rows) - self._frame.candle_us, 0
        for pair, places in table.by_pair(rows):
            times = self._arrays[pair].funding_us if pair in self._arrays else np.zeros(0, dtype=np.int64)
            without += funding_missing(pair, times, opened[places], ends[places])
        return without / len(rows)

    def _is_look_due(self, now_us: int) -> bool:
        return now_us - self._funding_looked_us >= RETRY_US


def _require_increasing(times: pd.Series[Any], what: str) -> None:
    if len(times) > 1 and not bool((np.diff(microseconds(times)) > 0).all()):
        raise CandleError(f"{what} must be in order with unique times: repair their source")
