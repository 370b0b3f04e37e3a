"""The learner: compute exit parameters of every group from closed trades, in full or only for groups touched by new trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import CandleError, LearningError
from bot3.learning.parameters.hyperparameters import Hyperparameters, Prior
from bot3.learning.parameters.publications import publication
from bot3.learning.parameters.regime_factors import NO_FACTORS, regime_factors, regimes_at
from bot3.learning.parameters.replay_evidence import Periods, ReplayEvidence
from bot3.learning.parameters.rows import (
    ChosenStats,
    GroupScale,
    LearnedGroup,
    allowed_cells,
    best_cell,
    is_publishable,
    parameter_row,
    realised_stats,
)
from bot3.learning.parameters.settings import LearningSettings
from bot3.learning.pooling.beliefs import Belief
from bot3.learning.pooling.empirical_bayes import effective_n
from bot3.learning.pooling.evidence import Evidence
from bot3.learning.pooling.memory import choose_half_life, period_weights
from bot3.learning.pooling.surface_model import fit_model
from bot3.learning.pooling.surfaces import posterior_surfaces
from bot3.learning.promotion.permissions import NOBODY, EnteredTrades, Gate, GateLedger, Node, node_of
from bot3.learning.promotion.reviews import BettingGate, last_day_over, row_in_force
from bot3.learning.replay.candle_arrays import CandleArrays, candle_arrays
from bot3.learning.replay.frames import replay_frame
from bot3.learning.replay.funding import changed_payments, funding_missing, has_funding, is_funding_known
from bot3.learning.replay.groups import ROOT, Group, bin_group, group_key, group_of_key, level_of, members_by_group, parent_groups
from bot3.learning.replay.paths import ReplayCandles
from bot3.learning.replay.replay import Outcomes
from bot3.learning.replay.trade_table import GRACE_US, RETRY_US, ReplayFrame, TradeTable
from bot3.market.instants import DAY_US, instant_of, instant_us, microseconds
from bot3.market.regimes import Regime
from bot3.market.timeframes import timeframe_duration
from bot3.trading.leverage_bins import LEVERAGE_BINS
from bot3.trading.parameters import ANY, ExitParameters, ParameterSet
from bot3.trading.trades import DIRECTIONS

__all__ = ["Hyperparameters", "LearningSettings", "ParameterLearner"]

_NO_CELL: Group = ("", DIRECTIONS[0], LEVERAGE_BINS[0])  # placeholder if there are no trades


class ParameterLearner:
    """Learner with trades, candles and replays cached in memory, so that one new close costs milliseconds.

    Usage: `ingest` trades of the record, `add_candles` of their pairs, `replay_due`, then `learn_all` or `learn_touched`. Calls must be in
    order of time: data ingested at one `now` is not removed for an earlier one.
    """

    def __init__(self, settings: LearningSettings, *, evidence: ReplayEvidence | None = None) -> None:
        self.settings = settings
        self.gate: Gate = BettingGate()
        candle = timeframe_duration(settings.timeframe)
        self._frame = ReplayFrame(
            horizon_candles=int(settings.horizon / candle),
            candle_us=candle // timedelta(microseconds=1),
        )
        self._candles: dict[str, CandleArrays] = {}
        self._evidence = evidence or ReplayEvidence(grid=settings.grid, costs=settings.costs, exit_rules=settings.exit_rules)
        self._raw: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {}
        self._funding_looked_us = 0
        self.reset()

    def reset(self) -> None:
        """Drop all trades, but no candles; needed when the record lost trades or another record is read."""
        self.table = TradeTable(self._frame)
        self.hyper: Hyperparameters | None = None
        self.touched: set[Group] = set()
        self.revision: int | None = None
        self.deleted: int | None = None
        self.published_version: str | None = None
        self.published_token: str | None = None
        self.ledger: GateLedger | None = None
        self.permission = NOBODY
        self._later = pd.DataFrame()
        self._evidence.forget_all()
        self._rows_of_cell: dict[Group, NDArray[np.int64]] = {}
        self._members: dict[Group, list[Group]] | None = None

    @property
    def replay_version(self) -> str:
        """Return the version of this learner's replays."""
        return self.settings.digest

    def ingest(self, trades: pd.DataFrame) -> set[Group]:
        """Ingest new and changed trades (the record's trade frame); return the groups they touch."""
        return self._note(self.table.ingest(trades))

    def ingest_known(self, trades: pd.DataFrame, *, now: datetime) -> set[Group]:
        """Ingest the trades that closed by `now`, and defer the others to a later call.

        A close may be written between the reads of the clock and of the record; it must be neither used early nor missed.
        """
        waiting = trades if self._later.empty else pd.concat([self._later, trades], ignore_index=True)
        if len(waiting):
            # A newer state of a trade replaces a deferred one.
            waiting = waiting.drop_duplicates(subset=["bot", "run_mode", "trade_id", "open_date"], keep="last")
        known = (waiting["close_date"] <= pd.Timestamp(now)).to_numpy(dtype=np.bool_) if len(waiting) else np.zeros(0, dtype=np.bool_)
        self._later = waiting[~known]
        return self.ingest(waiting[known])

    def cells(self) -> list[Group]:
        """Return the cells that contain trades, sorted."""
        return self._members_of(ROOT)

    def first_open(self) -> datetime | None:
        """Return the time of the first entry; None without trades."""
        return instant_of(int(self.table.fact("open_us").min())) if len(self.table) else None

    def candles_until(self, pair: str) -> datetime | None:
        """Return the close of the last loaded candle of a pair; None if no candle is loaded."""
        held = self._candles.get(pair)
        if held is None or not len(held):
            return None
        return instant_of(int(held.open_us[-1]) + self._frame.candle_us)

    def pairs_waiting(self, *, now: datetime) -> list[str]:
        """Return the pairs whose candles and funding must be loaded.

        That is the case if a trade has no volatility yet, its replay is due, or its entry is unchecked, if candles could not be loaded some
        time ago and a retry is due, or if funding is missing in a replay of the last day.
        """
        opened, sigma = self.table.fact("open_us"), self.table.fact("sigma")
        limit = instant_us(now) - self._frame.due_after_us
        waiting = {row for row in self.table.pending if np.isnan(sigma[row]) or opened[row] <= limit} | self.table.unchecked
        pairs = {self.table.trades[row]["pair"] for row in waiting}
        return sorted(pairs | self.table.pairs_to_retry(now_us=instant_us(now)) | self._pairs_without_funding(now_us=instant_us(now)))

    def add_candles(self, pair: str, candles: pd.DataFrame, funding: pd.DataFrame) -> None:
        """Append a pair's new candles, and replace its funding; trades that were replayed with other payments become due again.

        Parameters
        ----------
        candles : DataFrame
            Candles that follow the loaded ones; may be empty.
        funding : DataFrame
            All payments known by now from the first loaded candle on, oldest first, one row per instant.

        Raises
        ------
        CandleError
            If candles or payments are not in order with unique times, or candles do not follow the loaded ones.
        """
        _require_increasing(candles["open_time"], f"candles of {pair}")
        _require_increasing(funding["time"], f"funding of {pair}")
        held_candles, held_funding = self._raw.get(pair, (None, None))
        if held_candles is not None and len(held_candles):
            if len(candles) and candles["open_time"].iloc[0] <= held_candles["open_time"].iloc[-1]:
                raise CandleError(f"candles of {pair} from {candles['open_time'].iloc[0]} on are already loaded: read only later ones")
            if not len(candles) and held_funding is not None and funding.equals(held_funding):
                return
            candles = pd.concat([held_candles, candles], ignore_index=True) if len(candles) else held_candles
        if held_funding is not None:
            self._replay_again(pair, changed_payments(held_funding, funding))
        self._raw[pair] = (candles, funding)
        if len(candles):
            self._candles[pair] = candle_arrays(candles, funding, horizon_candles=self._frame.horizon_candles)
            self._evidence.candles[pair] = ReplayCandles.of(self._candles[pair])

    def _is_funding_look_due(self, now_us: int) -> bool:
        return now_us - self._funding_looked_us >= RETRY_US

    def _pairs_without_funding(self, *, now_us: int) -> set[str]:
        """Return the pairs with missing funding in a replay that became due within the last day; empty until the next check is due."""
        if not self._is_funding_look_due(now_us):
            return set()
        found = set()
        for pair, candles in self._candles.items():
            _, start_us, end_us = self.table.horizons(pair)
            recent = end_us > now_us - GRACE_US
            if has_funding(pair) and not is_funding_known(candles.funding_us, start_us[recent], end_us[recent]).all():
                found.add(pair)
        return found

    def _replay_again(self, pair: str, payments: NDArray[np.int64]) -> None:
        if len(payments):
            rows, start_us, end_us = self.table.horizons(pair)
            paid = np.searchsorted(payments, start_us, side="left") < np.searchsorted(payments, end_us, side="right")
            self.table.replay_again(rows[paid])

    def replay_due(self, *, now: datetime) -> set[Group]:
        """Replay every trade whose horizon has ended by a time; return the groups whose observations changed."""
        if self._is_funding_look_due(instant_us(now)):
            self._funding_looked_us = instant_us(now)
        return self._note(self.table.replay_due(self._candles, self._evidence.candles, now_us=instant_us(now)))

    def unsaved_replays(self) -> tuple[pd.DataFrame, NDArray[np.int64]]:
        """Return the replay frame of replays that are not saved in the record yet, and their rows for `table.confirm_saved`."""
        rows = self.table.unsaved_rows()
        return replay_frame(self.table, rows, due_after_us=self._frame.due_after_us, version=self.replay_version), rows

    def last_day_over(self, *, now: datetime) -> int:
        """Return the newest day that may be folded, in days since 1970: neither it nor an earlier day has a pending replay."""
        over = last_day_over(instant_us(now), due_after_us=self._frame.due_after_us)
        waiting = self.table.fact("open_us")[sorted(self.table.pending)]
        return min(over, int(waiting.min()) // DAY_US - 1) if len(waiting) else over

    def entered_on(self, day: int, *, published: ParameterSet) -> EnteredTrades:
        """Return the observations that entered on a day, with their net moves under the levels published before it."""
        rows = self.table.by_entry(self.table.observations(np.flatnonzero(self.table.fact("open_us") // DAY_US == day)))
        cells = [self.table.group(row) for row in rows.tolist()]
        in_force = {cell: row_in_force(published, cell) for cell in set(cells)}
        stop_sigma = np.array([-in_force[cell].stop_sigma for cell in cells], dtype=np.float64)
        target_sigma = np.array([in_force[cell].take_profit_sigma for cell in cells], dtype=np.float64)
        return EnteredTrades(
            cells=cells,
            net=self._evidence.outcomes(self.table, rows, stop_sigma=stop_sigma, target_sigma=target_sigma).net,
            worst=self._evidence.worst(self.table, rows, stop_sigma=stop_sigma),
        )

    def censored_nodes(self) -> frozenset[Node]:
        """Return the pairs and directions with more than `max_censored_share` of their closes left out or late."""
        limit = self.settings.max_censored_share
        return frozenset(node for node, counts in self.table.closes_by_node().items() if counts.exceed(limit))

    def windows(self, keys: Iterable[str]) -> dict[str, tuple[datetime, datetime]]:
        """Return first and last entry of the observations of groups, by key; groups without observations are omitted."""
        found = {}
        for key in keys:
            opened = self.table.fact("open_us")[self._rows(group_of_key(key))[1]]
            if len(opened):
                first, last = (instant_of(int(at)) for at in (opened.min(), opened.max()))
                found[key] = first, last
        return found

    def funding_missing_share(self) -> float:
        """Return the share of replayed trades with unknown funding in their horizon (unknown rates count as zero)."""
        rows = self.table.observations(np.arange(len(self.table)))
        if not len(rows):
            return 0.0
        opened, without = self.table.fact("open_us")[rows], 0
        for pair, places in self.table.by_pair(rows):
            times = self._candles[pair].funding_us if pair in self._candles else np.zeros(0, dtype=np.int64)
            ends = opened[places] + self._frame.horizon_candles * self._frame.candle_us
            without += funding_missing(pair, times, opened[places], ends)
        return without / len(rows)

    def learn_all(
        self, *, now: datetime, computed_at: datetime, life: timedelta, revision: int, regimes: pd.DataFrame | None = None
    ) -> ParameterSet:
        """Refit pooling and parents, and return a set with every row.

        Parameters
        ----------
        life : timedelta
            Validity of the set in market time, from `now` on.
        regimes : DataFrame or None
            Columns known_at and regime; None leaves the regime factors at 1.
        """
        self.refit(now=now, regimes=regimes)
        return self._publish(self._row_groups(), now=now, computed_at=computed_at, life=life, revision=revision)

    def refit(self, *, now: datetime, regimes: pd.DataFrame | None = None) -> None:
        """Refit half-life (once a day), pooling strengths, parents and regime factors from all trades, without building rows."""
        self._evidence.forget_outcomes()
        self.hyper = self._fit(regimes, day=instant_us(now) // DAY_US)

    def learn_touched(self, *, now: datetime, computed_at: datetime, life: timedelta, revision: int) -> ParameterSet:
        """Return a set with the rows of touched cells and of their bins, with the pooling and parents of the last full run.

        Raises
        ------
        LearningError
            If no full run was made in this process.
        """
        if self.hyper is None:
            raise LearningError("nothing was learned in full yet: call learn_all first")
        # Cells that lost their permission are published at once, even if no close of their own caused it.
        withdrawn = {group for group in self.permission.raised if node_of(group) in self.permission.closed}
        touched = sorted(self.touched | {bin_group(name) for _, _, name in self.touched} | withdrawn)
        return self._publish(touched, now=now, computed_at=computed_at, life=life, revision=revision)

    def rows_of(self, groups: Iterable[Group], *, now: datetime, version: str) -> dict[str, ExitParameters]:
        """Return the rows of groups with the pooling and parents in force."""
        return {group_key(group): self._row(group, now=now, version=version) for group in groups}

    def _note(self, groups: set[Group]) -> set[Group]:
        self._evidence.forget(groups)
        for group in groups:
            self._rows_of_cell.pop(group, None)
        if groups:
            self._members = None
        self.touched |= groups
        return groups

    def _members_of(self, group: Group) -> list[Group]:
        if self._members is None:
            self._members = members_by_group(cell for cell, rows in self.table.by_group.items() if rows)
        return self._members.get(group, [])

    def _row_groups(self) -> list[Group]:
        cells = self.cells()
        return [*parent_groups(cells), *cells]

    def _fit(self, regimes: pd.DataFrame | None, *, day: int) -> Hyperparameters:
        cells = self.cells()
        pairs = tuple(sorted({pair for pair, _, _ in cells}))
        periods = Periods.of(self.table.fact("open_us"))
        evidence = self._evidence.evidence(self.table, cells or [_NO_CELL], pairs=pairs, periods=periods)
        half_life_days, chosen_on = self._memory(evidence, periods, day=day)
        weights = period_weights(periods.ages_days, half_life_days)
        model = fit_model(evidence, **self._before_any_trade(), weights=weights)
        parents: dict[Group, LearnedGroup] = {}
        hyper = Hyperparameters(
            model=model,
            pairs=pairs,
            periods=periods,
            parents=parents,
            factors=NO_FACTORS,
            half_life_days=half_life_days,
            chosen_on=chosen_on,
        )
        for group in parent_groups(cells):
            if level_of(group) != "bin":
                parents[group] = self._learn(group, hyper)
        return replace(hyper, factors=self._factors(parents[ROOT], regimes))

    def _memory(self, evidence: Evidence, periods: Periods, *, day: int) -> tuple[float | None, int]:
        """Return the half-life and the day it was chosen on; it is chosen once a day, because that costs twice as much as the fit."""
        if self.hyper is not None and self.hyper.chosen_on == day:
            return self.hyper.half_life_days, day
        return choose_half_life(evidence, ages_days=periods.ages_days, **self._before_any_trade()).days, day

    def _before_any_trade(self) -> Prior:
        told = self.settings
        return {"prior": told.static_surface(self._scale(ROOT, None)), "strength": told.static_strength, "deviation": told.static_sigma}

    def _factors(self, root: LearnedGroup, regimes: pd.DataFrame | None) -> Mapping[Regime, tuple[float, float]]:
        rows = self._rows(ROOT)[1]
        if regimes is None or regimes.empty or not len(rows):
            return NO_FACTORS
        opened = self.table.fact("open_us")[rows]
        labels = regimes_at(opened, regimes)
        rows, opened, labels = rows[labels >= 0], opened[labels >= 0], labels[labels >= 0]
        sums = self._evidence.sums_of(self.table, rows, group=labels, groups=len(Regime))
        net = self._outcomes(rows, root.cell).net
        n_eff = [effective_n(net[labels == place], opened[labels == place], horizon_days=self._days) for place in range(len(Regime))]
        return regime_factors(sums, n_eff=np.array(n_eff), surface=root.surface, cell=root.cell, grid=self.settings.grid)

    def _learn(self, group: Group, hyper: Hyperparameters) -> LearnedGroup:
        parent = None if group == ROOT else hyper.parent(group)
        belief, n = self._belief(group, hyper)
        is_own = parent is None or n >= self.settings.min_trades
        if parent is not None and not is_own:
            belief = parent.belief
        scale = self._scale(group, parent)
        surface = belief.surface
        allowed = allowed_cells(self.settings.grid, group=group, scale=scale, costs=self.settings.costs)
        return LearnedGroup(
            group=group,
            n=n,
            is_own=is_own and n > 0,
            belief=belief,
            surface=surface,
            cell=best_cell(surface, allowed),
            scale=scale,
            parent=parent,
        )

    def _belief(self, group: Group, hyper: Hyperparameters) -> tuple[Belief, int]:
        """Return the belief on a group from its cells, and their number of replays; without replays only shared effects determine it."""
        cells = self._members_of(group) or [_NO_CELL]
        evidence = self._evidence.evidence(self.table, cells, pairs=hyper.pairs, periods=hyper.periods)
        counts = evidence.n.sum(axis=1)
        total = float(counts.sum())
        weights = counts / total if total > 0.0 else np.full(len(cells), 1.0 / len(cells))
        return Belief(surfaces=posterior_surfaces(evidence, hyper.model), weights=weights), int(total)

    def _row(self, group: Group, *, now: datetime, version: str) -> ExitParameters:
        if self.hyper is None:
            raise LearningError("nothing was learned in full yet: call learn_all first")
        learned = self.hyper.parents.get(group) or self._learn(group, self.hyper)
        realised, observed = self._rows(group)
        node = node_of(group)
        return parameter_row(
            learned,
            stats=realised_stats(self.table.fact("close_profit")[realised]),
            chosen=self._chosen(group, observed, learned.cell),
            grid=self.settings.grid,
            costs=self.settings.costs,
            closes=self.table.count_closes(realised),
            may_trade=self.permission.allows(group),
            is_censored=None if node is None else node in self.permission.closed,
            known_at=now,
            version=version,
        )

    def _chosen(self, group: Group, observed: NDArray[np.int64], cell: tuple[int, int]) -> ChosenStats:
        if not len(observed):
            return ChosenStats(n_eff=0.0, ambiguous_share=0.0)
        if level_of(group) == "bin":
            stop, target = float(self.settings.grid.stops[cell[0]]), float(self.settings.grid.targets[cell[1]])
            parts = self._evidence.outcomes_by_cell(self.table, self._members_of(group), stop_sigma=stop, target_sigma=target)
        else:
            parts = [self._outcomes(observed, cell)]
        net, is_ambiguous = (np.concatenate([getattr(part, name) for part in parts]) for name in ("net", "is_ambiguous"))
        n_eff = effective_n(net, self.table.fact("open_us")[observed], horizon_days=self._days)
        return ChosenStats(n_eff=n_eff, ambiguous_share=float(is_ambiguous.mean()))

    def _outcomes(self, rows: NDArray[np.int64], cell: tuple[int, int]) -> Outcomes:
        stop, target = float(self.settings.grid.stops[cell[0]]), float(self.settings.grid.targets[cell[1]])
        return self._evidence.outcomes(self.table, rows, stop_sigma=stop, target_sigma=target)

    def _rows(self, group: Group) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of a group's trades, and those of its observations, both sorted by cell, then by entry."""
        cells = self._members_of(group)
        realised = np.concatenate([self._cell_rows(cell) for cell in cells]) if cells else np.zeros(0, dtype=np.int64)
        return realised, self.table.observations(realised)

    def _cell_rows(self, cell: Group) -> NDArray[np.int64]:
        if cell not in self._rows_of_cell:
            self._rows_of_cell[cell] = self.table.rows(cell)
        return self._rows_of_cell[cell]

    @property
    def _days(self) -> int:
        return max(1, -(-self.settings.horizon // timedelta(days=1)))

    def _scale(self, group: Group, parent: LearnedGroup | None) -> GroupScale:
        rows = self._rows(group)[0]
        sigma = self.table.fact("sigma")[rows]
        sigma = sigma[np.isfinite(sigma)]
        leverage = self.table.fact("leverage")[rows]
        above = self.settings.static_scale(group) if parent is None else parent.scale
        if not len(rows):
            middle = self.settings.static_scale(group) if group[2] != ANY else above
            return GroupScale(sigma_ref=above.sigma_ref, leverage_ref=middle.leverage_ref, leverage_max=middle.leverage_max)
        own = GroupScale(
            sigma_ref=float(sigma.mean()) if len(sigma) else above.sigma_ref,
            leverage_ref=float(leverage.mean()),
            leverage_max=float(leverage.max()),
        )
        # A pair with very low volatility must not prevent the publication of all others; levels are rescaled at entry anyway.
        is_own = is_publishable(self.settings.grid, scale=own, costs=self.settings.costs)
        return own if is_own else replace(own, sigma_ref=above.sigma_ref)

    def _publish(self, groups: Iterable[Group], *, now: datetime, computed_at: datetime, life: timedelta, revision: int) -> ParameterSet:
        if self.hyper is None:
            raise LearningError("nothing was learned in full yet: call learn_all first")
        return publication(
            self.rows_of(groups, now=now, version=""),
            rule=[self.settings.digest, self.hyper.half_life_days, self.permission.day],
            regime_factors=self.hyper.factors,
            now=now,
            computed_at=computed_at,
            life=life,
            revision=revision,
        )


def _require_increasing(times: pd.Series[Any], what: str) -> None:
    if len(times) > 1 and not bool((np.diff(microseconds(times)) > 0).all()):
        raise CandleError(f"{what} must be in order with unique times: repair their source")
