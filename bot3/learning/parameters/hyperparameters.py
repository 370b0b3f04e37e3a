"""Hyperparameters that a full run of the learner fits and incremental runs reuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from bot3.learning.parameters.replay_evidence import Periods
from bot3.learning.parameters.rows import LearnedGroup
from bot3.learning.parameters.spread import Spread
from bot3.learning.pooling.surfaces import PoolingModel
from bot3.learning.replay.groups import ROOT, Group, horizon_group, parent_of
from bot3.market.regimes import Regime
from bot3.trading.horizons import Horizon


class Prior(TypedDict):
    """Prior arguments of `fit_model`."""

    prior: NDArray[np.float64]
    strength: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Results of the last full run that incremental learning reuses.

    `pairs` are the pairs of the model, whose labels are their indices; `periods` are the periods of its weights; `parents` contains root,
    directions and pairs. `half_life_days` (None: infinite) was chosen on `chosen_on`, in days since 1970.
    """

    model: PoolingModel
    spread: Spread
    pairs: tuple[str, ...]
    periods: Periods
    parents: Mapping[Group, LearnedGroup]
    factors: Mapping[Regime, tuple[float, float]]
    half_life_days: float | None
    chosen_on: int

    def parent(self, group: Group) -> LearnedGroup:
        """Return the parent of a group: the nearest larger group that the last full run fitted."""
        above = parent_of(group)
        while above is not None and above not in self.parents:
            above = parent_of(above)
        return self.parents[ROOT if above is None else above]

    def has_replays(self, horizon: Horizon) -> bool:
        """Return whether the last full run had replays of a horizon: without them the estimates of its groups are those of other ones."""
        above = self.parents.get(horizon_group(horizon))
        return above is not None and above.n > 0
