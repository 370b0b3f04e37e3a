"""The report of an audit: figures with their evidence, and the trades that could not be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from bot3.learning.evaluation.comparison import Comparison, IntervalEstimate, Verdict
from bot3.learning.parameters.rows import RealisedStats
from bot3.ports.foreign_trades import RefusedTrade
from bot3.trading.figures import MoneyFigures
from bot3.trading.intervals import MIN_DAYS
from bot3.trading.parameters import ANY, ExitParameters
from bot3.trading.trades import RunMode
from bot3.usecases.learning.left_out import UnusedTrades


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupComparison:
    """Learned compared with static settings in one group; `key` is a pair, a direction, a bin, or "pair|direction|bin"."""

    key: str
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfSampleResult:
    """Expected outcome of the learned settings before the split, and their actual outcome after it; ratios of the price, net.

    Parameters
    ----------
    expected_move : float
        Mean posterior expectancy of the settings that the judged trades would have used.
    kept : IntervalEstimate
        Mean actual outcome of these trades.
    optimism_move : float
        expected - kept: the correction of a figure from before the split.
    gain_fitted_move : float
        Gain over the static settings on the trades used for fitting: the figure of an uncorrected report.
    """

    expected_move: float
    kept: IntervalEstimate
    optimism_move: float
    gain_fitted_move: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCosts:
    """Costs charged: fee and slippage per side, more at stops; and the share of used trades without known funding (counted as zero)."""

    fee: float
    fee_is_from_trades: bool
    slippage: float
    stop_slippage: float
    funding_missing_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeCounts:
    """Numbers of the database's trades by use: closed = used + unused; used = fitted + embargoed + judged.

    `*_days` are UTC days with an entry. `refused` are rows that cannot be trades; each is also counted in `closed` or `open`, according to
    its own state.
    """

    closed: int
    open: int
    refused: int
    used: int
    fitted: int
    embargoed: int
    judged: int
    fitted_days: int
    judged_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFit:
    """Whether candles and trades match: share of entries outside their candle, and the shift of hours that corrects nearly all.

    `shift_hours` is 0 if the dates match unchanged or no shift corrects them; with summer time some entries need one hour more.
    """

    outside_share: float
    shift_hours: int
    has_summer_time: bool = False

    @property
    def is_in_another_zone(self) -> bool:
        """Return whether dates of another time zone explain nearly all entries outside their candles."""
        return self.shift_hours != 0 or self.has_summer_time


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralOrders:
    """Trades with several entries or exits, replayed from their orders under the static settings; nothing is learned from them.

    Parameters
    ----------
    n, trades : int
        Number of replayed trades, and of all; shares are of the replayed ones, all figures are None if there is none.
    unreplayed : tuple of UnusedTrades
        The others by reason.
    orders, orders_done : int
        Orders of the replayed trades except their last exits, and those before the simulated exits: the others are not executed.
    realised_profit : float or None
        Mean profit at which the bot closed them, ratio of the stake.
    static : IntervalEstimate or None
        Mean outcome under the static settings.
    stopped_share, reached_share, held_share, liquidated_share : float or None
        Shares by simulated end: at the stop, at the target, at the end of the horizon, by liquidation.
    outlived_share : float or None
        Share whose simulated exit is after the real one: orders that the bot would have added then are unknown.
    ambiguous_share : float or None
        Share that ended in a candle with both levels or an order in it: which was first is assumed.
    funding_missing_share : float or None
        Share whose funding is not known over the whole horizon; unknown rates were counted as zero.
    judged : Comparison or None
        Learned compared with static settings on those entered after the split; learned before it, from trades with one entry and one exit.
    """

    n: int
    trades: int
    unreplayed: tuple[UnusedTrades, ...]
    orders: int = 0
    orders_done: int = 0
    realised_profit: float | None = None
    static: IntervalEstimate | None = None
    stopped_share: float | None = None
    reached_share: float | None = None
    held_share: float | None = None
    liquidated_share: float | None = None
    outlived_share: float | None = None
    ambiguous_share: float | None = None
    funding_missing_share: float | None = None
    judged: Comparison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOutcome:
    """Sums over the judged trades that were entered on one UTC day, in stakes."""

    day: date
    n: int
    realised_profit: float
    static_profit: float
    learned_profit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """Complete audit. Profits are ratios of the stake with leverage, `*_move` ratios of the price; a loss is negative; net of all costs.

    Parameters
    ----------
    refused : tuple of RefusedTrade
        Rows that cannot be trades, each with the values found; they are in `unused` as well.
    realised : RealisedStats
        Of all closed trades except rejected rows (their profit cannot be right), as the bot closed them: each trade has the same weight.
    money : tuple of MoneyFigures
        The same trades weighted by their money, per stake currency.
    static_stop_loss, static_take_profit : float
        The static settings, ratios of the stake.
    static_whole : IntervalEstimate or None
        Their outcome on all used trades: nothing was fitted. None if no trade could be used.
    split_at : datetime or None
        First instant that is judged; None if no trade could be used.
    overall : Comparison or None
        On the judged trades; None (and `promise`, and no groups) if there are none.
    by_pair, by_direction, by_bin, by_pair_direction, by_group : tuple of GroupComparison
        The same in groups; the intervals of one table are simultaneous.
    days : tuple of DayOutcome
        The judged trades by day of entry.
    overall, by_*, days
        Their learned figures are unknown (NaN) if too little was fitted (`is_learned`).
    parameters : tuple of ExitParameters
        Learned from all used trades: the values that would be in force now.
    several_orders : SeveralOrders or None
        Trades with several entries or exits; None if there is none.
    parameter_days : mapping
        `ExitParameters.key` to the days on which trades of the row were entered; below `MIN_DAYS` its bounds are not reliable.
    break_even_activation_sigma : float or None
        Move of the price, in sigma, from which both the static and the learned replays move the stop to break-even; None without this rule.
        Trades with several entries or exits are always replayed without it.
    """

    database: str
    run_mode: RunMode
    timeframe: str
    horizon_hours: float
    first_open: datetime
    last_close: datetime
    counts: TradeCounts
    unused: tuple[UnusedTrades, ...]
    refused: tuple[RefusedTrade, ...]
    costs: AuditCosts
    candle_fit: CandleFit
    realised: RealisedStats
    money: tuple[MoneyFigures, ...]
    static_stop_loss: float
    static_take_profit: float
    static_whole: IntervalEstimate | None
    split_at: datetime | None
    overall: Comparison | None
    promise: OutOfSampleResult | None
    by_pair: tuple[GroupComparison, ...]
    by_direction: tuple[GroupComparison, ...]
    by_bin: tuple[GroupComparison, ...]
    by_pair_direction: tuple[GroupComparison, ...]
    by_group: tuple[GroupComparison, ...]
    days: tuple[DayOutcome, ...]
    parameters: tuple[ExitParameters, ...]
    parameter_days: Mapping[str, int]
    several_orders: SeveralOrders | None = None
    break_even_activation_sigma: float | None = None

    @property
    def is_learned(self) -> bool:
        """Return whether enough was fitted to judge the learned values: trades on `MIN_DAYS` days."""
        return self.counts.fitted_days >= MIN_DAYS

    def has_interval(self, row: ExitParameters) -> bool:
        """Return whether a row's bounds may be shown: its trades are on `MIN_DAYS` days."""
        return self.parameter_days.get(row.key, 0) >= MIN_DAYS

    def judged(self, row: ExitParameters) -> Comparison | None:
        """Return the outcome of a row's group after the split under settings learned before it (no optimism); None if none is judged."""
        groups = {found.key: found.comparison for found in (*self.by_direction, *self.by_pair_direction, *self.by_group)}
        return groups.get("|".join(part for part in (row.pair, row.direction, row.leverage_bin) if part != ANY))

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on all judged trades together."""
        return Verdict.NOT_ENOUGH_EVIDENCE if self.overall is None else self.overall.verdict
