"""Raw scores to probabilities: Platt's two numbers, fitted on predictions that the model did not train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bot3.market.indicators import Floats

LEAST_SLOPE = 0.02
"""Where scores do not tell winners from losers the slope stays here: their order is kept, the probability is close to the base rate."""

_RIDGE = 1e-6
_STEPS = 50
_EDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Probability = 1 / (1 + exp(-(slope x logit(score) + offset))); the slope is above 0, so that order is kept."""

    slope: float
    offset: float

    def __post_init__(self) -> None:
        if not (self.slope > 0.0 and np.isfinite(self.slope) and np.isfinite(self.offset)):
            raise ValueError(f"a calibration needs a finite slope above 0, was {self.slope} with offset {self.offset}")

    def probability(self, score: Floats) -> Floats:
        """Return calibrated probabilities of scores between 0 and 1."""
        return _sigmoid(self.slope * _logit(score) + self.offset)


def fit_calibration(score: Floats, label: Floats, weight: Floats) -> Calibration:
    """Fit on out-of-fold scores.

    Parameters
    ----------
    score, label, weight : float64 arrays of shape (n,)
        Scores from 0 to 1, labels 0 or 1, weights at least 0.

    Raises
    ------
    ValueError
        If there is no row with each label.
    """
    if not ((label > 0.5) & (weight > 0.0)).any() or not ((label < 0.5) & (weight > 0.0)).any():
        raise ValueError("calibration needs rows of both labels")
    logits = _logit(score)
    slope, offset = _newton(logits, label, weight / weight.sum())
    if slope < LEAST_SLOPE:
        slope = LEAST_SLOPE
        offset = _fit_offset(slope * logits, label, weight)
    return Calibration(slope=slope, offset=offset)


def log_loss(probability: Floats, label: Floats, weight: Floats) -> float:
    """Return the weighted mean negative log likelihood, natural logarithm."""
    kept = np.clip(probability, _EDGE, 1.0 - _EDGE)
    losses = -np.where(label > 0.5, np.log(kept), np.log1p(-kept))
    return float(np.average(losses, weights=weight))


def _newton(logits: Floats, label: Floats, weight: Floats) -> tuple[float, float]:
    slope, offset = 1.0, 0.0
    for _ in range(_STEPS):
        p = _sigmoid(slope * logits + offset)
        slack, curve = weight * (label - p), weight * p * (1.0 - p)
        # Sums, not products of vectors: those are cut among the threads that a machine has, and a model's last bit would tell how many.
        gradient = np.array([(slack * logits).sum() - _RIDGE * (slope - 1.0), slack.sum()])
        mixed = (curve * logits).sum()
        hessian = np.array([[(curve * logits * logits).sum() + _RIDGE, mixed], [mixed, curve.sum() + 1e-12]])
        step = np.clip(np.linalg.solve(hessian, gradient), -2.0, 2.0)
        slope, offset = slope + float(step[0]), offset + float(step[1])
        if float(np.abs(step).max()) < 1e-10:
            break
    return slope, offset


def _fit_offset(fixed: Floats, label: Floats, weight: Floats) -> float:
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
