"""Learned exit parameters by group of trades, and the lookup of a trade's row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot3.errors import LearningError
from bot3.market.regimes import Regime
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import bin_order
from bot3.trading.trade_classes import bin_of, class_label, class_parts, horizon_of
from bot3.trading.trades import direction

ANY = "*"
"""Means all pairs, both directions or all bins in the key of a row."""


class ParameterState(StrEnum):
    """What trades of a row's group may do."""

    TRADE = "trade"  # a daily review opened its pair and direction, and its lower bound is above zero
    PROBE = "probe"  # neither of the other two: only the smallest order
    SHADOW = "shadow"  # its upper bound is below zero, from enough trades: no orders


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitParameters:
    """Learned exit parameters of one group of trades (a row of `adaptive_params_by_pair`); `learning.validity` defines the bounds.

    Parameters
    ----------
    pair, direction, leverage_bin : str
        The group; "*" for all. Direction is "long" or "short"; `leverage_bin` is the label of a bin and a horizon (`trade_classes`), the
        name of the bin alone for trades of 24 h.
    stop_loss : float
        Below 0: price distance x `leverage_ref` as a ratio of the stake, before fees.
    take_profit_target : float
        Above 0: profit after fees as a ratio of the stake, at `leverage_ref`.
    stop_move, take_profit_move : float
        The same as ratios of the price, before fees; stop below 0, target above 0.
    stop_sigma, take_profit_sigma : float
        The same in units of the volatility at entry; stop below 0, target above 0. A trade's own levels are computed from these. If
        `has_target` is false, the target of all three forms is the largest level, for readers that do not know that field.
    sigma_ref : float
        The group's mean sigma (standard deviation of the log price over the horizon), from which `*_move` is computed; that of its parent
        if it has none, or one so small that no level would be valid.
    leverage_ref : float
        The group's mean leverage, from which the ratios of the stake are computed; without trades the middle of its bin, or its parent's.
    trades_count : int
        Number of all closed trades in the group.
    replays_count : int
        Number of trades whose whole horizon was replayed. If they are few (`BOT3_MIN_TRADES_PER_BIN`), levels, expectancy and bounds are
        those of `parent`.
    n_eff : float
        Effective number of independent observations among them.
    win_rate, avg_profit, profit_factor : float or None
        Statistics of the realised closes; avg_profit is the mean close_profit. None if the group has no trades (profit_factor also if it
        has no loss).
    expectancy, lower_bound, upper_bound : float
        Posterior mean net expectancy of the chosen levels and its 90 % interval, ratio of the price (move).
    confidence : float
        Posterior probability that the expectancy is above 0.
    own_share : float
        Share of the group's own data in the posterior, 0 to 1; the rest is from `parent`.
    parent : str
        Key of the row that it was pooled to, "pair|direction|bin"; "static" for the root.
    ambiguous_share : float
        Share of replayed trades whose chosen stop and target lay in one candle.
    left_out_count, late_count : int or None
        Number of the `trades_count` trades that are missing in the evidence: excluded from learning (exits forced or by hand, in parts, or
        without candles), and closed after the day of their entry could be reviewed. None in rows of releases without these counts.
    is_censored : bool or None
        Whether the pair and direction may not trade because too many of its closes are excluded or late. None in rows above pair and
        direction, and of releases without this flag.
    has_target : bool or None
        False: trades have no target, they end by their stop, by an exit rule or at the horizon. None, in rows of releases without this
        field, means True.
    deviation_move, worst_move : float or None
        Standard deviation of a trade's net move under the levels, and the net move of a trade that its stop ends without a gap (below 0),
        at `sigma_ref`. None in rows of releases without these figures, as for the next two.
    notional_ratio : float or None
        Size of a trade, ratio of the wallet, that the levels were chosen for: the least of the risk target, half Kelly at the expectancy
        (if that is above 0), and the caps.
    utility : float or None
        Expected growth of the wallet's logarithm by a trade of that size; of all levels, the chosen ones have the highest.
    """

    pair: str
    direction: str
    leverage_bin: str
    stop_loss: float
    take_profit_target: float
    stop_move: float
    take_profit_move: float
    stop_sigma: float
    take_profit_sigma: float
    sigma_ref: float
    leverage_ref: float
    trades_count: int
    replays_count: int
    n_eff: float
    win_rate: float | None
    avg_profit: float | None
    profit_factor: float | None
    expectancy: float
    lower_bound: float
    upper_bound: float
    confidence: float
    own_share: float
    parent: str
    ambiguous_share: float
    state: ParameterState
    known_at: datetime
    version: str
    left_out_count: int | None = None
    late_count: int | None = None
    is_censored: bool | None = None
    has_target: bool | None = None
    deviation_move: float | None = None
    worst_move: float | None = None
    notional_ratio: float | None = None
    utility: float | None = None

    @property
    def key(self) -> str:
        """Return "pair|direction|bin", the bin with "@" and the horizon unless that is 24 h."""
        return f"{self.pair}|{self.direction}|{self.leverage_bin}"

    @property
    def horizon(self) -> Horizon:
        """Return the horizon of the group's trades."""
        return horizon_of(self.leverage_bin)

    @property
    def order(self) -> tuple[str, str, float, tuple[float, float]]:
        """Return the sort key by pair, direction, horizon and bin: 24 h first, then the shortest horizon, and the lowest bin first."""
        leverage_bin, horizon = class_parts(self.leverage_bin)
        return self.pair, self.direction, 0.0 if horizon is Horizon.DAY else horizon.sigma_factor, bin_order(leverage_bin)

    @property
    def target_sigma(self) -> float:
        """Return the target that trades have, in units of the volatility at entry; infinity if they have none."""
        return math.inf if self.has_target is False else self.take_profit_sigma

    @property
    def reward_to_risk(self) -> float:
        """Return the distance of the target over the distance of the stop, both as moves of the price before fees."""
        return self.take_profit_move / -self.stop_move


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """All parameters in force as of a time.

    Parameters
    ----------
    rows : mapping
        `ExitParameters.key` to row: cells, then parents "pair|direction|*", "*|direction|*", "*|*|*", and one row per bin "*|*|bin"; for
        each other horizon with trades the same, with "@" and the horizon.
    regime_factors : mapping
        Regime to (factor on the stop, factor on the target), pooled towards 1.
    version : str
        Digest of the set in force (of its newest publication).
    revision : int
        Revision of the record up to which trades were learned from.
    expires_at : datetime
        Market time from which on no entry may use the set.
    """

    rows: Mapping[str, ExitParameters]
    regime_factors: Mapping[Regime, tuple[float, float]]
    version: str
    revision: int
    known_at: datetime
    computed_at: datetime
    expires_at: datetime

    def find(self, *, pair: str, is_short: bool, leverage_bin: str, horizon: Horizon = Horizon.DAY) -> ExitParameters:
        """Return the row of a trade: of its pair, direction and bin, else of pair and direction, else of the direction, else of all trades.

        Only rows of its horizon are looked up. If no trade of that horizon was learned from yet, it is the row of all trades of 24 h, whose
        levels are in units of the volatility over the trade's own horizon as well.

        Raises
        ------
        LearningError
            If the row of all trades is missing too.
        """
        side, own, every = direction(is_short=is_short), class_label(leverage_bin, horizon), class_label(ANY, horizon)
        for key in (f"{pair}|{side}|{own}", f"{pair}|{side}|{every}", f"*|{side}|{every}", f"*|*|{every}", "*|*|*"):
            row = self.rows.get(key)
            if row is not None:
                return row
        raise LearningError(
            f"the row of all trades (*|*|*) of parameters {self.version} is missing: publish them again with `bot3 learn run`"
        )

    def censored(self) -> list[ExitParameters]:
        """Return the rows "pair|direction|*" of all horizons that may not trade because too many closes are excluded or late, by key."""
        rows = (row for row in self.rows.values() if row.is_censored and bin_of(row.leverage_bin) == ANY)
        return sorted(rows, key=lambda row: row.key)

    def require_fresh(self, *, now: datetime) -> None:
        """Raise LearningError if the parameters have expired: `now` (market time) is at or after `expires_at`."""
        if now >= self.expires_at:
            raise LearningError(
                f"parameters {self.version} expired at {self.expires_at.isoformat()}, the market time is {now.isoformat()}: publish them "
                "again with `bot3 learn run`"
            )
