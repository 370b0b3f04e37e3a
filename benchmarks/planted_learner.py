# ruff: noqa: ARG002  (the replacements of candles have the same parameters)
"""The platform's own learner on a synthetic world: the bank supplies the outcomes of trades, everything else is production's code.

The trades of a world are closed trades of one bot, ingested in order of their closes. `BankEvidence` and `PlantedTable` replace the replay
on candles; pooling, choice, published rows, complete days and bets are those of `ParameterLearner` and the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.planted_bank import (
    MAINTENANCE,
    MAKER,
    SLIPPAGE,
    STEPS,
    STOP_SLIPPAGE,
    TAKER,
    Bank,
    bin_leverages,
    minutes_at,
    outcomes_at,
    sum_paths,
)
from benchmarks.planted_world import BIN_OF, DIRECTION_OF, PAIR_OF, World
from bot3.errors import LearningError
from bot3.learning.parameters.learner import ParameterLearner
from bot3.learning.parameters.replay_evidence import ReplayEvidence
from bot3.learning.parameters.settings import LearningSettings
from bot3.learning.promotion.permissions import EnteredTrades, GatedLearner
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.groups import Group
from bot3.learning.replay.kernel import SQUARES, TOTAL
from bot3.learning.replay.paths import ReplayCandles, ReplayCosts
from bot3.learning.replay.replay import GroupSums, Outcomes
from bot3.learning.replay.replay_frame import ReplayFrame, ReplayState
from bot3.learning.replay.trade_table import TradeTable
from bot3.market.instants import DAY_US, MINUTE_US, microseconds
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ParameterSet
from bot3.trading.trades import DIRECTIONS, RunMode

START = datetime(2025, 1, 1, tzinfo=UTC)
"""Start of the first day of every world."""
HORIZON = timedelta(minutes=STEPS)
COSTS = ReplayCosts(
    taker_fee=TAKER,
    maker_fee=MAKER,
    slippage=SLIPPAGE,
    stop_slippage=STOP_SLIPPAGE,
    maintenance_margin_ratio=MAINTENANCE,
    target_rests=True,
)
_CANDLE = timedelta(minutes=5)
_DUE = HORIZON + _CANDLE


def planted_settings(bank: Bank) -> LearningSettings:
    """Return the learner's default settings with the horizon, costs and grid of a bank."""
    return LearningSettings(horizon=HORIZON, costs=COSTS, grid=bank.grid)


def pair_name(pair: int) -> str:
    """Return the name of a pair of a world, counted from 0."""
    return f"P{pair:02d}/USDT:USDT"


def cell_group(cell: int) -> Group:
    """Return the learner's group of a cell of a world."""
    return pair_name(int(PAIR_OF[cell])), DIRECTIONS[int(DIRECTION_OF[cell])], DEFAULT_BINS.names[int(BIN_OF[cell])]


def midnight(day: int) -> datetime:
    """Return the start of a day of a world, counted from 0; the days before it are negative."""
    return START + timedelta(days=day)


class BankEvidence(ReplayEvidence):
    """Evidence that reads the outcomes of a world's trades from the bank, and adds the shift of each trade's cell and setting."""

    def __init__(self, bank: Bank, world: World, *, shift: NDArray[np.float64], costs: ReplayCosts) -> None:
        super().__init__(grid=bank.grid, costs=costs)
        self._bank, self._world, self._shift = bank, world, shift

    def pair_sums(self, table: TradeTable, pair: str, rows: NDArray[np.int64], *, group: NDArray[np.int64], groups: int) -> GroupSums:
        """Return the number, the sum and the sum of squares of the outcomes of some trades by a grouping; the other sums are 0."""
        places = table.fact("trade_id")[rows]
        cell = self._world.trades.cell[places]
        kinds, kind, counts = np.unique(np.stack((group, cell)), axis=1, return_inverse=True, return_counts=True)
        totals, squares = sum_paths(
            self._bank, paths=self._world.trades.path[places], bins=BIN_OF[cell], groups=kind.ravel(), n_groups=len(counts)
        )
        shift, n_of = self._shift[kinds[1]], counts[:, None, None]
        sums = np.zeros((groups, 5, *self._bank.grid.shape))
        np.add.at(sums[:, TOTAL], kinds[0], totals + n_of * shift)
        np.add.at(sums[:, SQUARES], kinds[0], squares + 2.0 * shift * totals + n_of * shift**2)
        n = np.bincount(group, minlength=groups)
        return GroupSums(n=n, weight=n.astype(np.float64), sums=sums)

    def outcomes(
        self,
        table: TradeTable,
        rows: NDArray[np.int64],
        *,
        stop_sigma: float | NDArray[np.float64],
        target_sigma: float | NDArray[np.float64],
    ) -> Outcomes:
        """Return the outcomes of trades, all under one stop and target of the grid or each under its own.

        `ended_at` counts minutes from the entry; `code` and `is_ambiguous` are 0.

        Raises LearningError for a stop or target that is not on the grid.
        """
        places = table.fact("trade_id")[rows]
        grid, cell = self._bank.grid, self._world.trades.cell[places]
        stop = _places(grid.stops, np.full(len(rows), stop_sigma))
        target = _places(grid.targets, np.full(len(rows), target_sigma))
        net = outcomes_at(self._bank, paths=self._world.trades.path[places], bins=BIN_OF[cell], stop=stop, target=target)
        minutes = minutes_at(self._bank, paths=self._world.trades.path[places], bins=BIN_OF[cell], stop=stop, target=target)
        none = np.zeros(len(rows), dtype=np.int8)
        return Outcomes(net=net + self._shift[cell, stop, target], ended_at=minutes, code=none, is_ambiguous=none.astype(np.bool_))

    def ended_us(
        self, table: TradeTable, rows: NDArray[np.int64], *, found: Outcomes, arrays: Mapping[str, CandleArrays], candle_us: int
    ) -> NDArray[np.int64]:
        """Return the closes of the candles that contain the ends of trades: candles of `candle_us` that begin with the entry."""
        candles = found.ended_at * MINUTE_US // candle_us + 1
        ended: NDArray[np.int64] = table.fact("open_us")[rows] + candles * candle_us
        return ended


class PlantedTable(TradeTable):
    """Trades that count as replayed as soon as their horizon and one more candle have passed, because no candles are needed."""

    def __init__(self, bank: Bank, world: World, frame: ReplayFrame) -> None:
        super().__init__(frame)
        self._sigma = bank.sigma[world.trades.path].astype(np.float64)
        self._places = np.zeros(0, dtype=np.int64)

    def fact(self, name: str) -> NDArray[Any]:
        """Return one column; "trade_id" is the position of each trade in the world."""
        return self._places if name == "trade_id" else super().fact(name)

    def ingest(self, trades: pd.DataFrame) -> set[Group]:
        """Add new trades, in any order; return the changed groups."""
        self._places = np.concatenate((self._places, trades["trade_id"].to_numpy(dtype=np.int64)))
        return super().ingest(trades)

    def replay_due(self, candles: dict[str, CandleArrays], walked: dict[str, ReplayCandles], *, now_us: int) -> set[Group]:
        """Mark every pending trade that is due by a time as replayed; return the groups of these trades."""
        rows = np.array(sorted(self.pending), dtype=np.int64)
        rows = rows[self.fact("open_us")[rows] + _DUE // timedelta(microseconds=1) <= now_us]
        self.fact("sigma")[rows], self.fact("state")[rows] = self._sigma[self._places[rows]], int(ReplayState.COMPLETE)
        self.pending.difference_update(rows.tolist())
        return {self.group(row) for row in rows.tolist()}


class PlantedFeed:
    """A learner of a world, and the world's closed trades, which it ingests over time.

    Parameters
    ----------
    shift : array of shape (cells, stops, targets)
        Added to every outcome.
    frame : DataFrame or None
        The closed trades; None means those of `trade_frame`.
    settings : LearningSettings or None
        Settings of the learner; None means `planted_settings`.
    """

    def __init__(
        self,
        bank: Bank,
        world: World,
        *,
        shift: NDArray[np.float64],
        frame: pd.DataFrame | None = None,
        settings: LearningSettings | None = None,
    ) -> None:
        settings = settings or planted_settings(bank)
        self.learner = ParameterLearner(
            settings,
            evidence=BankEvidence(bank, world, shift=shift, costs=settings.costs),
            table=lambda frame: PlantedTable(bank, world, frame),
        )
        self._frame = (trade_frame(world) if frame is None else frame).sort_values("close_date", kind="stable", ignore_index=True)
        self._closes_us = microseconds(self._frame["close_date"])
        self._taken = 0

    def take_in(self, *, now: datetime) -> None:
        """Ingest the trades closed at or before a time, and replay those that are due."""
        end = int(np.searchsorted(self._closes_us, int(now.timestamp()) * 1_000_000, side="right"))
        self.learner.ingest(self._frame.iloc[self._taken : end])
        self.learner.replay_due(now=now)
        self._taken = end


class JudgedDays:
    """A learner, as the gate reads it, that keeps the result of the last day for a second query with the same version."""

    def __init__(self, learner: GatedLearner) -> None:
        self._learner = learner
        self._last: tuple[int, str, EnteredTrades] | None = None

    def last_day_over(self, *, now: datetime) -> int:
        """Return the learner's last complete day."""
        return self._learner.last_day_over(now=now)

    def cells(self) -> list[Group]:
        """Return the learner's cells."""
        return self._learner.cells()

    def entered_on(self, day: int, *, published: ParameterSet) -> EnteredTrades:
        """Return the trades entered on a day, as the learner does; the last result again for the same day and version."""
        if self._last is None or self._last[:2] != (day, published.version):
            self._last = day, published.version, self._learner.entered_on(day, published=published)
        return self._last[2]


class Publications:
    """Publications in memory, ascending by time; they replace the record in a review."""

    def __init__(self) -> None:
        self.published: list[ParameterSet] = []

    def as_of(self, at: datetime) -> ParameterSet:
        """Return the last publication known at or before a time. Raises LearningError if there is none."""
        known = [one for one in self.published if one.known_at <= at]
        if not known:
            raise LearningError(f"no publication is known by {at.isoformat()}")
        return known[-1]


def trade_frame(world: World) -> pd.DataFrame:
    """Return a world's trades, sorted by entry, in the form in which the record returns trades; each closes at the end of its horizon."""
    trades = world.trades
    opened = pd.Series(pd.to_datetime(_entries_us(world), unit="us", utc=True)).astype("datetime64[us, UTC]")
    columns: dict[str, Any] = {
        "bot": "BOT3",
        "run_mode": RunMode.PAPER.value,
        "trade_id": np.arange(len(trades)),
        "open_date": opened,
        "close_date": opened + HORIZON,
        "pair": np.array([pair_name(pair) for pair in range(int(PAIR_OF.max()) + 1)])[PAIR_OF[trades.cell]],
        "is_short": DIRECTION_OF[trades.cell] == DIRECTIONS.index("short"),
        "direction": np.array(DIRECTIONS)[DIRECTION_OF[trades.cell]],
        "leverage": bin_leverages()[BIN_OF[trades.cell]],
        "leverage_bin": np.array(DEFAULT_BINS.names)[BIN_OF[trades.cell]],
        "open_rate": 100.0,
        "close_profit": 0.0,  # not read for stops, targets and evidence
        "exit_reason": "roi",
    }
    return pd.DataFrame(columns)


def _entries_us(world: World) -> NDArray[np.int64]:
    start = int(START.timestamp()) * 1_000_000
    entries: NDArray[np.int64] = start + (world.trades.entry_days * DAY_US).astype(np.int64)
    return entries


def _places(levels: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the grid indices of levels. Raises LearningError for a level that is not on the grid."""
    places = np.minimum(np.searchsorted(levels, sigma * (1.0 - 1e-9)), len(levels) - 1)
    if bool((np.abs(levels[places] - sigma) > 1e-9 * sigma).any()):
        raise LearningError("a published level is not on the grid of the bank")
    return places
