"""Compute feeder scores from shadow trades, by empirical Bayes: by feeder, then by feeder and regime."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.pooling.empirical_bayes import INTERVAL_Z, Posterior, effective_n, own_weight, pooled, pooling_strength
from bot3.learning.promotion.permissions import Node
from bot3.learning.replay.grids import GridSums
from bot3.market.instants import instant_us, microseconds
from bot3.market.regimes import Regime
from bot3.trading.parameters import ANY
from bot3.trading.recommendations import SHADOW_BELOW_CONFIDENCE, FeederScore, FeederTier
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import DIRECTIONS

NO_EDGE_DEVIATION = 0.002
"""Standard deviation of feeders' expectancies assumed before any shadow trade, ratio of the price."""
PRIOR_STRENGTH = 200.0
"""Effective observations at which the mean of all feeders has the same weight as the prior: no profit, only costs."""

_TRUST = (FeederTier.SHADOW, FeederTier.PROBE, FeederTier.TRADE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """Settings of feeder scores.

    `lookback` is the display window, whose means and win rates are shown from `min_trades` trades on. `round_trip` is the minimum costs of
    a trade as a ratio of the price; a feeder without shadow trades is expected to lose that. `stop_loss` is the stop of shadow trades, a
    ratio of the stake below 0.
    """

    lookback: timedelta = timedelta(days=30)
    min_trades: int = 10
    round_trip: float = 0.0012
    stop_loss: float = -0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """Outcomes of shadow trades, and when each trade opened and became known, microseconds since 1970."""

    outcomes: NDArray[np.float64]
    open_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    n_eff: float

    @classmethod
    def of(cls, outcomes: NDArray[np.float64], *, open_us: NDArray[np.int64], known_us: NDArray[np.int64]) -> Self:
        """Return trades with their effective number."""
        return cls(outcomes=outcomes, open_us=open_us, known_us=known_us, n_eff=effective_n(outcomes, open_us))

    def where(self, chosen: NDArray[np.bool_]) -> _Evidence:
        """Return the evidence of some of the trades."""
        return _Evidence.of(self.outcomes[chosen], open_us=self.open_us[chosen], known_us=self.known_us[chosen])

    def since(self, at: datetime) -> NDArray[np.float64]:
        """Return the outcomes that became known after an instant."""
        return self.outcomes[self.known_us > instant_us(at)]

    @property
    def sums(self) -> GridSums:
        moves = self.outcomes
        wins = moves > 0.0
        numbers = (moves.sum(), (moves**2).sum(), wins.sum(), moves[wins].sum(), moves[~wins].sum(), 0.0)
        total, squares, won, profit, loss, ambiguous = (np.array([[number]], dtype=np.float64) for number in numbers)
        return GridSums(n=len(moves), total=total, squares=squares, wins=won, gross_profit=profit, gross_loss=loss, ambiguous=ambiguous)


def feeder_scores(
    shadow_trades: pd.DataFrame,
    *,
    now: datetime,
    settings: ScoreSettings,
    open_nodes: Collection[Node],
    previous: Sequence[FeederScore] = (),
) -> tuple[FeederScore, ...]:
    """Compute the score of every feeder over all regimes ("*") and in each regime, ranked within each.

    Parameters
    ----------
    shadow_trades : DataFrame
        The record's shadow frame; rows known after `now` are ignored.
    open_nodes : collection of Node
        Feeders and directions whose evidence permits full size (`permissions.feeder_permissions`): the others are in no higher tier than
        probe.
    previous : sequence of FeederScore
        The scores in force: a tier can be raised only at the first scoring of a market day (UTC), and lowered at every scoring.

    Returns
    -------
    tuple of FeederScore
        50 rows: "*" first, by rank, then each regime; a feeder without shadow trades has n 0 and the prior's expectancy.
    """
    known = shadow_trades[shadow_trades["known_at"] <= pd.Timestamp(now)]
    evidence = _evidence(known)
    feeders, regimes = _numbered(known["feeder_id"], FEEDER_IDS), _numbered(known["regime"], [str(regime) for regime in Regime])
    own = {feeder: evidence.where(feeders == number) for number, feeder in enumerate(FEEDER_IDS)}
    cells = {
        (feeder, regime): evidence.where((feeders == row) & (regimes == column))
        for row, feeder in enumerate(FEEDER_IDS)
        for column, regime in enumerate(Regime)
    }
    scores = _all_regimes(evidence, own, now=now, settings=settings)
    # Strength of feeder x regime: the regimes of one feeder are siblings.
    strength = pooling_strength([(cell.sums, cell.n_eff, feeder) for (feeder, _), cell in cells.items()])
    within = _variance(evidence)
    by_regime = [_in_regime(cells, scores, regime, strength=strength, variance=within, now=now, settings=settings) for regime in Regime]
    in_force = {(score.feeder_id, score.regime): score for score in previous}
    ranked = [*_ranked(list(scores.values())), *(score for group in by_regime for score in _ranked(group))]
    ranked = [_permitted(score, open_nodes) for score in ranked]
    ranked = [_held_down(score, in_force.get((score.feeder_id, score.regime))) for score in ranked]
    version = _version(ranked, settings)
    return tuple(replace(score, version=version) for score in ranked)


def _all_regimes(everything: _Evidence, own: Mapping[str, _Evidence], *, now: datetime, settings: ScoreSettings) -> dict[str, FeederScore]:
    strength = pooling_strength([(evidence.sums, evidence.n_eff, ANY) for evidence in own.values()])
    shared = _variance(everything)
    prior = Posterior(mean=-settings.round_trip, deviation=NO_EDGE_DEVIATION)
    top = _posterior(everything, parent=prior, strength=PRIOR_STRENGTH, variance=shared)
    return {
        feeder: _score(evidence, feeder=feeder, regime=ANY, parent=top, strength=strength, variance=shared, now=now, settings=settings)
        for feeder, evidence in own.items()
    }


def _in_regime(
    cells: Mapping[tuple[str, Regime], _Evidence],
    scores: Mapping[str, FeederScore],
    regime: Regime,
    *,
    strength: float,
    variance: float,
    now: datetime,
    settings: ScoreSettings,
) -> list[FeederScore]:
    found = []
    for feeder in FEEDER_IDS:
        above = scores[feeder]
        deviation = (above.upper_bound - above.lower_bound) / 2.0 / INTERVAL_Z
        parent = Posterior(mean=above.expectancy, deviation=deviation)
        found.append(
            _score(
                cells[feeder, regime],
                feeder=feeder,
                regime=str(regime),
                parent=parent,
                strength=strength,
                variance=variance,
                now=now,
                settings=settings,
            )
        )
    return found


def _numbered(names: pd.Series[Any], order: Sequence[str]) -> NDArray[np.int8]:
    """Return the index of each name in an order; -1 for one that is not in it."""
    return pd.Categorical(names.astype(str), categories=list(order)).codes


def _evidence(rows: pd.DataFrame) -> _Evidence:
    return _Evidence.of(
        rows["close_move"].to_numpy(dtype=np.float64), open_us=microseconds(rows["open_date"]), known_us=microseconds(rows["known_at"])
    )


def _variance(evidence: _Evidence) -> float:
    return float(evidence.outcomes.var(ddof=1)) if len(evidence.outcomes) > 1 else 0.0


def _posterior(own: _Evidence, *, parent: Posterior, strength: float, variance: float) -> Posterior:
    weight = own_weight(own.n_eff, strength)
    mean = float(own.outcomes.mean()) if weight > 0.0 else 0.0
    return pooled(weight=weight, mean=mean, variance=variance, n_eff=own.n_eff, parent=parent, k=strength)


def _score(
    own: _Evidence,
    *,
    feeder: str,
    regime: str,
    parent: Posterior,
    strength: float,
    variance: float,
    now: datetime,
    settings: ScoreSettings,
) -> FeederScore:
    posterior = _posterior(own, parent=parent, strength=strength, variance=variance)
    moves = own.outcomes
    recent = own.since(now - settings.lookback)
    shown = len(recent) >= settings.min_trades
    return FeederScore(
        feeder_id=feeder,
        regime=regime,
        n=len(moves),
        n_eff=own.n_eff,
        mean_move=float(moves.mean()) if len(moves) else None,
        expectancy=posterior.mean,
        lower_bound=posterior.lower,
        upper_bound=posterior.upper,
        confidence=posterior.confidence,
        own_share=own_weight(own.n_eff, strength),
        win_rate=float((moves > 0.0).mean()) if len(moves) else None,
        n_window=len(recent),
        win_rate_window=float((recent > 0.0).mean()) if shown else None,
        mean_move_window=float(recent.mean()) if shown else None,
        tier=tier_of(posterior, n=len(moves)),
        rank=1,
        open_directions="",
        known_at=now,
        version="",
    )


def tier_of(posterior: Posterior, *, n: int) -> FeederTier:
    """Return the tier by a posterior: trade if the lower bound is above 0, shadow with clear evidence against the feeder, else probe."""
    if posterior.lower > 0.0:
        return FeederTier.TRADE
    if n and (posterior.upper < 0.0 or posterior.confidence < SHADOW_BELOW_CONFIDENCE):
        return FeederTier.SHADOW
    return FeederTier.PROBE


def _permitted(score: FeederScore, open_nodes: Collection[Node]) -> FeederScore:
    """Return the score with its open directions, in the tier probe at most if there are none."""
    found = " ".join(side for side in DIRECTIONS if (score.feeder_id, side) in open_nodes)
    is_held = not found and score.tier is FeederTier.TRADE
    return replace(score, open_directions=found, tier=FeederTier.PROBE if is_held else score.tier)


def _held_down(score: FeederScore, before: FeederScore | None) -> FeederScore:
    """Return the score with the lower of both tiers if the previous score is from the same market day.

    A fixed bound that is checked every few minutes is crossed by chance sooner or later; with one check a day this takes far longer.
    """
    if before is None or before.known_at.date() != score.known_at.date():
        return score
    return replace(score, tier=min(score.tier, before.tier, key=_TRUST.index))


def preference(score: FeederScore) -> tuple[float, float, str]:
    """Return the sort key of scores of one regime, best first: by expectancy, of equal ones by lower bound, then by feeder."""
    return -score.expectancy, -score.lower_bound, score.feeder_id


def _ranked(scores: list[FeederScore]) -> list[FeederScore]:
    """Return the scores best first, with their ranks: 1 plus the number of better ones, so that equal estimates share a rank."""
    ordered = sorted(scores, key=preference)
    keys = [preference(score)[:2] for score in ordered]
    return [replace(score, rank=1 + keys.index(key)) for score, key in zip(ordered, keys, strict=True)]


def _version(scores: list[FeederScore], settings: ScoreSettings) -> str:
    content = [[{**asdict(score), "known_at": score.known_at.isoformat()} for score in scores], str(settings)]
    if any(not math.isfinite(score.expectancy) for score in scores):
        raise ValueError("a feeder's expectancy is not finite")
    return hashlib.blake2s(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()
