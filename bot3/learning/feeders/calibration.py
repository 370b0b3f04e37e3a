"""Platt scaling: convert raw scores to probabilities with two parameters, fitted on out-of-fold predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bot3.market.indicators import Floats

LEAST_SLOPE = 0.02
"""Minimum slope, used if scores do not separate winners from losers: their order is preserved, with probabilities near the base rate."""

_RIDGE = 1e-6
_STEPS = 50
_EDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Parameters of probability = 1 / (1 + exp(-(slope x logit(score) + offset))); the slope is above 0 to preserve the order."""

    slope: float
    offset: float

    def __post_init__(self) -> None:
        if not (self.slope > 0.0 and np.isfinite(self.slope) and np.isfinite(self.offset)):
            raise ValueError(
                f"a calibration needs a finite slope above 0 and a finite offset, were slope {self.slope} and offset {self.offset}"
            )

    def probability(self, score: Floats) -> Floats:
        """Convert scores between 0 and 1 to calibrated probabilities."""
        return _sigmoid(self.slope * _logit(score) + self.offset)


def fit_calibration(score: Floats, label: Floats, weight: Floats) -> Calibration:
    """Fit a calibration on out-of-fold scores by penalised maximum likelihood.

    Parameters
    ----------
    score, label, weight : float64 arrays of shape (n,)
        Scores from 0 to 1, labels 0 or 1, weights at least 0.

    Raises
    ------
    ValueError
        If a label has no row with a weight above 0.
    """
    if not ((label > 0.5) & (weight > 0.0)).any() or not ((label < 0.5) & (weight > 0.0)).any():
        raise ValueError("a calibration needs rows with both labels and weights above 0")
    logits = _logit(score)
    slope, offset = _newton(logits, label, weight / weight.sum())
    if slope < LEAST_SLOPE:
        slope = LEAST_SLOPE
        offset = _fit_offset(slope * logits, label, weight)
    return Calibration(slope=slope, offset=offset)


def log_loss(probability: Floats, label: Floats, weight: Floats) -> float:
    """Compute the weighted mean negative log likelihood with the natural logarithm."""
    kept = np.clip(probability, _EDGE, 1.0 - _EDGE)
    losses = -np.where(label > 0.5, np.log(kept), np.log1p(-kept))
    return float(np.average(losses, weights=weight))


def _newton(logits: Floats, label: Floats, weight: Floats) -> tuple[float, float]:
    # Newton's method on the weighted log likelihood, with a weak ridge penalty towards a slope of 1 and steps clipped to 2.
    slope, offset = 1.0, 0.0
    for _ in range(_STEPS):
        p = _sigmoid(slope * logits + offset)
        slack, curve = weight * (label - p), weight * p * (1.0 - p)
        # Sums instead of dot products: BLAS splits dot products among threads, so the last bit of a model would depend on their number.
        gradient = np.array([(slack * logits).sum() - _RIDGE * (slope - 1.0), slack.sum()])
        mixed = (curve * logits).sum()
        hessian = np.array([[(curve * logits * logits).sum() + _RIDGE, mixed], [mixed, curve.sum() + 1e-12]])
        step = np.clip(np.linalg.solve(hessian, gradient), -2.0, 2.0)
        slope, offset = slope + float(step[0]), offset + float(step[1])
        if float(np.abs(step).max()) < 1e-10:
            break
    return slope, offset


def _fit_offset(fixed: Floats, label: Floats, weight: Floats) -> float:
    # Bisection for the offset at which the mean probability equals the base rate.
    share = float(np.average(label, weights=weight))
    low, high = -30.0, 30.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if float(np.average(_sigmoid(fixed + middle), weights=weight)) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _logit(score: Floats) -> Floats:
    kept = np.clip(score, _EDGE, 1.0 - _EDGE)
    logits: Floats = np.log(kept / (1.0 - kept))
    return logits


def _sigmoid(x: Floats) -> Floats:
    value: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0)))
    return value
