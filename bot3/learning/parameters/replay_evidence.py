"""Cache the sums of net moves by cell (pair, direction and bin) and 30 days, so that a new trade requires a replay of its own cell only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.learning.parameters.spread import CellMoments
from bot3.learning.pooling.evidence import Evidence
from bot3.learning.promotion.accounts import worst_losses
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.groups import Group
from bot3.learning.replay.kernel import SQUARES, TOTAL
from bot3.learning.replay.paths import ReplayCandles, ReplayCosts, TradePaths
from bot3.learning.replay.replay import GroupSums, Outcomes, outcomes, sum_groups
from bot3.learning.replay.trade_table import TradeTable
from bot3.market.instants import DAY_US
from bot3.trading.exit_rules import NO_RULES, ExitRules
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import DEFAULT_BINS, LeverageBins
from bot3.trading.trade_classes import bin_of, horizon_of
from bot3.trading.trades import DIRECTIONS

PERIOD_US = 30 * DAY_US
"""Duration of a period: trades seldom overlap two of them, so the uncertainty of a mean can be estimated from the scatter of periods."""
UNKNOWN_PAIR = -1
_HORIZONS = tuple(Horizon)
_PATH = ("entry", "end", "open_rate", "is_short", "leverage", "sigma")


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Periods of the evidence: `count` periods from `first` on; trades outside are counted in the nearest one."""

    first: int
    count: int

    @classmethod
    def of(cls, open_us: NDArray[np.int64]) -> Periods:
        """Return the periods that cover some entries; one period without entries."""
        if not len(open_us):
            return cls(first=0, count=1)
        first, last = int(open_us.min()) // PERIOD_US, int(open_us.max()) // PERIOD_US
        return cls(first=first, count=last - first + 1)

    def places(self, periods: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of each period."""
        return np.clip(periods - self.first, 0, self.count - 1)

    @property
    def ages_days(self) -> NDArray[np.float64]:
        """Return the age of each period in days; the last one has age 0."""
        ages: NDArray[np.float64] = np.arange(self.count - 1, -1, -1, dtype=np.float64) * (PERIOD_US / DAY_US)
        return ages


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSums:
    """Sums of one cell's replays by period: `periods` and `n` of shape (k,), `totals` of shape (k, stops, targets).

    `squares`, of shape (stops, targets), are the sums of the squared net moves of all periods; `sigma` is the mean volatility at entry, NaN
    without replays.
    """

    periods: NDArray[np.int64]
    n: NDArray[np.float64]
    totals: NDArray[np.float64]
    squares: NDArray[np.float64]
    sigma: float


class ReplayEvidence:
    """Replays a table's trades on `candles`, cell by cell, and caches the sums until `forget` is called for the cell.

    Only `outcomes`, `ended_us` and `pair_sums` read candles: a benchmark with known outcomes overrides these three only.
    """

    def __init__(self, *, grid: ExitGrid, costs: ReplayCosts, exit_rules: ExitRules = NO_RULES, bins: LeverageBins = DEFAULT_BINS) -> None:
        self._grid, self._costs, self._exit_rules, self._bins = grid, costs, exit_rules, bins.names
        self._cells: dict[Group, CellSums] = {}
        self._left: dict[Group, dict[tuple[float, float], Outcomes]] = {}
        self.candles: dict[str, ReplayCandles] = {}

    def forget(self, cells: Iterable[Group]) -> None:
        """Drop the cached sums and outcomes of cells whose trades changed."""
        for cell in cells:
            self._cells.pop(cell, None)
            self._left.pop(cell, None)

    def forget_all(self) -> None:
        """Drop the cached sums and outcomes of all cells."""
        self._cells.clear()
        self.forget_outcomes()

    def forget_outcomes(self) -> None:
        """Drop the cached outcomes of all cells: other stops and targets may be requested next."""
        self._left.clear()

    def evidence(self, table: TradeTable, cells: Sequence[Group], *, pairs: Sequence[str], periods: Periods) -> Evidence:
        """Return counts and sums of net moves of some cells in their order; a pair outside `pairs` has the label `UNKNOWN_PAIR`."""
        self._replay(table, [cell for cell in cells if cell not in self._cells])
        shape = (len(cells), periods.count)
        n, totals = np.zeros(shape), np.zeros((*shape, *self._grid.shape))
        for place, cell in enumerate(cells):
            own = self._cells[cell]
            # Two periods have the same index only if they are older or newer than `periods`.
            for at, count, sums in zip(periods.places(own.periods).tolist(), own.n, own.totals, strict=True):
                n[place, at] += count
                totals[place, at] += sums
        codes = {pair: code for code, pair in enumerate(pairs)}
        return Evidence(
            n=n,
            totals=totals,
            pair=np.array([codes.get(pair, UNKNOWN_PAIR) for pair, _, _ in cells], dtype=np.int64),
            direction=np.array([DIRECTIONS.index(side) for _, side, _ in cells], dtype=np.int64),
            leverage_bin=np.array([self._bins.index(bin_of(label)) for _, _, label in cells], dtype=np.int64),
            horizon=np.array([_HORIZONS.index(horizon_of(label)) for _, _, label in cells], dtype=np.int64),
        )

    def moments(self, table: TradeTable, cells: Sequence[Group]) -> CellMoments:
        """Return counts, sums and sums of squares of net moves of some cells in their order, over all periods."""
        self._replay(table, [cell for cell in cells if cell not in self._cells])
        own = [self._cells[cell] for cell in cells]
        return CellMoments(
            n=np.array([one.n.sum() for one in own]),
            totals=np.stack([one.totals.sum(axis=0) for one in own]),
            squares=np.stack([one.squares for one in own]),
            sigma=np.array([one.sigma for one in own]),
        )

    def outcomes(
        self,
        table: TradeTable,
        rows: NDArray[np.int64],
        *,
        stop_sigma: float | NDArray[np.float64],
        target_sigma: float | NDArray[np.float64],
    ) -> Outcomes:
        """Compute the outcomes of replayed trades under one stop and target, or each under its own, in units of the volatility at entry."""
        n = len(rows)
        stops, targets = np.full(n, stop_sigma), np.full(n, target_sigma)
        out = Outcomes(net=np.empty(n), ended_at=np.empty(n, np.int64), code=np.empty(n, np.int8), is_ambiguous=np.empty(n, np.bool_))
        for pair, places in table.by_pair(rows):
            left = outcomes(
                self.candles[pair],
                _paths(table, rows[places]),
                stop_sigma=stops[places],
                target_sigma=targets[places],
                costs=self._costs,
                exit_rules=self._exit_rules,
            )
            out.net[places], out.ended_at[places] = left.net, left.ended_at
            out.code[places], out.is_ambiguous[places] = left.code, left.is_ambiguous
        return out

    def ended_us(
        self, table: TradeTable, rows: NDArray[np.int64], *, found: Outcomes, arrays: Mapping[str, CandleArrays], candle_us: int
    ) -> NDArray[np.int64]:
        """Return when the outcomes of trades became known: the closes of the candles in which they ended, in microseconds since 1970.

        Parameters
        ----------
        found : Outcomes
            Outcomes of the trades (`outcomes`).
        arrays : mapping
            Candles by pair, in which `found.ended_at` counts.
        candle_us : int
            Duration of a candle.
        """
        ended = np.empty(len(rows), np.int64)
        for pair, places in table.by_pair(rows):
            ended[places] = arrays[pair].open_us[found.ended_at[places]] + candle_us
        return ended

    def worst(self, table: TradeTable, rows: NDArray[np.int64], *, stop_sigma: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the worst loss of each trade (`accounts.worst_losses`), as a move of the price, from values known at its entry."""
        sigma, leverage = (table.fact(name)[rows] for name in ("sigma", "leverage"))
        costs = self._costs.round_trip + self._costs.stop_slippage
        return worst_losses(stop_sigma, sigma=sigma, leverage=leverage, costs=costs)

    def outcomes_by_cell(self, table: TradeTable, cells: Sequence[Group], *, stop_sigma: float, target_sigma: float) -> list[Outcomes]:
        """Return the outcomes of each cell's trades under one stop and target, cached until the cell's trades change."""
        found = []
        for cell in cells:
            kept = self._left.setdefault(cell, {})
            if (stop_sigma, target_sigma) not in kept:
                rows = table.observations(table.rows(cell))
                kept[stop_sigma, target_sigma] = self.outcomes(table, rows, stop_sigma=stop_sigma, target_sigma=target_sigma)
            found.append(kept[stop_sigma, target_sigma])
        return found

    def sums_of(self, table: TradeTable, rows: NDArray[np.int64], *, group: NDArray[np.int64], groups: int) -> GroupSums:
        """Compute the sums of replayed trades of all pairs by any grouping, under every stop and target."""
        n, weight = np.zeros(groups, np.int64), np.zeros(groups)
        sums = np.zeros((groups, 5, *self._grid.shape))
        for pair, places in table.by_pair(rows):
            own = self.pair_sums(table, pair, rows[places], group=group[places], groups=groups)
            n, weight, sums = n + own.n, weight + own.weight, sums + own.sums
        return GroupSums(n=n, weight=weight, sums=sums)

    def pair_sums(self, table: TradeTable, pair: str, rows: NDArray[np.int64], *, group: NDArray[np.int64], groups: int) -> GroupSums:
        """Compute the sums of replayed trades of one pair by any grouping, under every stop and target."""
        return sum_groups(
            self.candles[pair],
            _paths(table, rows),
            group=group,
            groups=groups,
            grid=self._grid,
            costs=self._costs,
            exit_rules=self._exit_rules,
        )

    def _replay(self, table: TradeTable, cells: Sequence[Group]) -> None:
        by_pair: dict[str, list[Group]] = {}
        for cell in cells:
            by_pair.setdefault(cell[0], []).append(cell)
        for pair, own in by_pair.items():
            self._replay_pair(table, pair, own)

    def _replay_pair(self, table: TradeTable, pair: str, cells: Sequence[Group]) -> None:
        rows = [table.observations(table.rows(cell)) for cell in cells]
        joined = np.concatenate(rows)
        period = table.fact("open_us")[joined] // PERIOD_US
        first, count = (int(period.min()), int(np.ptp(period)) + 1) if len(joined) else (0, 1)
        cell_of = np.repeat(np.arange(len(cells)), [len(own) for own in rows])
        n, sums = np.zeros((len(cells), count), np.int64), np.zeros((len(cells), count, 2, *self._grid.shape))
        if len(joined):
            groups = len(cells) * count
            found = self.pair_sums(table, pair, joined, group=cell_of * count + period - first, groups=groups)
            n, sums = found.n.reshape(n.shape), found.sums[:, (TOTAL, SQUARES)].reshape(sums.shape)
        for place, (cell, own) in enumerate(zip(cells, rows, strict=True)):
            seen = np.flatnonzero(n[place])
            self._cells[cell] = CellSums(
                periods=first + seen,
                n=n[place, seen].astype(np.float64),
                totals=sums[place, seen, 0],
                squares=sums[place, :, 1].sum(axis=0),
                sigma=float(table.fact("sigma")[own].mean()) if len(own) else np.nan,
            )


def _paths(table: TradeTable, rows: NDArray[np.int64]) -> TradePaths:
    return TradePaths(**{name: table.fact(name)[rows] for name in _PATH}, has_entry_candle=table.has_entry_candle)
