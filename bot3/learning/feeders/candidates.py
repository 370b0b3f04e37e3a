"""Candidates: the candles on which a feeder considers a trade in a direction, with the model's inputs and the trade's expected cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.feeders.rules import rule_rows
from bot3.learning.feeders.specs import FeederSpec
from bot3.market.indicators import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Candidates of one direction among n rows of features.

    Parameters
    ----------
    rows : int64 array of shape (m,)
        Indices of the rows that are considered.
    inputs : float32 of shape (m, features)
        The model's inputs: the features, for a short mirrored, so that one model serves both directions.
    sigma, cost : float64 of shape (m,)
        Expected standard deviation of the log price over the horizon; expected costs of the trade, ratio of the price: fees, slippage, and
        the funding of the last week continued over the horizon where it is known.
    """

    rows: NDArray[np.int64]
    inputs: NDArray[np.float32]
    sigma: Floats
    cost: Floats


def candidates(spec: FeederSpec, features: NDArray[np.float32], *, is_short: bool, round_trip: float) -> Candidates:
    """Select a feeder's candidates of one direction.

    Parameters
    ----------
    features : float32 of shape (n, features of the spec's layout)
        Rows of features; rows of the warm-up (NaN) are never candidates.
    round_trip : float
        Fees and slippage of an entry and an exit, ratio of the price.
    """
    layout = spec.layout
    rows = np.flatnonzero(rule_rows(spec.rule, features, layout, is_short=is_short))
    if not len(rows):
        return Candidates(rows=rows, inputs=features[:0], sigma=np.zeros(0), cost=np.zeros(0))
    chosen = features[rows]
    sigma = chosen[:, layout.index("daily_sigma")].astype(np.float64) * np.sqrt(spec.horizon_days)
    cost = np.full(len(rows), round_trip)
    if "funding_7d" in layout.names:
        side = -1.0 if is_short else 1.0
        cost += side * np.nan_to_num(chosen[:, layout.index("funding_7d")].astype(np.float64)) * 1e-4 * spec.horizon_days
    return Candidates(rows=rows, inputs=layout.mirror.apply(chosen) if is_short else chosen, sigma=sigma, cost=cost)
