"""From a learned surface to a published row: which levels are allowed, which is best, and in which units it is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from bot3.learning.censoring import CloseCounts
from bot3.learning.grids import ExitGrid
from bot3.learning.groups import STATIC, Group, group_key
from bot3.learning.pooling import Posterior
from bot3.learning.replay_beliefs import Belief
from bot3.learning.replay_paths import ReplayCosts
from bot3.learning.validity import NEAREST_STOP_LOSS, NEAREST_TAKE_PROFIT
from bot3.trading.parameters import ANY, ExitParameters, ParameterState
from bot3.trading.trades import DIRECTIONS
from bot3.trading.units import stop_inside_liquidation

MIN_TARGET_COSTS = 1.5
"""A target is at least so many times the costs of the round trip."""
EVIDENCE_AGAINST_N = 10.0
"""Effective observations from which a group may be taken out of trading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealisedStats:
    """Of the closes of a group: `n`, and None where there is none (profit factor also without a loss)."""

    n: int
    win_rate: float | None
    avg_profit: float | None
    profit_factor: float | None


def realised_stats(close_profit: NDArray[np.float64]) -> RealisedStats:
    """Return count, win rate, mean close_profit and profit factor of closes."""
    if not len(close_profit):
        return RealisedStats(n=0, win_rate=None, avg_profit=None, profit_factor=None)
    lost = -float(close_profit[close_profit < 0.0].sum())
    won = float(close_profit[close_profit > 0.0].sum())
    return RealisedStats(
        n=len(close_profit),
        win_rate=float((close_profit > 0.0).mean()),
        avg_profit=float(close_profit.mean()),
        profit_factor=won / lost if lost > 0.0 else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenStats:
    """Of the replays of a group under its chosen levels: effective number, and share whose stop and target lay inside one candle."""

    n_eff: float
    ambiguous_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScale:
    """Mean volatility at entry, mean and highest leverage of a group: what turns sigma into moves and ratios of the stake.

    `sigma_ref` is that of the group above where the own one is so small that no level could be published (`is_publishable`).
    """

    sigma_ref: float
    leverage_ref: float
    leverage_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedGroup:
    """What was learned of a group.

    `n` is the number of its replays; `belief` its own or, with `is_own` false, that of the group above; `surface` the posterior mean of
    every setting and `cell` the best allowed one. `parent` is None for the root.
    """

    group: Group
    n: int
    is_own: bool
    belief: Belief
    surface: NDArray[np.float64]
    cell: tuple[int, int]
    scale: GroupScale
    parent: LearnedGroup | None

    @property
    def evidence_n(self) -> int:
        """Return the number of replays of the group whose belief this is."""
        return self.n if self.is_own or self.parent is None else self.parent.evidence_n


def allowed_cells(grid: ExitGrid, *, group: Group, scale: GroupScale, costs: ReplayCosts) -> NDArray[np.bool_]:
    """Return which cells may be published: no stop that the daemon would bring nearer or that is none, no target under its own costs.

    One stop and the largest target always may: a group must have some protection. Rows of both directions take a short's room, which is
    the smaller one.
    """
    _, side, leverage_bin = group
    farthest = stop_inside_liquidation(
        -1.0,
        leverage=scale.leverage_ref if leverage_bin == ANY else scale.leverage_max,
        maintenance_margin_ratio=costs.maintenance_margin_ratio,
        is_short=side != DIRECTIONS[0],
    )
    stops = (-grid.stops * scale.sigma_ref >= farthest) & (-grid.stops * scale.sigma_ref * scale.leverage_ref <= NEAREST_STOP_LOSS)
    targets = grid.targets * scale.sigma_ref >= MIN_TARGET_COSTS * costs.round_trip
    stops[0], targets[-1] = stops[0] or not stops.any(), True
    allowed: NDArray[np.bool_] = stops[:, None] & targets[None, :]
    return allowed


def is_publishable(grid: ExitGrid, *, scale: GroupScale, costs: ReplayCosts) -> bool:
    """Return whether any level of a group may be published: prices that hardly move earn less than their fees at every target."""
    farthest_stop = -float(grid.stops[-1]) * scale.sigma_ref * scale.leverage_ref
    largest_target = _profit_after_fees(float(grid.targets[-1]) * scale.sigma_ref, scale=scale, costs=costs)
    return farthest_stop <= NEAREST_STOP_LOSS and largest_target >= NEAREST_TAKE_PROFIT


def _profit_after_fees(target_move: float, *, scale: GroupScale, costs: ReplayCosts) -> float:
    return (target_move - costs.taker_fee * (2.0 + target_move)) * scale.leverage_ref


def best_cell(surface: NDArray[np.float64], allowed: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the allowed cell of the highest posterior mean."""
    stop, target = np.unravel_index(int(np.argmax(np.where(allowed, surface, -np.inf))), surface.shape)
    return int(stop), int(target)


def state_of(posterior: Posterior, *, n_eff: float, may_trade: bool) -> ParameterState:
    """Return what a row may be used for: trade on evidence for it, shadow on evidence against it, else probe.

    Parameters
    ----------
    may_trade : bool
        Whether a review lets the group trade (`permissions.Permission`); a lower bound above 0 alone is right too seldom.
    """
    if may_trade and posterior.lower > 0.0:
        return ParameterState.TRADE
    if posterior.upper < 0.0 and n_eff >= EVIDENCE_AGAINST_N:
        return ParameterState.SHADOW
    return ParameterState.PROBE


def parameter_row(
    learned: LearnedGroup,
    *,
    stats: RealisedStats,
    chosen: ChosenStats,
    grid: ExitGrid,
    costs: ReplayCosts,
    closes: CloseCounts,
    may_trade: bool,
    is_censored: bool | None,
    known_at: datetime,
    version: str,
) -> ExitParameters:
    """Return the row of a group, in sigma, as moves of the price and as ratios of the stake."""
    posterior = learned.belief.posterior(learned.cell)
    stop_sigma, target_sigma = -float(grid.stops[learned.cell[0]]), float(grid.targets[learned.cell[1]])
    scale = learned.scale
    stop_move, target_move = stop_sigma * scale.sigma_ref, target_sigma * scale.sigma_ref
    pair, side, leverage_bin = learned.group
    return ExitParameters(
        pair=pair,
        direction=side,
        leverage_bin=leverage_bin,
        stop_loss=stop_move * scale.leverage_ref,
        take_profit_target=_profit_after_fees(target_move, scale=scale, costs=costs),
        stop_move=stop_move,
        take_profit_move=target_move,
        stop_sigma=stop_sigma,
        take_profit_sigma=target_sigma,
        sigma_ref=scale.sigma_ref,
        leverage_ref=scale.leverage_ref,
        trades_count=stats.n,
        replays_count=learned.n,
        n_eff=chosen.n_eff,
        win_rate=stats.win_rate,
        avg_profit=stats.avg_profit,
        profit_factor=stats.profit_factor,
        expectancy=posterior.mean,
        lower_bound=posterior.lower,
        upper_bound=posterior.upper,
        confidence=posterior.confidence,
        own_share=learned.belief.own_share(learned.cell) if learned.is_own else 0.0,
        parent=STATIC if learned.parent is None else group_key(learned.parent.group),
        ambiguous_share=chosen.ambiguous_share,
        state=state_of(posterior, n_eff=chosen.n_eff if learned.is_own else float(learned.evidence_n), may_trade=may_trade),
        left_out_count=closes.left_out,
        late_count=closes.late,
        is_censored=is_censored,
        known_at=known_at,
        version=version,
    )
