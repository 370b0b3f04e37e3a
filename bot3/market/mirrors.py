"""Mirror a row of features: the features of the same market with all moves of the price reversed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Mirror:
    """Columns, signs and offsets by which mirrored features are computed: offset + sign x features[columns]."""

    columns: NDArray[np.int64]
    signs: NDArray[np.float32]
    offsets: NDArray[np.float32]

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return mirrored features of shape (n, features); NaN stays NaN."""
        mirrored: NDArray[np.float32] = self.offsets + self.signs * features[:, self.columns]
        return mirrored


def mirror_of(names: Sequence[str], *, odd: Collection[str], swapped: Mapping[str, str], shares: Collection[str] = ()) -> Mirror:
    """Build the mirror of some features; those that are in no argument do not change.

    Parameters
    ----------
    odd : collection of str
        Features whose sign is reversed.
    swapped : mapping of str to str
        Pairs of features that exchange their values.
    shares : collection of str
        Features from 0 to 1 that become one minus their value.

    Raises
    ------
    ValueError
        If an argument contains a feature that is not among `names`.
    """
    partner = dict(swapped) | {second: first for first, second in swapped.items()}
    strange = {*odd, *partner, *shares} - set(names)
    if strange:
        raise ValueError(f"a mirror names features that do not exist: {', '.join(sorted(strange))}")
    return Mirror(
        columns=np.array([list(names).index(partner.get(name, name)) for name in names], dtype=np.int64),
        signs=np.array([-1.0 if name in odd or name in shares else 1.0 for name in names], dtype=np.float32),
        offsets=np.array([1.0 if name in shares else 0.0 for name in names], dtype=np.float32),
    )
