"""Compute the recommendation for the learned bot (feeder tiers, leverage bins, size) from regime, feeder scores and parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot3.errors import LearningError
from bot3.learning.feeders.scores import preference
from bot3.learning.replay.groups import bin_group, group_key
from bot3.learning.validity import SIZE_BOUNDS
from bot3.market.regimes import RegimeState
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.parameters import ANY, ExitParameters, ParameterSet, ParameterState
from bot3.trading.recommendations import FeederScore, FeederTier, Recommendation
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trade_classes import class_label


def recommend(
    *,
    regime: RegimeState,
    scores: Sequence[FeederScore],
    parameters: ParameterSet,
    bins: LeverageBins,
    now: datetime,
    computed_at: datetime,
    life: timedelta,
) -> Recommendation:
    """Compute the recommendation that is in force from `now` on for `life`.

    Parameters
    ----------
    scores : sequence of FeederScore
        Scores of one version: all feeders, over all regimes and in each.
    life : timedelta
        Validity of the recommendation in market time, from `now` on.

    Raises
    ------
    LearningError
        If the score of a feeder is missing, or the parameters have no row by leverage bin.
    """
    current = _scores_in(scores, regime)
    tiers = {score.feeder_id: score.tier for score in current}
    open_bins, leverage_range = _leverage(parameters, bins)
    multiplier = _multiplier(current)
    top_tier, top = _top(current)
    open_feeders = tuple(f"{score.feeder_id} {side}" for score in current for side in score.open_directions.split())
    version = _version(
        str(regime.regime),
        regime.known_at.isoformat(),
        current[0].version,
        parameters.version,
        open_bins,
        leverage_range,
        multiplier,
        (now + life).isoformat(),
    )
    return Recommendation(
        regime=regime.regime,
        tiers=tiers,
        top_feeders=top,
        avoid_feeders=tuple(_number(score) for score in current if score.tier is FeederTier.SHADOW),
        top_tier=top_tier,
        open_feeders=open_feeders,
        open_bins=open_bins,
        suggested_leverage_range=leverage_range,
        suggested_position_size_multiplier=multiplier,
        generated_at=now,
        expires_at=now + life,
        version=version,
        parameters_version=parameters.version,
        scores_version=current[0].version,
        known_at=now,
        computed_at=computed_at,
    )


def _scores_in(scores: Sequence[FeederScore], regime: RegimeState) -> list[FeederScore]:
    """Return each feeder's score in the regime in force, best first; its score over all regimes if it has no trades there."""
    overall = {score.feeder_id: score for score in scores if score.regime == ANY}
    there = {score.feeder_id: score for score in scores if score.regime == str(regime.regime)}
    missing = [feeder for feeder in FEEDER_IDS if feeder not in overall and feeder not in there]
    if missing:
        raise LearningError(f"scores of {', '.join(missing)} are missing: score all feeders before recommending")
    # Without a trade in the regime, the feeder's score over all regimes is used unchanged, including its tier.
    chosen = [there[feeder] if feeder in there and there[feeder].n else overall.get(feeder, there.get(feeder)) for feeder in FEEDER_IDS]
    return sorted((score for score in chosen if score is not None), key=preference)


def _top(scores: Sequence[FeederScore]) -> tuple[FeederTier, tuple[int, ...]]:
    """Return the highest tier of any feeder except shadow, and its feeders; shadow without feeders if all are in it."""
    for tier in (FeederTier.TRADE, FeederTier.PROBE):
        found = tuple(_number(score) for score in scores if score.tier is tier)
        if found:
            return tier, found
    return FeederTier.SHADOW, ()


def _number(score: FeederScore) -> int:
    return int(score.feeder_id[1:])


def _leverage(parameters: ParameterSet, bins: LeverageBins) -> tuple[tuple[str, ...], tuple[float, float]]:
    """Return the open bins, and the lowest and highest leverage of the best run of adjacent open bins.

    A bin is open unless there is evidence against it at every horizon (state shadow); if there is evidence against all bins, the one with
    the highest lower bound is open. The best run contains the highest lower bound; of two equal ones it is the run of lower leverage.
    """
    found = {name: _rows_of_bin(parameters, name) for name in bins.names}
    rows = {name: own for name, own in found.items() if own}
    if not rows:
        raise LearningError(f"parameters {parameters.version} contain no row by bin: publish them in full")

    def bound(name: str) -> float:
        return max(row.lower_bound for row in rows[name])

    # `max` returns the first of equal values, and the bins are in order: so the lower one.
    open_bins = [name for name, own in rows.items() if any(row.state is not ParameterState.SHADOW for row in own)] or [max(rows, key=bound)]
    best = max(_runs(open_bins, bins.names), key=lambda run: max(map(bound, run)))
    spans = bins.spans(best, highest=bins.highest)
    return tuple(open_bins), (spans[0][0], spans[-1][1])


def _rows_of_bin(parameters: ParameterSet, name: str) -> list[ExitParameters]:
    """Return the rows of a bin over all pairs and directions, one for each horizon that has one."""
    keys = (group_key(bin_group(class_label(name, horizon))) for horizon in Horizon)
    return [parameters.rows[key] for key in keys if key in parameters.rows]


def _runs(open_bins: Sequence[str], names: Sequence[str]) -> list[list[str]]:
    """Split open bins, lowest first, into runs of adjacent bins."""
    runs: list[list[str]] = []
    for name in open_bins:
        if runs and names.index(name) == names.index(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    return runs


def _multiplier(scores: Sequence[FeederScore]) -> float:
    """Compute the factor on the size: 1 without shadow trades.

    It increases with the highest confidence of the feeders in the tier trade. If none is in it, the factor is twice the highest confidence
    of all feeders, at most 1.
    """
    trading = [score.confidence for score in scores if score.tier is FeederTier.TRADE]
    if trading:
        return _within_bounds(1.0 + (max(trading) - 0.95) * 10.0)
    if all(score.n == 0 for score in scores):
        return 1.0
    return min(1.0, _within_bounds(2.0 * max(score.confidence for score in scores)))


def _within_bounds(multiplier: float) -> float:
    return min(max(multiplier, SIZE_BOUNDS[0]), SIZE_BOUNDS[1])


def _version(*content: object) -> str:
    return hashlib.blake2s(json.dumps(content).encode(), digest_size=12).hexdigest()
