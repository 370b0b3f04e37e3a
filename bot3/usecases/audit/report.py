"""The report of an audit: results with their intervals and numbers of trades, and the trades that could not be used."""

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
    """Learned compared with static settings in one group; `key` is a pair, a direction, a bin, "pair|direction" or "pair|direction|bin"."""

    key: str
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfSampleResult:
    """Outcome of the learned settings as estimated before the split, and as simulated after it; ratios of the price, net of costs.

    Parameters
    ----------
    expected_move : float
        Mean posterior expectancy of the learned settings that the judged trades would have used.
    kept : IntervalEstimate
        Mean outcome of the judged trades under these settings.
    optimism_move : float
        `expected_move` minus the mean of `kept`: by how much the estimate was too high.
    gain_fitted_move : float
        Mean gain over the static settings on the trades used for fitting, which overstates the gain on other trades.
    """

    expected_move: float
    kept: IntervalEstimate
    optimism_move: float
    gain_fitted_move: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCosts:
    """Costs of each side as ratios: fee, slippage, and `stop_slippage`, which is added to the slippage at stops.

    `fee_is_from_trades` is whether the fee is the median of the trades' own fees. `funding_missing_share` is the share of used trades whose
    funding is not known over the whole horizon; unknown funding counts as zero.
    """

    fee: float
    fee_is_from_trades: bool
    slippage: float
    stop_slippage: float
    funding_missing_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeCounts:
    """Numbers of the database's trades by use: used = fitted + embargoed + judged; the other closed ones are `AuditReport.unused`.

    `fitted` were used for learning before the split; `embargoed` were entered before it, but their outcome was known only after it.
    `*_days` are the numbers of UTC days with an entry. `refused` are rows that are not valid trades; each is also counted in `closed` or
    `open`, according to its own state.
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
    """Whether candles and trades match: the share of entries whose rate is outside their candle, and the shift of hours that corrects it.

    `shift_hours` is 0 if the dates match unchanged, or if no shift corrects nearly all of them. With `has_summer_time` some entries need
    `shift_hours` and the others one hour more.
    """

    outside_share: float
    shift_hours: int
    has_summer_time: bool = False

    @property
    def is_in_another_zone(self) -> bool:
        """Return whether the dates are in another time zone: a shift moves nearly all entries into their candles."""
        return self.shift_hours != 0 or self.has_summer_time


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralOrders:
    """Trades with several entries or exits, replayed from their orders under the static settings; nothing is learned from them.

    Parameters
    ----------
    n, trades : int
        Number of replayed trades, and of all. Shares are of the replayed ones; if there is none, all values below are None or 0.
    unreplayed : tuple of UnusedTrades
        The trades that could not be replayed, by reason.
    orders, orders_done : int
        Number of the replayed trades' orders without the last one of each trade, and how many of these were before the simulated exit.
    realised_profit : float or None
        Mean profit at which the bot closed them, a ratio of the stake.
    static : IntervalEstimate or None
        Mean outcome under the static settings, a ratio of the stake.
    stopped_share, reached_share, held_share, liquidated_share : float or None
        Shares by simulated end: at the stop, at the target, at the end of the horizon, by liquidation.
    outlived_share : float or None
        Share whose simulated exit is after the real last order: what the bot would have ordered in between is unknown.
    ambiguous_share : float or None
        Share that ended in a candle that also reached the other level or contained an order: which of them was first is assumed.
    funding_missing_share : float or None
        Share whose funding is not known over the whole horizon; unknown rates were counted as zero.
    judged : Comparison or None
        Learned compared with static settings on those entered at or after the split; the settings were learned before it, from trades with
        one entry and one exit. None if too little was learned or no such trade was entered then.
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
    """The `n` judged trades entered on one UTC day, and the sums of their profits as ratios of the stake: real, static and learned."""

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
    unused : tuple of UnusedTrades
        Closed trades that were not used, by reason.
    refused : tuple of RefusedTrade
        Rows that are not valid trades, with the values found; the closed ones are in `unused` as well.
    realised : RealisedStats
        Results of all valid closed trades as the bot closed them; each trade has the same weight.
    money : tuple of MoneyFigures
        The same trades weighted by their money, per stake currency.
    static_stop_loss, static_take_profit : float
        The static stop and target, ratios of the stake.
    static_whole : IntervalEstimate or None
        Mean outcome of all used trades under the static settings. None if no trade could be used.
    split_at : datetime or None
        Time of the split: trades entered at or after it are judged. None if no trade could be used.
    overall : Comparison or None
        Learned compared with static settings on all judged trades. None if no trade is judged; `promise` is None then too.
    promise : OutOfSampleResult or None
        The estimated outcome of the learned settings, and their outcome on the judged trades; None also if too little was fitted
        (`is_learned`).
    by_pair, by_direction, by_bin, by_pair_direction, by_group : tuple of GroupComparison
        `overall` in each group; the intervals of one tuple are jointly valid. Empty without judged trades.
    days : tuple of DayOutcome
        The judged trades by day of entry.
    overall, by_*, days
        Their learned figures are unknown (NaN) if too little was fitted (`is_learned`).
    parameters : tuple of ExitParameters
        Parameters learned from all trades, before and after the split.
    several_orders : SeveralOrders or None
        Trades with several entries or exits; None if there is none.
    parameter_days : mapping
        `ExitParameters.key` to the number of days on which used trades of the row's group were entered; below `MIN_DAYS` the row's interval
        is not reliable.
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
        """Return whether the learned settings can be judged: the trades used for fitting were entered on at least `MIN_DAYS` days."""
        return self.counts.fitted_days >= MIN_DAYS

    def has_interval(self, row: ExitParameters) -> bool:
        """Return whether a parameter row's interval is reliable: its trades were entered on at least `MIN_DAYS` days."""
        return self.parameter_days.get(row.key, 0) >= MIN_DAYS

    def judged(self, row: ExitParameters) -> Comparison | None:
        """Return the comparison on the judged trades of a parameter row's group, under settings learned before the split.

        None if no trade of the group is judged, and for the row of all trades, which `overall` describes.
        """
        groups = {found.key: found.comparison for found in (*self.by_direction, *self.by_bin, *self.by_pair_direction, *self.by_group)}
        return groups.get("|".join(part for part in (row.pair, row.direction, row.leverage_bin) if part != ANY))

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on all judged trades together; NOT_ENOUGH_EVIDENCE if there are none."""
        return Verdict.NOT_ENOUGH_EVIDENCE if self.overall is None else self.overall.verdict
