"""Utility of a stop and target: the expected growth of the wallet's logarithm by a trade, sized as the daemon sizes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.replay.paths import ReplayCosts
from bot3.trading.profiles import SizeLimits
from bot3.trading.sizing import half_kelly_ratio, risk_ratio

Number = float | NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A size and its utility: `ratio` is the notional as a ratio of the wallet, `utility` the expected growth of the wallet's logarithm."""

    ratio: NDArray[np.float64]
    utility: NDArray[np.float64]


def sized(*, mean: Number, deviation: Number, worst: Number, leverage: Number, limits: SizeLimits) -> Sized:
    """Return size and utility of trades with a mean net move, its standard deviation and their worst net move (below 0), broadcast.

    The notional is the least of the risk target, half Kelly at the mean and the caps. A setting that loses has no Kelly size: it is
    compared at the size of its risk, so that less loss for the same risk is better.

    Notes
    -----
    E log(1 + q x net) to second order, q E[net] - q^2 E[net^2] / 2: the moves of a trade are small against the wallet.
    """
    expected = np.asarray(mean, dtype=np.float64)
    kelly = np.where(expected > 0.0, half_kelly_ratio(expectancy=expected, deviation=deviation), np.inf)
    caps = np.minimum(limits.stake_ratio * np.asarray(leverage), limits.notional_ratio)
    ratio = np.minimum(np.minimum(risk_ratio(deviation=deviation, worst=worst, limits=limits), kelly), caps)
    utility = ratio * expected - 0.5 * ratio**2 * (np.asarray(deviation) ** 2 + expected**2)
    return Sized(ratio=ratio, utility=utility)


def worst_moves(stops: Number, *, sigma: Number, costs: ReplayCosts) -> NDArray[np.float64]:
    """Return the net move, below 0, of a trade that its stop ends without a gap, for stops as distances in units of the volatility."""
    moves: NDArray[np.float64] = -np.asarray(stops, dtype=np.float64) * np.asarray(sigma) - costs.round_trip - costs.stop_slippage
    return moves
