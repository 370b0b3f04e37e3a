"""Rows that a feeder is trained on: candidates whose trades had ended by a time, with their outcomes and weights."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bot3.learning.feeders.candidates import candidates
from bot3.learning.feeders.feature_panel import FeaturePanel, PairPanel
from bot3.learning.feeders.labels import LabelCosts, one_at_a_time, uniqueness
from bot3.learning.feeders.specs import FeederSpec
from bot3.market.indicators import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """Training rows of all pairs and both directions.

    Parameters
    ----------
    inputs : float32 of shape (n, features)
        The model's inputs; a short's are mirrored.
    net_move : float64 of shape (n,)
        Net profit of the trade, ratio of the price.
    sigma, cost : float64 of shape (n,)
        As in `Candidates`.
    weight : float64 of shape (n,)
        Uniqueness times age, with the mean 1.
    is_taken : bool of shape (n,)
        With a rule: the trade would be entered if each pair and direction had one open trade at most. Without a rule: true.
    known, end : int64 of shape (n,)
        Close of the signal's candle and of the trade's last one, in candles since 1970.
    """

    inputs: NDArray[np.float32]
    net_move: Floats
    sigma: Floats
    cost: Floats
    weight: Floats
    is_taken: NDArray[np.bool_]
    is_short: NDArray[np.bool_]
    known: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.net_move)

    @property
    def gross_sigma(self) -> Floats:
        """Return the profit before costs in units of sigma: the net profit and the cost that was expected of the trade."""
        gross: Floats = (self.net_move + self.cost) / self.sigma
        return gross


def training_rows(
    spec: FeederSpec, panel: FeaturePanel, *, span: tuple[int, int], costs: LabelCosts, most_rows: int, rows_per_horizon: int
) -> TrainingRows:
    """Collect the rows of a feeder.

    Parameters
    ----------
    span : (int, int)
        Microseconds since 1970: candles open at or after the first instant, and the whole horizon has ended by the second one.
    most_rows, rows_per_horizon : int
        Without a rule every k-th candle is used, so that about this many rows per direction remain, and at most about this many trades of a
        pair overlap: more of them would be redundant.
    """
    stride = 1
    if spec.rule.is_none:
        within = sum(int(((p.columns.open_us >= span[0]) & (p.columns.open_us < span[1])).sum()) for p in panel.pairs)
        stride = max(1, -(-within // most_rows), spec.barriers.horizon_candles // rows_per_horizon)
    parts = [
        _pair_rows(spec, panel, pair, is_short=is_short, span=span, stride=stride, costs=costs)
        for pair in panel.pairs
        for is_short in (False, True)
    ]
    joined = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(TrainingRows)}
    joined["weight"] = joined["weight"] / max(float(joined["weight"].mean()), 1e-12) if len(joined["weight"]) else joined["weight"]
    return TrainingRows(**joined)


def _pair_rows(
    spec: FeederSpec, panel: FeaturePanel, pair: PairPanel, *, is_short: bool, span: tuple[int, int], stride: int, costs: LabelCosts
) -> TrainingRows:
    opens, step = pair.columns.open_us, panel.step_us
    outcomes = panel.outcomes(pair, spec.barriers, is_short=is_short, costs=costs)
    found = candidates(spec, pair.features, is_short=is_short, round_trip=costs.round_trip)
    # Select every k-th candle by time, not by position: the rows do not depend on the first candle of the panel. Require the end of the
    # whole horizon, not of the trade: among the last candles only trades that were stopped early would be included, which would bias the
    # sample.
    is_used = (opens >= span[0]) & (opens // step % stride == 0) & (opens + (spec.barriers.horizon_candles + 1) * step <= span[1])
    is_used &= ~np.isnan(outcomes.net_move)
    kept = np.flatnonzero(is_used[found.rows])
    rows = found.rows[kept]
    end = outcomes.end[rows].astype(np.int64)
    age_days = (span[1] - opens[rows]) / 86_400e6
    return TrainingRows(
        inputs=found.inputs[kept],
        net_move=outcomes.net_move[rows],
        sigma=found.sigma[kept],
        cost=found.cost[kept],
        weight=uniqueness(rows + 1, end) * 0.5 ** (age_days / spec.half_life_days),
        is_taken=np.ones(len(rows), dtype=np.bool_) if spec.rule.is_none else one_at_a_time(rows + 1, end),
        is_short=np.full(len(rows), is_short),
        known=opens[rows] // step + 1,
        end=opens[end] // step + 1,
    )
