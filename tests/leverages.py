"""Leverage bins for property tests: any valid edges."""

from __future__ import annotations

from hypothesis import strategies as st

from bot3.trading.leverage_bins import LeverageBins

OTHER_BINS = LeverageBins((1.0, 2.0, 4.0, 8.0))
"""Bins that are not the default ones."""

any_bins = st.sets(st.integers(100, 12_500), min_size=2, max_size=8).map(
    lambda counts: LeverageBins(tuple(count / 100 for count in sorted(counts)))
)
