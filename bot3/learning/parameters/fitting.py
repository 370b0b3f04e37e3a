"""Fit the learner's hyperparameters from all trades, and estimate one group of trades with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.parameters.group_rows import GroupRows
from bot3.learning.parameters.hyperparameters import Hyperparameters, Prior
from bot3.learning.parameters.regime_factors import NO_FACTORS, regime_factors, regimes_at
from bot3.learning.parameters.replay_evidence import Periods, ReplayEvidence
from bot3.learning.parameters.rows import ChosenStats, GroupScale, LearnedGroup, allowed_cells, best_cell, is_publishable
from bot3.learning.parameters.settings import LearningSettings
from bot3.learning.parameters.spread import CellMoments, Spread
from bot3.learning.parameters.utility import sized, worst_moves
from bot3.learning.pooling.beliefs import Belief
from bot3.learning.pooling.empirical_bayes import effective_n
from bot3.learning.pooling.evidence import Evidence
from bot3.learning.pooling.memory import choose_half_life, period_weights
from bot3.learning.pooling.surface_model import fit_model
from bot3.learning.pooling.surfaces import Score, posterior_surfaces
from bot3.learning.replay.groups import ROOT, Group, level_of, parent_groups
from bot3.learning.replay.replay import Outcomes
from bot3.learning.replay.trade_table import TradeTable
from bot3.market.regimes import Regime
from bot3.trading.parameters import ANY
from bot3.trading.trade_classes import bin_of, horizon_of
from bot3.trading.trades import DIRECTIONS


class GroupFits:
    """Fits the groups of a trade table from the replays of its trades; it stores no result."""

    def __init__(self, settings: LearningSettings, table: TradeTable, rows: GroupRows, evidence: ReplayEvidence) -> None:
        self._settings, self._table, self._rows, self._evidence = settings, table, rows, evidence
        # A placeholder if there are no trades.
        self._no_cell: Group = ("", DIRECTIONS[0], settings.bins.names[0])

    def hyperparameters(self, regimes: pd.DataFrame | None, *, day: int, before: Hyperparameters | None) -> Hyperparameters:
        """Fit half-life, pooling strengths, parents and regime factors from all trades.

        Parameters
        ----------
        regimes : DataFrame or None
            Columns known_at and regime; None leaves the regime factors at 1.
        day : int
            Today, in days since 1970.
        before : Hyperparameters or None
            The last fit; its half-life is used again on the same day.
        """
        cells = self._rows.cells()
        pairs = tuple(sorted({pair for pair, _, _ in cells}))
        periods = Periods.of(self._table.fact("open_us"))
        evidence = self._evidence.evidence(self._table, cells or [self._no_cell], pairs=pairs, periods=periods)
        half_life_days, chosen_on = self._memory(evidence, periods, day=day, before=before)
        weights = period_weights(periods.ages_days, half_life_days)
        moments = self._evidence.moments(self._table, cells or [self._no_cell])
        spread = Spread.of(moments, sigma=self._settings.static_sigma)
        utility = self._utility_of_cells(cells or [self._no_cell], moments, spread)
        model = fit_model(evidence, **self._before_any_trade(), weights=weights, score=utility)
        parents: dict[Group, LearnedGroup] = {}
        hyper = Hyperparameters(
            model=model,
            spread=spread,
            pairs=pairs,
            periods=periods,
            parents=parents,
            factors=NO_FACTORS,
            half_life_days=half_life_days,
            chosen_on=chosen_on,
        )
        for group in parent_groups(cells, bins=self._settings.bins):
            if level_of(group) != "bin":
                parents[group] = self.learn(group, hyper)
        return replace(hyper, factors=self._factors(parents[ROOT], regimes))

    def _memory(self, evidence: Evidence, periods: Periods, *, day: int, before: Hyperparameters | None) -> tuple[float | None, int]:
        """Return the half-life in days (None: unlimited) and the day on which it was chosen: once a day, because that is expensive."""
        if before is not None and before.chosen_on == day:
            return before.half_life_days, day
        return choose_half_life(evidence, ages_days=periods.ages_days, **self._before_any_trade()).days, day

    def _before_any_trade(self) -> Prior:
        own = self._settings
        return {"prior": own.static_surface(self._scale(ROOT, None)), "strength": own.static_strength, "deviation": own.static_sigma}

    def _factors(self, root: LearnedGroup, regimes: pd.DataFrame | None) -> Mapping[Regime, tuple[float, float]]:
        rows = self._rows.observed(ROOT)
        if regimes is None or regimes.empty or not len(rows):
            return NO_FACTORS
        opened = self._table.fact("open_us")[rows]
        labels = regimes_at(opened, regimes)
        rows, opened, labels = rows[labels >= 0], opened[labels >= 0], labels[labels >= 0]
        sums = self._evidence.sums_of(self._table, rows, group=labels, groups=len(Regime))
        net = self._outcomes(rows, root.cell).net
        days = self._table.days(rows)
        n_eff = [effective_n(net[labels == place], opened[labels == place], horizon_days=days) for place in range(len(Regime))]
        return regime_factors(sums, n_eff=np.array(n_eff), surface=root.surface, cell=root.cell, grid=self._settings.grid)

    def learn(self, group: Group, hyper: Hyperparameters) -> LearnedGroup:
        """Return the estimate of a group, its mean volatility and leverage, and the stop and target to publish, given a fit."""
        parent = None if group == ROOT else hyper.parent(group)
        belief, n = self._belief(group, hyper)
        if parent is not None and not self._rows.members(group):
            belief = parent.belief
        scale = self._scale(group, parent)
        surface, deviation = belief.surface, self._deviation(group, hyper, scale=scale)
        allowed = allowed_cells(self._settings.grid, group=group, scale=scale, costs=self._settings.costs)
        worst = self._worst(scale.sigma_ref)[:, None]
        utility = sized(
            mean=surface, deviation=deviation, worst=worst, leverage=scale.leverage_ref, limits=self._settings.size_limits
        ).utility
        cell = best_cell(utility, allowed)
        return LearnedGroup(
            group=group,
            n=n,
            belief=belief,
            surface=surface,
            cell=cell,
            deviation_move=float(deviation[cell]),
            worst_move=float(worst[cell[0], 0]),
            scale=scale,
            parent=parent,
        )

    def _deviation(self, group: Group, hyper: Hyperparameters, *, scale: GroupScale) -> NDArray[np.float64]:
        """Return the standard deviation of a net move under every stop and target; without replays, that of all trades."""
        cells = self._rows.members(group)
        moments = self._evidence.moments(self._table, cells) if cells else None
        total = 0.0 if moments is None else float(moments.n.sum())
        if moments is None or total == 0.0:
            return np.sqrt(hyper.spread.units) * scale.sigma_ref
        variances = hyper.spread.variances(moments)
        deviation: NDArray[np.float64] = np.sqrt(np.tensordot(moments.n / total, variances, axes=1))
        return deviation

    def _worst(self, sigma: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return worst_moves(self._settings.grid.stops, sigma=sigma, costs=self._settings.costs)

    def _utility_of_cells(self, cells: Sequence[Group], moments: CellMoments, spread: Spread) -> Score:
        """Return the function by which the optimism's forward test scores the settings of the cells: their utility."""
        deviation = np.sqrt(spread.variances(moments))
        worst = self._worst(spread.sigmas(moments)[:, None])[:, :, None]
        leverage = np.array([self._settings.static_scale(cell).leverage_ref for cell in cells])[:, None, None]
        limits = self._settings.size_limits
        return lambda mean: sized(mean=mean, deviation=deviation, worst=worst, leverage=leverage, limits=limits).utility

    def _belief(self, group: Group, hyper: Hyperparameters) -> tuple[Belief, int]:
        """Return the estimate of a group from its cells (pair, direction and bin), and the number of their replays.

        Without replays only the effects that groups share determine it.
        """
        cells = self._rows.members(group) or [self._no_cell]
        evidence = self._evidence.evidence(self._table, cells, pairs=hyper.pairs, periods=hyper.periods)
        counts = evidence.n.sum(axis=1)
        total = float(counts.sum())
        weights = counts / total if total > 0.0 else np.full(len(cells), 1.0 / len(cells))
        return Belief(surfaces=posterior_surfaces(evidence, hyper.model), weights=weights), int(total)

    def chosen_stats(self, group: Group, cell: tuple[int, int]) -> ChosenStats:
        """Return effective number and ambiguous share of a group's replayed trades under one stop and target, a cell of the grid."""
        observed = self._rows.observed(group)
        if not len(observed):
            return ChosenStats(n_eff=0.0, ambiguous_share=0.0)
        if level_of(group) == "bin":
            stop, target = float(self._settings.grid.stops[cell[0]]), float(self._settings.grid.targets[cell[1]])
            parts = self._evidence.outcomes_by_cell(self._table, self._rows.members(group), stop_sigma=stop, target_sigma=target)
        else:
            parts = [self._outcomes(observed, cell)]
        net, is_ambiguous = (np.concatenate([getattr(part, name) for part in parts]) for name in ("net", "is_ambiguous"))
        n_eff = effective_n(net, self._table.fact("open_us")[observed], horizon_days=self._table.days(observed))
        return ChosenStats(n_eff=n_eff, ambiguous_share=float(is_ambiguous.mean()))

    def _outcomes(self, rows: NDArray[np.int64], cell: tuple[int, int]) -> Outcomes:
        stop, target = float(self._settings.grid.stops[cell[0]]), float(self._settings.grid.targets[cell[1]])
        return self._evidence.outcomes(self._table, rows, stop_sigma=stop, target_sigma=target)

    def _scale(self, group: Group, parent: LearnedGroup | None) -> GroupScale:
        rows = self._rows.realised(group)
        sigma = self._table.fact("sigma")[rows]
        sigma = sigma[np.isfinite(sigma)]
        leverage = self._table.fact("leverage")[rows]
        above = self._settings.static_scale(group) if parent is None else _over_horizon_of(group, parent)
        if not len(rows):
            middle = self._settings.static_scale(group) if bin_of(group[2]) != ANY else above
            return GroupScale(sigma_ref=above.sigma_ref, leverage_ref=middle.leverage_ref, leverage_max=middle.leverage_max)
        own = GroupScale(
            sigma_ref=float(sigma.mean()) if len(sigma) else above.sigma_ref,
            leverage_ref=float(leverage.mean()),
            leverage_max=float(leverage.max()),
        )
        # A pair with very low volatility must not prevent the publication of all others; levels are rescaled at entry anyway.
        is_own = is_publishable(self._settings.grid, scale=own, costs=self._settings.costs)
        return own if is_own else replace(own, sigma_ref=above.sigma_ref)


def _over_horizon_of(group: Group, parent: LearnedGroup) -> GroupScale:
    """Return the parent's scale with the volatility over the horizon of a group, which is another one below the root only."""
    factor = horizon_of(group[2]).sigma_factor / horizon_of(parent.group[2]).sigma_factor
    return replace(parent.scale, sigma_ref=parent.scale.sigma_ref * factor)
