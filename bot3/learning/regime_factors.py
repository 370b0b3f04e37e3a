"""How stop and target shift with the regime: learned by replay, pooled towards 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.grids import ExitGrid
from bot3.learning.parameter_rows import LearnedGroup, best_cell
from bot3.learning.pooling import effective_n, own_weight, pooling_strength
from bot3.learning.replay import ReplayedTrades, cell_outcomes, sum_cells
from bot3.market.regimes import Regime

FACTOR_BOUNDS = (0.5, 2.0)
NO_FACTORS: dict[Regime, tuple[float, float]] = dict.fromkeys(Regime, (1.0, 1.0))


def regimes_at(open_us: NDArray[np.int64], regimes: pd.DataFrame) -> NDArray[np.object_]:
    """Return the regime that was known at each entry; "" before the first one.

    Parameters
    ----------
    regimes : DataFrame
        Columns known_at (datetime64[us, UTC], increasing) and regime.
    """
    known_us = regimes["known_at"].to_numpy(dtype="datetime64[us]").astype(np.int64)
    names = np.concatenate(([""], regimes["regime"].astype(str).to_numpy(dtype=object)))
    found: NDArray[np.object_] = names[np.searchsorted(known_us, open_us, side="right")]
    return found


def regime_factors(
    replayed: ReplayedTrades,
    *,
    rows: NDArray[np.int64],
    open_us: NDArray[np.int64],
    regimes: pd.DataFrame | None,
    root: LearnedGroup,
    grid: ExitGrid,
) -> Mapping[Regime, tuple[float, float]]:
    """Return for each regime the factor on the stop and on the target, 1 where the data say nothing.

    Parameters
    ----------
    rows, open_us : arrays of shape (N,)
        The observations and their entries.
    regimes : DataFrame or None
        See `regimes_at`; None where no regime was ever detected.
    """
    if regimes is None or regimes.empty or not len(rows):
        return NO_FACTORS
    labels = regimes_at(open_us, regimes)
    groups = {}
    for regime in Regime:
        own = labels == str(regime)
        outcomes, _ = cell_outcomes(replayed, rows=rows[own], cell=root.cell)
        groups[regime] = (sum_cells(replayed, rows=rows[own]), effective_n(outcomes, open_us[own]), "root")
    strength = pooling_strength(list(groups.values()))
    factors = dict(NO_FACTORS)
    for regime, (sums, n_eff, _) in groups.items():
        weight = own_weight(n_eff, strength)
        if weight > 0.0 and sums.n:
            cell = best_cell(weight * sums.mean + (1.0 - weight) * root.surface, np.ones(grid.shape, dtype=np.bool_))
            factors[regime] = (
                _factor(grid.stops[cell[0]] / grid.stops[root.cell[0]], weight),
                _factor(grid.targets[cell[1]] / grid.targets[root.cell[1]], weight),
            )
    return factors


def _factor(ratio: float, weight: float) -> float:
    # The choice jumps between cells where the optimum is flat: its step is shrunk as well.
    return float(np.clip(ratio**weight, *FACTOR_BOUNDS))
