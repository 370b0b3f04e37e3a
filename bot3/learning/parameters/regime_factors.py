"""Learn a factor on the stop and one on the target for each regime, from replays and shrunk towards 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.parameters.rows import best_cell
from bot3.learning.pooling.empirical_bayes import own_weight, pooling_strength
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.replay import GroupSums
from bot3.learning.validity import FACTOR_BOUNDS
from bot3.market.regimes import Regime

NO_FACTORS: dict[Regime, tuple[float, float]] = dict.fromkeys(Regime, (1.0, 1.0))


def regimes_at(open_us: NDArray[np.int64], regimes: pd.DataFrame) -> NDArray[np.int64]:
    """Return the index in `Regime` of the regime known at each entry; -1 before the first known one.

    Parameters
    ----------
    regimes : DataFrame
        Columns known_at (datetime64[us, UTC], increasing) and regime.
    """
    known_us = regimes["known_at"].to_numpy(dtype="datetime64[us]").astype(np.int64)
    places = {str(regime): place for place, regime in enumerate(Regime)}
    codes = np.array([-1, *(places[str(name)] for name in regimes["regime"])], dtype=np.int64)
    found: NDArray[np.int64] = codes[np.searchsorted(known_us, open_us, side="right")]
    return found


def regime_factors(
    sums: GroupSums, *, n_eff: NDArray[np.float64], surface: NDArray[np.float64], cell: tuple[int, int], grid: ExitGrid
) -> Mapping[Regime, tuple[float, float]]:
    """Compute for each regime the factors on stop and target; 1 without evidence of a difference.

    Parameters
    ----------
    sums : GroupSums
        One group per regime, in the order of `Regime`.
    n_eff : array of shape (regimes,)
        Effective number of observations of each regime.
    surface, cell
        Estimated expectancy of every stop and target for all trades, and the indices of the best stop and target.
    """
    groups = [sums.group(place) for place in range(len(Regime))]
    strength = pooling_strength([(own, float(n), "root") for own, n in zip(groups, n_eff, strict=True)])
    factors = dict(NO_FACTORS)
    for regime, own, n in zip(Regime, groups, n_eff, strict=True):
        weight = own_weight(float(n), strength)
        if weight > 0.0 and own.n:
            best = best_cell(weight * own.mean + (1.0 - weight) * surface, np.ones(grid.shape, dtype=np.bool_))
            ratios = (grid.stops[best[0]] / grid.stops[cell[0]], grid.targets[best[1]] / grid.targets[cell[1]])
            factors[regime] = (_factor(ratios[0], weight), _factor(ratios[1], weight))
    return factors


def _factor(ratio: float, weight: float) -> float:
    # With a flat optimum the choice jumps between cells, so the factor itself is shrunk as well.
    return float(np.clip(ratio**weight, *FACTOR_BOUNDS))
