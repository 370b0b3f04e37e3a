"""The learner: computes stop and target of every group of trades from closed trades, in full or only for groups with new trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.parameters.fitting import GroupFits
from bot3.learning.parameters.group_rows import GroupRows
from bot3.learning.parameters.hyperparameters import Hyperparameters
from bot3.learning.parameters.publications import publication
from bot3.learning.parameters.replay_evidence import ReplayEvidence
from bot3.learning.parameters.rows import parameter_row, realised_stats
from bot3.learning.parameters.settings import LearningSettings
from bot3.learning.promotion.permissions import NOBODY, EnteredTrades, Node, Permission, node_of
from bot3.learning.promotion.reviews import last_day_over, row_in_force
from bot3.learning.replay.frames import replay_frame
from bot3.learning.replay.groups import Group, bin_group, group_key, group_of_key, parent_groups
from bot3.learning.replay.loaded_candles import LoadedCandles
from bot3.learning.replay.paths import ReplayCandles
from bot3.learning.replay.replay_frame import ReplayFrame
from bot3.learning.replay.trade_table import TradeTable
from bot3.market.instants import DAY_US, instant_of, instant_us
from bot3.market.timeframes import timeframe_duration
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.trade_classes import horizon_of

__all__ = ["Hyperparameters", "LearningSettings", "ParameterLearner"]


class ParameterLearner:
    """Learner with trades, candles and replays cached in memory, so that one new close costs milliseconds.

    It contains only them and what was fitted from them: what is published, and which groups may trade, are arguments of each call. A group
    is a tuple (pair, direction, leverage bin), "*" for all; a cell is a group without "*".

    Usage: `ingest` trades of the record, `add_candles` of their pairs, `replay_due`, then `learn_all` or `learn_touched`. Calls must be in
    order of market time: data ingested at one `now` is not removed for an earlier one.

    Parameters
    ----------
    evidence : ReplayEvidence or None
        Computes the outcomes of trades; None: it replays them on the candles.
    table : callable
        Returns an empty table of trades.
    hyper : Hyperparameters or None
        Result of an earlier fit; None: `learn_all` or `refit` must be called before `learn_touched`.
    """

    def __init__(
        self,
        settings: LearningSettings,
        *,
        evidence: ReplayEvidence | None = None,
        table: Callable[[ReplayFrame], TradeTable] = TradeTable,
        hyper: Hyperparameters | None = None,
    ) -> None:
        self._settings = settings
        candle = timeframe_duration(settings.timeframe)
        self._frame = ReplayFrame(
            horizon_candles=int(settings.horizon / candle),
            candle_us=candle // timedelta(microseconds=1),
        )
        self._candles = LoadedCandles(self._frame)
        self._evidence = evidence or ReplayEvidence(
            grid=settings.grid, costs=settings.costs, exit_rules=settings.exit_rules, bins=settings.bins
        )
        self._make_table = table
        self.forget_trades()
        self._hyper = hyper

    def forget_trades(self) -> None:
        """Drop all trades and everything fitted from them, but no candles."""
        self._table = self._make_table(self._frame)
        self._hyper = None
        self._later = pd.DataFrame()
        self._evidence.forget_all()
        self._rows = GroupRows(self._table)
        self._fits = GroupFits(self._settings, self._table, self._rows, self._evidence)

    def forget_fit(self) -> None:
        """Drop the hyperparameters: a full run is needed next, and chooses the half-life again."""
        self._hyper = None

    @property
    def settings(self) -> LearningSettings:
        """Return the settings of the learner."""
        return self._settings

    @property
    def table(self) -> TradeTable:
        """Return the table of ingested trades."""
        return self._table

    @property
    def hyper(self) -> Hyperparameters | None:
        """Return the hyperparameters of the last full run; None before the first one and after `forget_fit` or `forget_trades`."""
        return self._hyper

    @property
    def replay_version(self) -> str:
        """Return the version of this learner's replays: a digest of its settings and of the rule."""
        return self._settings.digest

    def ingest(self, trades: pd.DataFrame) -> set[Group]:
        """Ingest new and changed trades (the record's trade frame); return the cells whose trades changed."""
        return self._note(self._table.ingest(trades))

    def ingest_known(self, trades: pd.DataFrame, *, now: datetime) -> set[Group]:
        """Ingest the trades that closed by `now`, also those of earlier calls, and defer the others; return the cells that changed.

        A trade may close between the reads of the clock and of the record; it must be neither used early nor missed.
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
        return self._rows.cells()

    def first_open(self) -> datetime | None:
        """Return the time of the first entry; None without trades."""
        return instant_of(int(self._table.fact("open_us").min())) if len(self._table) else None

    def candles_until(self, pair: str) -> datetime | None:
        """Return the close time of the last loaded candle of a pair; None if no candle is loaded."""
        return self._candles.until(pair)

    def pairs_waiting(self, *, now: datetime) -> list[str]:
        """Return the pairs whose candles and funding must be loaded.

        That is the case if a trade's volatility is unknown yet, its replay is due, or its entry was not checked against candles yet; if
        candles were missing and a retry is due; or if replays lack funding that may be known by now.
        """
        due_us, sigma = self._table.due_us(np.arange(len(self._table))), self._table.fact("sigma")
        waiting = {row for row in self._table.pending if np.isnan(sigma[row]) or due_us[row] <= instant_us(now)} | self._table.unchecked
        pairs = {self._table.trades[row]["pair"] for row in waiting}
        return sorted(
            pairs | self._table.pairs_to_retry(now_us=instant_us(now)) | self._candles.pairs_without_funding(self._table, now=now)
        )

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
        before = self._candles.arrays.get(pair)
        self._replay_again(pair, self._candles.add(pair, candles, funding))
        loaded = self._candles.arrays.get(pair)
        if loaded is not None and loaded is not before:
            self._evidence.candles[pair] = ReplayCandles.of(loaded)

    def _replay_again(self, pair: str, payments: NDArray[np.int64]) -> None:
        if len(payments):
            rows, start_us, end_us = self._table.horizons(pair)
            paid = np.searchsorted(payments, start_us, side="left") < np.searchsorted(payments, end_us, side="right")
            self._table.replay_again(rows[paid])

    def replay_due(self, *, now: datetime) -> set[Group]:
        """Replay every trade whose replay is due by a time; return the cells whose trades to learn from changed."""
        self._candles.look_for_funding(now=now)
        return self._note(self._table.replay_due(self._candles.arrays, self._evidence.candles, now_us=instant_us(now)))

    def unsaved_replays(self) -> tuple[pd.DataFrame, NDArray[np.int64]]:
        """Return the replay frame of replays that are not saved in the record yet, and their rows for `confirm_saved`."""
        rows = self._table.unsaved_rows()
        return replay_frame(self._table, rows, version=self.replay_version), rows

    def last_day_over(self, *, now: datetime) -> int:
        """Return the newest UTC day that a review may count, in days since 1970.

        The horizons of all its entries have passed, and the longest time that any trade was open until now (trades are known only once they
        are closed); and neither it nor an earlier day has a pending replay.
        """
        over = last_day_over(instant_us(now), due_after_us=max(self._frame.due_after_us, self._table.longest_wait_us()))
        waiting = self._table.fact("open_us")[sorted(self._table.pending)]
        return min(over, int(waiting.min()) // DAY_US - 1) if len(waiting) else over

    def entered_on(self, day: int, *, published: ParameterSet) -> EnteredTrades:
        """Return the replayed trades that entered on a UTC day, with their net moves under stop and target of published parameters.

        Parameters
        ----------
        day : int
            Days since 1970.
        published : ParameterSet
            Parameters in force when the day began.
        """
        rows = self._table.by_entry(self._table.observations(np.flatnonzero(self._table.fact("open_us") // DAY_US == day)))
        cells = [self._table.group(row) for row in rows.tolist()]
        in_force = {cell: row_in_force(published, cell) for cell in set(cells)}
        stop_sigma = np.array([-in_force[cell].stop_sigma for cell in cells], dtype=np.float64)
        target_sigma = np.array([in_force[cell].target_sigma for cell in cells], dtype=np.float64)
        found = self._evidence.outcomes(self._table, rows, stop_sigma=stop_sigma, target_sigma=target_sigma)
        return EnteredTrades(
            cells=cells,
            opened_us=self._table.fact("open_us")[rows],
            ended_us=self._evidence.ended_us(self._table, rows, found=found, arrays=self._candles.arrays, candle_us=self._frame.candle_us),
            net=found.net,
            worst=self._evidence.worst(self._table, rows, stop_sigma=stop_sigma),
        )

    def censored_nodes(self) -> frozenset[Node]:
        """Return the pairs and directions of which more than `max_censored_share` of the closes are left out or late."""
        limit = self._settings.max_censored_share
        return frozenset(node for node, counts in self._table.closes_by_node().items() if counts.exceed(limit))

    def windows(self, keys: Iterable[str]) -> dict[str, tuple[datetime, datetime]]:
        """Return the first and last entry of the trades that groups were learned from, by key; groups without such trades are left out."""
        found = {}
        for key in keys:
            opened = self._table.fact("open_us")[self._rows.observed(group_of_key(key))]
            if len(opened):
                first, last = (instant_of(int(at)) for at in (opened.min(), opened.max()))
                found[key] = first, last
        return found

    def funding_missing_share(self) -> float:
        """Return the share of replayed trades with unknown funding in their horizon (unknown rates count as zero)."""
        return self._candles.funding_missing_share(self._table)

    def learn_all(
        self,
        *,
        now: datetime,
        computed_at: datetime,
        life: timedelta,
        revision: int,
        permission: Permission = NOBODY,
        regimes: pd.DataFrame | None = None,
    ) -> ParameterSet:
        """Refit pooling and parents, and return a set with every row.

        Parameters
        ----------
        life : timedelta
            Validity of the set in market time, from `now` on.
        permission : Permission
            The groups that may trade if their lower bound is above 0; none by default.
        regimes : DataFrame or None
            Columns known_at and regime; None leaves the regime factors at 1.
        """
        self.refit(now=now, regimes=regimes)
        return self._set_of(self._row_groups(), permission, now=now, computed_at=computed_at, life=life, revision=revision)

    def refit(self, *, now: datetime, regimes: pd.DataFrame | None = None) -> None:
        """Refit half-life (once a day), pooling strengths, parents and regime factors from all trades, without building rows."""
        self._evidence.forget_outcomes()
        self._hyper = self._fits.hyperparameters(regimes, day=instant_us(now) // DAY_US, before=self._hyper)

    def learn_touched(
        self,
        touched: AbstractSet[Group],
        *,
        now: datetime,
        computed_at: datetime,
        life: timedelta,
        revision: int,
        permission: Permission = NOBODY,
    ) -> ParameterSet:
        """Return a set with the rows of touched cells and of their bins, with the pooling and parents of the last full run.

        Rows that may trade by `permission`, but whose pair and direction it closes for missing closes, are included too.

        Raises
        ------
        LearningError
            If no full run was made in this process.
        """
        withdrawn = {group for group in permission.raised if node_of(group) in permission.closed}
        groups = sorted(touched | {bin_group(name) for _, _, name in touched} | withdrawn)
        return self._set_of(groups, permission, now=now, computed_at=computed_at, life=life, revision=revision)

    def rows_of(
        self, groups: Iterable[Group], *, now: datetime, version: str, permission: Permission = NOBODY
    ) -> dict[str, ExitParameters]:
        """Return the rows of groups by key, with the pooling and parents of the last full run. Raises LearningError if there was none."""
        hyper = self._fitted()
        return {group_key(group): self._row(group, hyper, permission, now=now, version=version) for group in groups}

    def mark_saved(self, replays: pd.DataFrame) -> None:
        """Receive the replays that the record contains: replays that equal them are not saved again."""
        self._table.mark_saved(replays, version=self.replay_version)

    def confirm_saved(self, rows: NDArray[np.int64]) -> None:
        """Mark the replays of some rows as saved (rows of `unsaved_replays`)."""
        self._table.confirm_saved(rows)

    def _note(self, groups: set[Group]) -> set[Group]:
        self._evidence.forget(groups)
        self._rows.forget(groups)
        return groups

    def _row_groups(self) -> list[Group]:
        cells = self.cells()
        return [*parent_groups(cells, bins=self._settings.bins), *cells]

    def _fitted(self) -> Hyperparameters:
        if self._hyper is None:
            raise LearningError("nothing was learned in full yet: call learn_all first")
        return self._hyper

    def _row(self, group: Group, hyper: Hyperparameters, permission: Permission, *, now: datetime, version: str) -> ExitParameters:
        learned = hyper.parents.get(group) or self._fits.learn(group, hyper)
        realised = self._rows.realised(group)
        node = node_of(group)
        return parameter_row(
            learned,
            stats=realised_stats(self._table.fact("close_profit")[realised]),
            chosen=self._fits.chosen_stats(group, learned.cell),
            grid=self._settings.grid,
            costs=self._settings.costs,
            limits=self._settings.size_limits,
            closes=self._table.count_closes(realised),
            may_trade=permission.allows(group) and hyper.has_replays(horizon_of(group[2])),
            is_censored=None if node is None else node in permission.closed,
            known_at=now,
            version=version,
        )

    def _set_of(
        self,
        groups: Iterable[Group],
        permission: Permission,
        *,
        now: datetime,
        computed_at: datetime,
        life: timedelta,
        revision: int,
    ) -> ParameterSet:
        hyper = self._fitted()
        return publication(
            self.rows_of(groups, now=now, version="", permission=permission),
            rule=[self._settings.digest, hyper.half_life_days, permission.day],
            regime_factors=hyper.factors,
            now=now,
            computed_at=computed_at,
            life=life,
            revision=revision,
        )
