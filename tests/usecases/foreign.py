"""A foreign bot in memory, and a market with paths that can be learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from bot3.ports.foreign_trades import FilledOrder, ForeignTrades, RefusedTrade
from bot3.trading.costs import close_profit
from bot3.trading.trades import OrderPattern, RunMode, Trade
from tests.usecases.fakes import FakeCandles

START = datetime(2025, 1, 1, tzinfo=UTC)
PAIRS = ("AAA/USDT:USDT", "BBB/USDT:USDT")
DAYS = 70
_HALF_DAY = 144
_NO_FUNDING = pd.DataFrame({"time": pd.Series([], dtype="datetime64[us, UTC]"), "funding_rate": pd.Series([], dtype="float64")})


class FakeForeignTrades:
    """A `ForeignTradeReader` in memory, with the methods that an audit calls."""

    def __init__(
        self,
        trades: Sequence[Trade],
        *,
        refused: Sequence[RefusedTrade] = (),
        orders: Mapping[int, tuple[FilledOrder, ...]] | None = None,
    ) -> None:
        self._trades = trades
        self._refused = refused
        self._orders = orders or {}

    def read_all(self) -> ForeignTrades:
        return ForeignTrades(
            closed=tuple(trade for trade in self._trades if not trade.is_open),
            open=tuple(trade for trade in self._trades if trade.is_open),
            refused=tuple(self._refused),
            orders=self._orders,
        )


class MarketCandles(FakeCandles):
    """Candles with a list of their pairs, without funding unless it is given."""

    def __init__(self, frames: Mapping[str, pd.DataFrame], funding: pd.DataFrame = _NO_FUNDING) -> None:
        super().__init__(frames, funding)

    def pairs(self) -> tuple[str, ...]:
        return tuple(sorted(self.frames))


def dips_then_runs(pair: str, *, seed: int) -> pd.DataFrame:
    """Return candles that fall 1.5 % in two hours, rise 3 % in six, and return, every half day: a tight stop is always hit first."""
    del pair
    rng = np.random.default_rng(seed)
    corners = np.interp(np.arange(_HALF_DAY), [0, 24, 96, _HALF_DAY], [0.0, -0.015, 0.015, 0.0])
    log = np.log(100.0) + np.tile(corners, 2 * DAYS) + rng.normal(0.0, 0.0004, 2 * DAYS * _HALF_DAY)
    return _frame(np.exp(log))


def random_walk(pair: str, *, seed: int) -> pd.DataFrame:
    """Return candles of a random walk, which contain nothing to learn."""
    del pair
    rng = np.random.default_rng(seed)
    return _frame(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.001, 2 * DAYS * _HALF_DAY))))


def market(make: object = random_walk) -> MarketCandles:
    """Return the candles of both pairs."""
    assert callable(make)
    return MarketCandles({pair: make(pair, seed=place) for place, pair in enumerate(PAIRS)})


def trades_on(candles: MarketCandles, *, every: int = _HALF_DAY, leverage: float = 5.0) -> list[Trade]:
    """Return longs that open at the first candle of every half day (from the third day on) and close two hours later."""
    trades = []
    for pair in candles.pairs():
        frame = candles.frames[pair]
        trades += [
            a_trade(len(trades) + number, frame, at, pair=pair, leverage=leverage)
            for number, at in enumerate(range(4 * _HALF_DAY, len(frame) - 290, every), start=1)
        ]
    return trades


def a_trade(trade_id: int, frame: pd.DataFrame, at: int, *, pair: str, leverage: float) -> Trade:
    """Return a long from one candle's open to the open two hours later."""
    rates = frame["open"]
    opened, open_rate, close_rate = frame["open_time"].iloc[at].to_pydatetime(), float(rates.iloc[at]), float(rates.iloc[at + 24])
    profit = close_profit(open_rate=open_rate, close_rate=close_rate, is_short=False, leverage=leverage, fee_open=0.0004, fee_close=0.0004)
    return Trade(
        bot="freqtrade",
        run_mode=RunMode.LIVE,
        account="foreign",
        trade_id=trade_id,
        pair=pair,
        is_short=False,
        leverage=leverage,
        open_date=opened + timedelta(seconds=3),
        open_rate=open_rate,
        amount=1.0,
        stake_amount=20.0,
        fee_open=0.0004,
        fee_close=0.0004,
        enter_tag="F03",
        is_open=False,
        close_date=opened + timedelta(hours=2, seconds=3),
        close_rate=close_rate,
        close_profit=profit,
        close_profit_abs=20.0 * profit,
        exit_reason="exit_signal",
    )


def bought_twice(trade: Trade, frame: pd.DataFrame, *, after: int = 12) -> tuple[Trade, tuple[FilledOrder, ...]]:
    """Return a trade, as freqtrade stores it, that bought the same amount again some candles after its entry, and its orders."""
    at = int(frame["open_time"].searchsorted(pd.Timestamp(trade.open_date), side="right")) - 1 + after
    second, opened = float(frame["open"].iloc[at]), frame["open_time"].iloc[at].to_pydatetime() + timedelta(seconds=2)
    average = (trade.open_rate + second) / 2.0
    assert trade.close_rate is not None
    profit = close_profit(
        open_rate=average, close_rate=trade.close_rate, is_short=False, leverage=trade.leverage, fee_open=0.0004, fee_close=0.0004
    )
    changes = {"open_rate": average, "amount": 2.0, "stake_amount": 40.0, "close_profit": profit, "close_profit_abs": 40.0 * profit}
    orders = (
        FilledOrder(is_entry=True, rate=trade.open_rate, amount=1.0, filled_at=trade.open_date),
        FilledOrder(is_entry=True, rate=second, amount=1.0, filled_at=opened),
        FilledOrder(is_entry=False, rate=trade.close_rate, amount=2.0, filled_at=trade.close_date),
    )
    return replace(trade, **changes, order_pattern=OrderPattern.MULTIPLE), orders


def still_open(trade: Trade) -> Trade:
    """Return a trade as it was before its close."""
    return replace(trade, is_open=True, close_date=None, close_rate=None, close_profit=None, close_profit_abs=None, exit_reason=None)


def _frame(close: np.ndarray) -> pd.DataFrame:
    opened = np.concatenate((close[:1], close[:-1]))
    times = pd.Series(pd.date_range(START, periods=len(close), freq="5min")).astype("datetime64[us, UTC]")
    high, low = np.maximum(opened, close) * 1.0002, np.minimum(opened, close) * 0.9998
    return pd.DataFrame({"open_time": times, "open": opened, "high": high, "low": low, "close": close, "volume": 1.0})
