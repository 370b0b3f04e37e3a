"""Compute figures of closed trades with confidence intervals, and the win rate at which a stop and a target break even."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.trading.costs import Costs
from bot3.trading.currencies import stake_currency
from bot3.trading.intervals import UNKNOWN, Estimate, clustered_mean, clustered_ratio
from bot3.trading.trades import Trade

AVG_PROFIT_MARK = 0.003
PROFIT_FACTOR_MARK = 1.5
DRAWDOWN_MARK = -0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyFigures:
    """Closed trades of one stake currency, weighted by their money.

    Parameters
    ----------
    profit_abs, stake_abs : float
        Sums of profit and of stake, in the currency.
    return_on_stake : Estimate
        Sum of profit over sum of stake: the return per unit of stake, leverage included.
    profit_factor : float or None
        Sum of gains over sum of losses, in the currency, as in freqtrade; None without a loss.
    """

    currency: str
    n: int
    days: int
    profit_abs: float
    stake_abs: float
    return_on_stake: Estimate
    profit_factor: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures of closed trades; `days` is the number of UTC days with a close.

    Parameters
    ----------
    win_rate : Estimate
        Share of trades with a profit above 0.
    mean_profit : Estimate
        Unweighted mean of the trades' ratios of the stake: a trade of 3 USDT counts as much as one of 1,000.
    money : tuple of MoneyFigures
        Figures of each stake currency, by name; amounts of different currencies are never added.
    """

    n: int
    days: int
    win_rate: Estimate
    mean_profit: Estimate
    money: tuple[MoneyFigures, ...]

    def of(self, currency: str) -> MoneyFigures | None:
        """Return the figures of one stake currency; None if no trade of it is among the closed trades."""
        return next((found for found in self.money if found.currency == currency), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFigures:
    """Loss at a stop and gain at a target after costs, as ratios of the stake; `loss` is below 0, `costs` are those of the stop."""

    loss: float
    gain: float
    costs: float

    @property
    def reward_to_risk(self) -> float:
        """Return gain over loss, after costs."""
        return self.gain / -self.loss

    @property
    def break_even(self) -> float:
        """Return the win rate at which trades that end at stop or target have an expectancy of 0."""
        return -self.loss / (self.gain - self.loss)


def summary(closes: pd.DataFrame) -> Summary:
    """Compute the figures of closed trades (columns pair, close_date, close_profit, close_profit_abs, stake_amount).

    Without trades the counts are 0, the estimates unknown, and `money` is empty.
    """
    profit = closes["close_profit"].to_numpy(dtype=np.float64)
    if not len(profit):
        return Summary(n=0, days=0, win_rate=UNKNOWN, mean_profit=UNKNOWN, money=())
    days, found = _days(closes)
    return Summary(
        n=len(profit),
        days=found,
        win_rate=clustered_mean((profit > 0.0).astype(np.float64), days, within=(0.0, 1.0)),
        mean_profit=clustered_mean(profit, days),
        money=tuple(_money(currency, own) for currency, own in by_currency(closes).items()),
    )


def by_currency(closes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of trades (column pair) by stake currency, sorted by its name; empty without trades."""
    codes, pairs = pd.factorize(closes["pair"])
    currencies = np.array([stake_currency(str(pair)) for pair in pairs], dtype=object)
    names = sorted(set(currencies.tolist()))
    if len(names) == 1:
        return {str(names[0]): closes}
    of_row = currencies[codes]
    return {str(name): closes[of_row == name] for name in names}


def profit_sums(closes: pd.DataFrame) -> dict[str, float]:
    """Return the sum of close_profit_abs by stake currency; empty without trades."""
    return {currency: float(own["close_profit_abs"].sum()) for currency, own in by_currency(closes).items()}


def notional_sums(trades: Sequence[Trade]) -> dict[str, float]:
    """Return the position value at entry by stake currency, sorted by its name."""
    sums: dict[str, float] = {}
    for trade in trades:
        currency = stake_currency(trade.pair)
        sums[currency] = sums.get(currency, 0.0) + trade.stake_amount * trade.leverage
    return dict(sorted(sums.items()))


def _money(currency: str, closes: pd.DataFrame) -> MoneyFigures:
    days, found = _days(closes)
    profit, stake = (closes[name].to_numpy(dtype=np.float64) for name in ("close_profit_abs", "stake_amount"))
    won, lost = float(np.maximum(profit, 0.0).sum()), -float(np.minimum(profit, 0.0).sum())
    return MoneyFigures(
        currency=currency,
        n=len(profit),
        days=found,
        profit_abs=float(profit.sum()),
        stake_abs=float(stake.sum()),
        return_on_stake=clustered_ratio(profit, stake, days),
        profit_factor=won / lost if lost > 0.0 else None,
    )


def _days(closes: pd.DataFrame) -> tuple[NDArray[np.intp], int]:
    codes, found = pd.factorize(closes["close_date"].dt.floor("D").to_numpy(dtype="datetime64[us]"))
    return codes, len(found)


def equity_curve(closes: pd.DataFrame, *, wallet_abs: float) -> pd.DataFrame:
    """Compute the equity after each close, sorted by it: columns close_date, equity_abs, drawdown (ratio of the peak, at most 0).

    All closes must be in the wallet's currency. The curve excludes open positions and their profit. The peak is at least `wallet_abs`.
    """
    ordered = closes.sort_values("close_date", kind="stable")
    equity = wallet_abs + ordered["close_profit_abs"].to_numpy(dtype=np.float64).cumsum()
    peak = np.maximum.accumulate(np.maximum(equity, wallet_abs))
    dates = ordered["close_date"].reset_index(drop=True)
    return pd.DataFrame({"close_date": dates, "equity_abs": equity, "drawdown": equity / peak - 1.0})


def level_figures(*, stop_loss: float, take_profit_target: float, leverage: float, costs: Costs) -> LevelFigures:
    """Compute loss and gain of a stop and a target after costs.

    Parameters
    ----------
    stop_loss : float
        Ratio of the stake below 0, a distance before costs.
    take_profit_target : float
        Ratio of the stake above 0, after fees.
    leverage : float
        Leverage that both ratios refer to, at least 1.

    Notes
    -----
    As in the replay, both levels are market orders and are measured from the open rate, which includes the entry's slippage. A stop costs
    both fees, slippage and stop slippage; a target costs slippage, since its fees are already deducted.
    """
    stop_costs = leverage * (2.0 * costs.taker_fee + costs.slippage + costs.stop_slippage)
    gain = take_profit_target - leverage * costs.slippage
    return LevelFigures(loss=stop_loss - stop_costs, gain=gain, costs=stop_costs)


def thinned(values: NDArray[np.float64], *, points: int) -> NDArray[np.intp]:
    """Return the indices of about `points` of a line's values to plot: all if there are not more, else lows and highs of equal sections."""
    n = len(values)
    if n <= points:
        return np.arange(n)
    edges = np.linspace(0, n, max(points // 2, 1) + 1).astype(np.intp)
    kept = {0, n - 1}
    for start, end in pairwise(edges):
        kept |= {int(start + values[start:end].argmin()), int(start + values[start:end].argmax())}
    return np.array(sorted(kept), dtype=np.intp)
