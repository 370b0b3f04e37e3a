"""Book of a bot in a backtest: wallet, open positions with their exits computed in advance, and the limits on losses."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_of, instant_us
from bot3.trading.costs import Costs, close_profit
from bot3.trading.decisions import Book, EntryPlan, HoldReason, PairView
from bot3.trading.exit_rules import ExitRule
from bot3.trading.horizons import Horizon
from bot3.trading.loss_watch import LossWatch, closes_to_judge
from bot3.trading.markets import Market
from bot3.trading.matching import MatchedExit, OpenPath, PairCandles, match_trade
from bot3.trading.open_profit import OpenProfits
from bot3.trading.profiles import BotProfile
from bot3.trading.risk import Breach, EquityMarks, mark_equity
from bot3.trading.trades import ExitReason, RunMode, Trade
from bot3.trading.units import side, stop_ratio

_LATCHES = {Breach.DAILY_LOSS: HoldReason.DAILY_LOSS, Breach.DRAWDOWN: HoldReason.DRAWDOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTrade:
    """An open position of a backtest: its plan and the fill of its entry."""

    trade_id: int
    plan: EntryPlan
    open_us: int
    open_rate: float
    entry_fee_abs: float
    maintenance_margin_ratio: float

    @property
    def amount(self) -> float:
        """Return the amount in base currency."""
        return float(self.plan.amount)

    @property
    def stake_abs(self) -> float:
        """Return the margin in use, in stake currency."""
        return self.amount * self.open_rate / self.plan.leverage


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestState:
    """State that a backtest passes from one span to the next.

    `marks` are the equity levels from which losses are measured. `latch` is the limit that stops entries, None if they are allowed;
    `latched_until_us` is the time from which entries are allowed again (the next UTC day). `judged_us` is the newest close at which the
    limits were checked. `stops` are the close dates of the newest trades that ended at their stop or by liquidation.
    """

    wallet_abs: float
    next_trade_id: int
    open_trades: tuple[OpenTrade, ...]
    marks: EquityMarks | None
    latch: Breach | None
    latched_until_us: int
    judged_us: int
    last_closes: Mapping[str, datetime]
    stops: tuple[datetime, ...]


class BacktestBook:
    """The book of one run; callers must advance it forward in time only."""

    def __init__(
        self,
        *,
        profile: BotProfile,
        candles: Mapping[str, PairCandles],
        markets: Mapping[str, Market],
        costs: Costs,
        candle: timedelta,
        start: datetime,
        end: datetime,
        state: BacktestState | None,
    ) -> None:
        self._profile, self._candles, self._markets, self._costs = profile, candles, markets, costs
        self._candle_us = candle // timedelta(microseconds=1)
        self._wallet_abs = profile.wallet_abs if state is None else state.wallet_abs
        self._next_trade_id = 1 if state is None else state.next_trade_id
        self._losses = LossWatch(
            profile.limits,
            marks=None if state is None else state.marks,
            latch=None if state is None else state.latch,
            latched_until_us=0 if state is None else state.latched_until_us,
            judged_us=instant_us(start) - 1 if state is None else state.judged_us,
        )
        if state is not None and instant_us(start) <= state.judged_us:
            raise InvalidTradeError(
                f"a span that starts at {start.isoformat()} cannot follow a state whose limits were checked up to "
                f"{instant_of(state.judged_us).isoformat()}: start the span after it"
            )
        due = closes_to_judge(after_us=self._losses.judged_us, until_us=instant_us(end), candle_us=self._candle_us)
        self._profits = OpenProfits(first_us=due.start, count=len(due), candle_us=self._candle_us)
        self._last_closes = {} if state is None else dict(state.last_closes)
        self._stops = [] if state is None else list(state.stops)
        self.held: dict[str, OpenTrade] = {}
        self._exits: list[tuple[int, int, OpenTrade, MatchedExit]] = []
        self._closed: list[Trade] = []
        for trade in () if state is None else state.open_trades:
            self._hold(trade)

    def view(self, pair: str, at_us: int) -> PairView | None:
        """Return a pair's market data at a close; None without an earlier candle. `rate` is the next candle's open, else NaN."""
        candles = self._candles.get(pair)
        if candles is None:
            return None
        index = int(np.searchsorted(candles.open_us, at_us, side="left"))
        if index == 0:
            return None
        is_next = index < len(candles.open_us) and int(candles.open_us[index]) == at_us
        return PairView(
            market=self._markets[pair],
            rate=float(candles.open[index]) if is_next else math.nan,
            mark_rate=float(candles.close[index - 1]),
            sigma=float(candles.sigma[index - 1]),
            candle_close_time=instant_of(int(candles.open_us[index - 1]) + self._candle_us),
        )

    def at(self, at_us: int) -> Book:
        """Return the book as input for the decision rules."""
        profit, funding = self._profits.at(at_us)
        equity = self._wallet_abs + profit
        return Book(
            equity_abs=equity,
            free_abs=self._wallet_abs + funding - sum(trade.stake_abs for trade in self.held.values()),
            notionals={pair: trade.amount * trade.open_rate for pair, trade in self.held.items()},
            marks=self._losses.marks or mark_equity(None, equity_abs=equity, now=instant_of(at_us)),
            last_closes=self._last_closes,
            stops=tuple(self._stops),
        )

    def advance(self, at_us: int) -> None:
        """Close the trades that ended by an instant, and check the limits on losses at every candle close up to it, in order of time."""
        while self._exits and self._exits[0][0] <= at_us:
            # At the candle close at which a trade ends, the limits are checked after the trade was removed.
            self._judge(self._exits[0][0] - 1)
            self._settle(self._exits[0][0])
        self._judge(at_us)

    def latched(self, at_us: int) -> HoldReason | None:
        """Return the limit on losses that blocks entries at an instant; None if entries are allowed."""
        latch = self._losses.latch
        return None if latch is None or at_us >= self._losses.latched_until_us else _LATCHES[latch]

    @property
    def halts(self) -> Mapping[HoldReason, int]:
        """Return how often each limit on losses stopped entries; limits that did not are left out."""
        return {_LATCHES[breach]: count for breach, count in self._losses.halts.items() if count}

    def enter(self, plan: EntryPlan, *, at_us: int, rate: float) -> None:
        """Fill a plan at the open of the candle that begins at an instant, whose rate is `rate` before slippage."""
        open_rate = self._costs.entry_rate(rate, is_short=plan.is_short)
        notional = float(plan.amount) * open_rate
        trade = OpenTrade(
            trade_id=self._next_trade_id,
            plan=plan,
            open_us=at_us,
            open_rate=open_rate,
            entry_fee_abs=notional * self._costs.taker_fee,
            maintenance_margin_ratio=self._markets[plan.pair].bracket(notional).maintenance_margin_ratio,
        )
        self._next_trade_id += 1
        self._wallet_abs -= trade.entry_fee_abs
        self._hold(trade)

    def finish(self, end_us: int) -> tuple[Trade, ...]:
        """Advance to the end and return the trades closed by then. The limits at the close `end_us` itself are checked by the next span."""
        self.advance(end_us - 1)
        self._settle(end_us)
        return tuple(self._closed)

    def state(self) -> BacktestState:
        """Return the state from which the next span continues."""
        return BacktestState(
            wallet_abs=self._wallet_abs,
            next_trade_id=self._next_trade_id,
            open_trades=tuple(sorted(self.held.values(), key=lambda trade: trade.trade_id)),
            marks=self._losses.marks,
            latch=self._losses.latch,
            latched_until_us=self._losses.latched_until_us,
            judged_us=self._losses.judged_us,
            last_closes=dict(self._last_closes),
            stops=tuple(self._stops),
        )

    def _settle(self, until_us: int) -> None:
        while self._exits and self._exits[0][0] <= until_us:
            _, _, trade, matched = heapq.heappop(self._exits)
            self._close(trade, matched)

    def _judge(self, until_us: int) -> None:
        self._losses.judge(self._profits, wallet_abs=self._wallet_abs, until_us=until_us)

    def _hold(self, trade: OpenTrade) -> None:
        candles = self._candles.get(trade.plan.pair)
        entry = -1 if candles is None else int(np.searchsorted(candles.open_us, trade.open_us))
        if candles is None or entry >= len(candles.open_us) or int(candles.open_us[entry]) != trade.open_us:
            raise InvalidTradeError(
                f"trade {trade.trade_id}: the candle of {trade.plan.pair} at its entry {instant_of(trade.open_us)} is missing: load it"
            )
        self.held[trade.plan.pair] = trade
        path = _path(trade, entry=entry, market=self._markets[trade.plan.pair], costs=self._costs)
        matched = match_trade(candles, path, costs=self._costs, candle_us=self._candle_us)
        if matched is not None:
            heapq.heappush(self._exits, (matched.close_us, trade.trade_id, trade, matched))
        self._profits.add(
            candles,
            entry=entry,
            until_us=None if matched is None else matched.close_us,
            is_short=trade.plan.is_short,
            amount=trade.amount,
            open_rate=trade.open_rate,
        )

    def _close(self, trade: OpenTrade, matched: MatchedExit) -> None:
        closed = _closed_trade(trade, matched, bot=self._profile.name, fee_open=self._costs.taker_fee)
        if closed.close_profit_abs is None or closed.close_date is None:
            raise InvalidTradeError(f"trade {trade.trade_id} closed without a profit")
        del self.held[closed.pair]
        self._wallet_abs += closed.close_profit_abs + trade.entry_fee_abs
        self._closed.append(closed)
        self._last_closes[closed.pair] = closed.close_date
        if matched.reason in {ExitReason.STOP_LOSS, ExitReason.LIQUIDATION}:
            self._stops = [*self._stops, closed.close_date][-max(self._profile.limits.stop_streak, 1) :]


def _path(trade: OpenTrade, *, entry: int, market: Market, costs: Costs) -> OpenPath:
    is_short = trade.plan.is_short
    return OpenPath(
        entry=entry,
        is_short=is_short,
        leverage=trade.plan.leverage,
        open_rate=trade.open_rate,
        stop_rate=float(trade.plan.stop_rate),
        take_profit_rate=math.nan if trade.plan.take_profit_rate is None else float(trade.plan.take_profit_rate),
        maintenance_margin_ratio=trade.maintenance_margin_ratio,
        rule=ExitRule.of_context(trade.plan.context),
        break_even_rate=float(market.break_even_rate(trade.open_rate, is_short=is_short, costs=costs)),
    )


def _closed_trade(trade: OpenTrade, matched: MatchedExit, *, bot: str, fee_open: float) -> Trade:
    plan, is_short = trade.plan, trade.plan.is_short
    profit = close_profit(
        open_rate=trade.open_rate,
        close_rate=matched.close_rate,
        is_short=is_short,
        leverage=plan.leverage,
        fee_open=fee_open,
        fee_close=matched.fee,
        funding_ratio=matched.funding_ratio,
    )
    value = trade.amount * trade.open_rate
    stop_loss, liquidation = plan.context["stop_loss"], plan.context["liquidation_price"]
    initial = None if stop_loss is None else float(stop_loss)
    return Trade(
        bot=bot,
        run_mode=RunMode.BACKTEST,
        account=f"history-{bot}",
        trade_id=trade.trade_id,
        pair=plan.pair,
        is_short=is_short,
        leverage=plan.leverage,
        open_date=instant_of(trade.open_us),
        open_rate=trade.open_rate,
        amount=trade.amount,
        stake_amount=trade.stake_abs,
        fee_open=fee_open,
        fee_close=matched.fee,
        enter_tag=plan.feeder_id,
        is_open=False,
        close_date=instant_of(matched.close_us),
        close_rate=matched.close_rate,
        close_profit=profit,
        close_profit_abs=profit * value * (1.0 + side(is_short=is_short) * fee_open) / plan.leverage,
        exit_reason=matched.reason.value,
        funding_fees=matched.funding_ratio * value,
        min_rate=matched.min_rate,
        max_rate=matched.max_rate,
        initial_stop_loss_pct=initial,
        stop_loss_pct=stop_ratio(
            matched.stop_rate,
            planned=(float(plan.stop_rate), initial),
            open_rate=trade.open_rate,
            is_short=is_short,
            leverage=plan.leverage,
        ),
        liquidation_price=float(liquidation) if liquidation is not None else None,
        horizon=Horizon.of_context(plan.context),
    )
