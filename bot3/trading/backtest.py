"""Backtest one bot over all its pairs on past candles, in chronological order, with the decision rules and matching of live trading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_us
from bot3.trading.backtest_book import BacktestBook, BacktestState
from bot3.trading.backtest_signals import RegimeLine, SignalTable, signals_between, signals_of_directions
from bot3.trading.costs import Costs
from bot3.trading.decide import decide_entries
from bot3.trading.decisions import EntryPlan, HoldReason, Learning
from bot3.trading.markets import Market
from bot3.trading.matching import PairCandles
from bot3.trading.parameters import ParameterSet
from bot3.trading.profiles import BotProfile
from bot3.trading.recommendations import Recommendation
from bot3.trading.risk import TradingState
from bot3.trading.trades import RunMode, Trade

__all__ = ["BacktestResult", "BacktestState", "backtest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """Result of a backtest over one span.

    Parameters
    ----------
    trades : tuple of Trade
        Trades that closed in the span, by close date, also those that were open at its start.
    holds : mapping
        Number of signals that were not traded, by reason; reasons that did not occur are missing.
    signals : int
        Number of signals in the span; each one opened a trade or is counted in `holds`.
    halts : mapping
        How often a limit stopped entries for the rest of a UTC day, by the limit's hold reason.
    state : BacktestState
        State at the end of the span, from which the next span continues: open positions, wallet, equity levels, pauses.
    """

    trades: tuple[Trade, ...]
    holds: Mapping[HoldReason, int]
    signals: int
    halts: Mapping[HoldReason, int]
    state: BacktestState


def backtest(
    signals: pd.DataFrame,
    candles: Mapping[str, PairCandles],
    profile: BotProfile,
    *,
    markets: Mapping[str, Market],
    costs: Costs,
    candle: timedelta,
    start: datetime,
    end: datetime,
    regimes: pd.DataFrame | None = None,
    parameters_at: Callable[[datetime], ParameterSet | None] | None = None,
    recommendations_at: Callable[[datetime], Recommendation | None] | None = None,
    state: BacktestState | None = None,
) -> BacktestResult:
    """Trade the signals that become known from start on and before end, and return the result.

    Parameters
    ----------
    signals : DataFrame
        A signal frame (`ports.signals`), sorted by known_at.
    candles : mapping
        Pair to its arrays. They must contain the entries of the positions in `state`, and may extend past `end`: a trade whose exit lies
        after `end` stays open in the returned state, and its exit influences nothing before its close date.
    candle : timedelta
        Duration of a candle.
    regimes : DataFrame, optional
        Columns known_at (increasing) and regime.
    parameters_at, recommendations_at : callable, optional
        Return the parameters or the recommendation in force at a time, None before the first publication. They are called only for a bot
        that uses them, once for each close at which it could trade. Without these functions the bot trades as if nothing were learned.
    state : BacktestState, optional
        State of the previous span; without one the run starts with the profile's wallet.

    Returns
    -------
    BacktestResult
        Consecutive spans give the same trades as one run over all of them.

    Raises
    ------
    InvalidTradeError
        If the span is empty or does not start after the state's last checked close, the signals are not sorted, a pair with candles has no
        market, or the candle of an open position's entry is missing.

    Notes
    -----
    The equity is compared with the limits on losses at every candle's close (`loss_watch`), as in the daemon. One thing differs: a backtest
    has no person who resumes a bot. Entries that a limit stopped are allowed again on the next UTC day, and exits by giveback and time
    continue in between, whereas a halted daemon exits at stop and target only.
    """
    if not start < end:
        raise InvalidTradeError(f"a backtest must end after it starts: {start.isoformat()} to {end.isoformat()}")
    missing = sorted(set(candles) - set(markets))
    if missing:
        raise InvalidTradeError(f"the markets of these pairs are missing: {', '.join(missing)}")
    book = BacktestBook(profile=profile, candles=candles, markets=markets, costs=costs, candle=candle, start=start, end=end, state=state)
    run = _Run(
        book=book,
        profile=profile,
        costs=costs,
        regimes=RegimeLine(regimes),
        parameters_at=parameters_at,
        recommendations_at=recommendations_at,
    )
    asked = signals_between(signals, start=start, end=end)
    table = SignalTable(signals_of_directions(asked, profile.directions))
    run.holds[HoldReason.DIRECTION] += len(asked) - len(table)
    for at_us, first, last in table.closes():
        run.close(table, at_us=at_us, first=first, last=last)
    trades = book.finish(instant_us(end))
    holds = {reason: run.holds[reason] for reason in HoldReason if run.holds[reason]}
    return BacktestResult(trades=trades, holds=holds, signals=len(asked), halts=dict(book.halts), state=book.state())


class _Run:
    """State of one `backtest` call."""

    def __init__(
        self,
        *,
        book: BacktestBook,
        profile: BotProfile,
        costs: Costs,
        regimes: RegimeLine,
        parameters_at: Callable[[datetime], ParameterSet | None] | None,
        recommendations_at: Callable[[datetime], Recommendation | None] | None,
    ) -> None:
        self.book, self.profile, self.costs, self.regimes = book, profile, costs, regimes
        self.parameters_at, self.recommendations_at = parameters_at, recommendations_at
        self.holds: Counter[HoldReason] = Counter()

    def close(self, table: SignalTable, *, at_us: int, first: int, last: int) -> None:
        """Advance the book to a candle's close, then decide on the signals of that close: rows `first` up to `last` (excluded)."""
        self.book.advance(at_us)
        latch = self.book.latched(at_us)
        if latch is not None:
            self.holds[latch] += last - first
            return
        rows = self._flat_rows(table, first=first, last=last)
        if rows:
            self._decide(table, rows=rows, at_us=at_us)

    def _flat_rows(self, table: SignalTable, *, first: int, last: int) -> list[int]:
        """Return the rows whose pair has no position, none if all slots are in use; count the other rows as holds with their reason."""
        held = self.book.held
        rows = [row for row in range(first, last) if table.pairs[row] not in held]
        self.holds[HoldReason.POSITION_OPEN] += last - first - len(rows)
        if len(held) < self.profile.max_open_trades:
            return rows
        self.holds[HoldReason.SLOTS_FULL] += len(rows)
        return []

    def _decide(self, table: SignalTable, *, rows: list[int], at_us: int) -> None:
        signals = [table.signal(row) for row in rows]
        now = signals[0].known_at
        views = {pair: view for pair in {signal.pair for signal in signals} if (view := self.book.view(pair, at_us)) is not None}
        verdicts = decide_entries(
            signals,
            profile=self.profile,
            book=self.book.at(at_us),
            views=views,
            learning=self._learning(now),
            regime=self.regimes.at(at_us),
            costs=self.costs,
            run_mode=RunMode.BACKTEST,
            state=TradingState.ACTIVE,
            now=now,
        )
        for _, verdict in verdicts:
            if isinstance(verdict, EntryPlan):
                self.book.enter(verdict, at_us=at_us, rate=views[verdict.pair].rate)
            else:
                self.holds[verdict.reason] += 1

    def _learning(self, now: datetime) -> Learning:
        if not self.profile.is_learned:
            return Learning(parameters=None, recommendation=None)
        return Learning(
            parameters=None if self.parameters_at is None else self.parameters_at(now),
            recommendation=None if self.recommendations_at is None else self.recommendations_at(now),
        )
