"""Model inputs at the close of an hour that compare a pair with all pairs: ranks, the market's and Bitcoin's moves, and breadth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bot3.market.hourly_features import OWN_NAMES, OWN_ODD, OWN_SWAPPED
from bot3.market.mirrors import mirror_of

LEAST_RANKED = 8
"""Smallest number of pairs with a value at which pairs are ranked."""

CROSS_NAMES = (
    "rank_trend_7d",
    "rank_range_20d",
    "rank_volatility",
    "rank_volume",
    "relative_7d",
    "market_1d",
    "market_7d",
    "market_28d",
    "bitcoin_1d",
    "bitcoin_7d",
    "bitcoin_28d",
    "breadth",
)
"""Features of a pair among all pairs, in order. Ranks are from -0.5 (lowest) to 0.5."""

HOURLY_NAMES = (*OWN_NAMES, *CROSS_NAMES)
HOURLY_MIRROR = mirror_of(
    HOURLY_NAMES,
    odd={*OWN_ODD, *CROSS_NAMES} - {"rank_volatility", "rank_volume"},
    swapped=OWN_SWAPPED,
)

_MOVES = ("move_24h", "trend_7d", "trend_28d")
_USED = (*_MOVES, "daily_sigma", "above_high_20d", "below_low_20d", "volume_24h")


def cross_features(own: NDArray[np.float32], pairs: Sequence[str]) -> NDArray[np.float32]:
    """Compute them at every time from the pairs' own features at that time.

    Parameters
    ----------
    own : float32 of shape (times, pairs, len(OWN_NAMES))
        A pair without a row at a time is NaN there.
    pairs : sequence of str
        The pairs, in order; Bitcoin is the one whose base currency is BTC.

    Returns
    -------
    float32 of shape (times, pairs, len(CROSS_NAMES))
        Ranks are NaN with fewer than `LEAST_RANKED` pairs, Bitcoin's moves without Bitcoin, everything for a pair without a row.
    """
    values = {name: own[:, :, OWN_NAMES.index(name)].astype(np.float64) for name in _USED}
    present = ~np.isnan(values["daily_sigma"])
    ranked = (
        values["trend_7d"],
        values["above_high_20d"] - values["below_low_20d"],
        values["daily_sigma"],
        values["volume_24h"],
    )
    bitcoin = next((index for index, pair in enumerate(pairs) if pair.partition("/")[0] == "BTC"), None)
    absent = np.full(len(own), np.nan)
    market = [_mean(values[name]) for name in _MOVES]
    columns = [
        *(_ranks(each) for each in ranked),
        values["trend_7d"] - market[1][:, None],
        *(each[:, None] for each in market),
        *((absent if bitcoin is None else values[name][:, bitcoin])[:, None] for name in _MOVES),
        _mean(np.sign(values["trend_28d"]))[:, None],
    ]
    out = np.full((*present.shape, len(CROSS_NAMES)), np.nan, dtype=np.float32)
    for index, column in enumerate(columns):
        out[:, :, index] = np.where(present, column, np.nan)
    return out


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over pairs of the values that exist, NaN if there is none."""
    count = (~np.isnan(values)).sum(axis=1)
    mean: NDArray[np.float64] = np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)
    return mean


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each value's rank among the pairs; equal values share the mean of their ranks."""
    count = (~np.isnan(values)).sum(axis=1, keepdims=True)
    below = (values[:, :, None] > values[:, None, :]).sum(axis=2)
    equal = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    ranks = (below + 0.5 * equal) / np.maximum(count, 1) - 0.5
    ranked: NDArray[np.float64] = np.where(np.isnan(values) | (count < LEAST_RANKED), np.nan, ranks)
    return ranked
