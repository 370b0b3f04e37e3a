"""Convert the estimated expectancy of all stops and targets of a group to its published row: the best allowed ones, in all units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from bot3.learning.parameters.utility import sized
from bot3.learning.pooling.beliefs import Belief
from bot3.learning.pooling.empirical_bayes import Posterior
from bot3.learning.replay.censoring import CloseCounts
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.groups import STATIC, Group, group_key
from bot3.learning.replay.paths import ReplayCosts
from bot3.learning.validity import NEAREST_STOP_LOSS, NEAREST_TAKE_PROFIT, TARGET_SIGMAS
from bot3.trading.parameters import ANY, ExitParameters, ParameterState
from bot3.trading.profiles import SizeLimits
from bot3.trading.trade_classes import bin_of
from bot3.trading.trades import DIRECTIONS
from bot3.trading.units import stop_inside_liquidation

MIN_TARGET_COSTS = 1.5
"""Minimum target as a multiple of the costs of a round trip."""
EVIDENCE_AGAINST_N = 10.0
"""Minimum number of observations, those of related groups included, for the state shadow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealisedStats:
    """Statistics of the closes of a group; those other than `n` are None without closes, the profit factor also without a loss."""

    n: int
    win_rate: float | None
    avg_profit: float | None
    profit_factor: float | None


def realised_stats(close_profit: NDArray[np.float64]) -> RealisedStats:
    """Compute count, win rate, mean close_profit and profit factor of closes."""
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
    """Statistics of a group's replays under its chosen levels: effective number, and share with stop and target inside one candle."""

    n_eff: float
    ambiguous_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScale:
    """Mean volatility at entry, mean and highest leverage of a group; they convert sigmas to moves and to ratios of the stake.

    `sigma_ref` is that of the parent if the group's own is so small that no level could be published (`is_publishable`).
    """

    sigma_ref: float
    leverage_ref: float
    leverage_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedGroup:
    """Result of learning for a group.

    `n` is the number of its replays; `belief` is its own estimate, pooled with related groups (that of the parent for a group without
    trades); `surface` is the estimated expectancy of every stop and target, and `cell` the indices of the best allowed ones, of which
    `deviation_move` is the standard deviation of a net move and `worst_move` the net move at the stop, ratios of the price. `parent` is
    None for the group of all trades.
    """

    group: Group
    n: int
    belief: Belief
    surface: NDArray[np.float64]
    cell: tuple[int, int]
    deviation_move: float
    worst_move: float
    scale: GroupScale
    parent: LearnedGroup | None

    @property
    def relatives_n(self) -> int:
        """Return the number of replays of the largest related group that `belief` is pooled with; 0 for the group of all trades."""
        return 0 if self.parent is None else max(self.parent.n, self.parent.relatives_n)


def allowed_cells(grid: ExitGrid, *, group: Group, scale: GroupScale, costs: ReplayCosts) -> NDArray[np.bool_]:
    """Return which stops and targets of the grid may be published, of shape (stops, targets).

    Excluded are stops that the daemon would move nearer (`stop_inside_liquidation`), stops nearer than the published bounds allow, and
    targets below `MIN_TARGET_COSTS` times the costs. At least one stop and the last target (none) are always allowed, because a group must
    have some. Rows of both directions use the liquidation distance of a short, which is the smaller one.
    """
    _, side, label = group
    farthest = stop_inside_liquidation(
        -1.0,
        leverage=scale.leverage_ref if bin_of(label) == ANY else scale.leverage_max,
        maintenance_margin_ratio=costs.maintenance_margin_ratio,
        is_short=side != DIRECTIONS[0],
    )
    stops = (-grid.stops * scale.sigma_ref >= farthest) & (-grid.stops * scale.sigma_ref * scale.leverage_ref <= NEAREST_STOP_LOSS)
    targets = grid.targets * scale.sigma_ref >= MIN_TARGET_COSTS * costs.round_trip
    stops[0], targets[-1] = stops[0] or not stops.any(), True
    allowed: NDArray[np.bool_] = stops[:, None] & targets[None, :]
    return allowed


def is_publishable(grid: ExitGrid, *, scale: GroupScale, costs: ReplayCosts) -> bool:
    """Return whether any stop and target of a group may be published: with very low volatility, every target earns less than its fees."""
    farthest_stop = -float(grid.stops[-1]) * scale.sigma_ref * scale.leverage_ref
    largest_target = _profit_after_fees(float(shown_targets(grid)[-1]) * scale.sigma_ref, scale=scale, costs=costs)
    return farthest_stop <= NEAREST_STOP_LOSS and largest_target >= NEAREST_TAKE_PROFIT


def shown_targets(grid: ExitGrid) -> NDArray[np.float64]:
    """Return the targets of a grid as they are published, in units of the volatility: no target as the largest level of any grid."""
    return np.minimum(grid.targets, TARGET_SIGMAS[1])


def _profit_after_fees(target_move: float, *, scale: GroupScale, costs: ReplayCosts) -> float:
    return (target_move - costs.taker_fee * (2.0 + target_move)) * scale.leverage_ref


def best_cell(scores: NDArray[np.float64], allowed: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the indices of the allowed stop and target with the highest score."""
    stop, target = np.unravel_index(int(np.argmax(np.where(allowed, scores, -np.inf))), scores.shape)
    return int(stop), int(target)


def state_of(posterior: Posterior, *, n_eff: float, may_trade: bool) -> ParameterState:
    """Return the permitted use of a row: trade if it may and its lower bound is above 0, shadow on evidence against it, else probe.

    Parameters
    ----------
    n_eff : float
        Observations that the posterior is based on, those of related groups included.
    may_trade : bool
        Whether a review allows the group to trade (`permissions.Permission`): a lower bound above 0 is not sufficient, because without a
        review it is wrong too often.
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
    limits: SizeLimits,
    closes: CloseCounts,
    may_trade: bool,
    is_censored: bool | None,
    known_at: datetime,
    version: str,
) -> ExitParameters:
    """Build the row of a group, with levels in sigmas, as moves of the price and as ratios of the stake."""
    posterior = learned.belief.posterior(learned.cell)
    stop_sigma, target_sigma = -float(grid.stops[learned.cell[0]]), float(shown_targets(grid)[learned.cell[1]])
    scale = learned.scale
    size = sized(
        mean=posterior.mean,
        deviation=learned.deviation_move,
        worst=learned.worst_move,
        leverage=scale.leverage_ref,
        limits=limits,
    )
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
        own_share=learned.belief.own_share(learned.cell) if learned.n else 0.0,
        parent=STATIC if learned.parent is None else group_key(learned.parent.group),
        ambiguous_share=chosen.ambiguous_share,
        state=state_of(posterior, n_eff=max(chosen.n_eff, float(learned.relatives_n)), may_trade=may_trade),
        left_out_count=closes.left_out,
        late_count=closes.late,
        is_censored=is_censored,
        has_target=bool(np.isfinite(grid.targets[learned.cell[1]])),
        deviation_move=learned.deviation_move,
        worst_move=learned.worst_move,
        notional_ratio=float(size.ratio),
        utility=float(size.utility),
        known_at=known_at,
        version=version,
    )
