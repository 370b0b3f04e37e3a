"""What a full run of the learner fits, and an incremental one keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from bot3.learning.groups import ROOT, Group, parent_of
from bot3.learning.parameter_rows import LearnedGroup
from bot3.learning.replay_evidence import Periods
from bot3.learning.surfaces import PoolingModel
from bot3.market.regimes import Regime


class Prior(TypedDict):
    """What `fit_model` believes before any trade."""

    prior: NDArray[np.float64]
    strength: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """What incremental learning keeps of the last full run.

    `pairs` are those the model knows by their places; `periods` those that its weights are of; `parents` root, directions and pairs.
    `half_life_days` (None: memory without end) was chosen on `chosen_on`, in days since 1970.
    """

    model: PoolingModel
    pairs: tuple[str, ...]
    periods: Periods
    parents: Mapping[Group, LearnedGroup]
    factors: Mapping[Regime, tuple[float, float]]
    half_life_days: float | None
    chosen_on: int

    def parent(self, group: Group) -> LearnedGroup:
        """Return the group above; a pair seen first since the last full run rests on its direction."""
        above = parent_of(group)
        while above is not None and above not in self.parents:
            above = parent_of(above)
        return self.parents[ROOT if above is None else above]
