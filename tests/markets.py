"""Markets, candles, profiles and books for tests of trading."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from bot3.errors import CandleError
from bot3.learning.replay.candle_arrays import CandleArrays, candle_arrays
from bot3.market.candle_series import CandleSeries, funding_between, no_funding
from bot3.trading.costs import Costs
from bot3.trading.decisions import Book, PairView
from bot3.trading.exit_rules import ExitRules
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.markets import LeverageBracket, Market
from bot3.trading.profiles import BotProfile
from bot3.trading.risk import EquityMarks, RiskLimits
from bot3.trading.signals import Signal

CANDLE = timedelta(minutes=5)
FIRST = datetime(2026, 1, 5, tzinfo=UTC)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
COSTS = Costs(taker_fee=0.0005, maker_fee=0.0002, slippage=0.0001, stop_slippage=0.0003)
LIMITS = RiskLimits(
    daily_loss_reducing=-0.03,
    daily_loss_halted=-0.05,
    max_drawdown=-0.15,
    stop_streak=4,
    stop_streak_window=24 * CANDLE,
    stop_streak_pause=4 * CANDLE,
    cool_off=2 * CANDLE,
    max_candle_age=timedelta(minutes=15),
    price_collar=0.01,
)
RULES = ExitRules(giveback_activation_sigma=1.0, giveback_share=0.5)


def a_profile(**changes: Any) -> BotProfile:
    profile = BotProfile(
        name="BOT1",
        directions=frozenset({"long"}),
        is_learned=False,
        bins=DEFAULT_BINS,
        leverage_cap=10.0,
        target_volatility=0.12,
        wallet_abs=10_000.0,
        max_open_trades=5,
        stop_loss=-0.03,
        take_profit=0.03,
        longest_trade=timedelta(days=7),
        exit_rules=RULES,
        max_stake_ratio=0.1,
        max_pair_notional_ratio=1.0,
        max_gross_notional_ratio=3.0,
        limits=LIMITS,
    )
    return replace(profile, **changes)


def a_learned_profile(**changes: Any) -> BotProfile:
    return a_profile(**{"name": "BOT3", "directions": frozenset({"long", "short"}), "is_learned": True, **changes})


def a_market(pair: str = BTC, **changes: Any) -> Market:
    market = Market(
        pair=pair,
        rate_tick=Decimal("0.000001"),
        amount_step=Decimal("0.00001"),
        min_amount=Decimal("0.00001"),
        min_notional_abs=Decimal(5),
        taker_fee=0.0005,
        maker_fee=0.0002,
        brackets=(
            LeverageBracket(notional_cap_abs=50_000.0, max_leverage=20.0, maintenance_margin_ratio=0.01),
            LeverageBracket(notional_cap_abs=500_000.0, max_leverage=10.0, maintenance_margin_ratio=0.025),
        ),
        is_declared=True,
    )
    return replace(market, **changes)


def a_signal(pair: str = BTC, *, known_at: datetime = NOON, **changes: Any) -> Signal:
    signal = Signal(
        feeder_id="F01",
        pair=pair,
        is_short=False,
        confidence=0.6,
        candle_open_time=known_at - CANDLE,
        known_at=known_at,
        model_digest="d1",
        horizon=Horizon.DAY,
    )
    return replace(signal, **changes)


def a_view(pair: str = BTC, **changes: Any) -> PairView:
    view = PairView(market=a_market(pair), rate=100.0, mark_rate=100.0, sigma=0.03, candle_close_time=NOON)
    return replace(view, **changes)


def a_book(**changes: Any) -> Book:
    marks = EquityMarks(day=NOON.date(), day_start_abs=10_000.0, peak_abs=10_000.0)
    book = Book(equity_abs=10_000.0, free_abs=10_000.0, notionals={}, marks=marks, last_closes={}, stops=())
    return replace(book, **changes)


def candle_frame(rows: list[tuple[float, float, float, float]], *, first: datetime = FIRST) -> pd.DataFrame:
    """Return a candle frame of (open, high, low, close), without gaps."""
    prices = np.array(rows, dtype=np.float64).reshape(-1, 4)
    opens = pd.Series(pd.date_range(first, periods=len(prices), freq=CANDLE, tz="UTC")).astype("datetime64[us, UTC]")
    columns = {name: prices[:, index] for index, name in enumerate(("open", "high", "low", "close"))}
    return pd.DataFrame({"open_time": opens, **columns, "volume": np.ones(len(prices))})


def random_candles(seed: int, *, candles: int, step: float = 0.004, first: datetime = FIRST, swing: float = 1.0) -> pd.DataFrame:
    """Return a random walk with gaps between candles and wicks beyond their bodies.

    Its step varies between `step / swing` and `step * swing` every 12 candles, so that the volatility of consecutive candles differs.
    """
    rng = np.random.default_rng(seed)
    steps = step * swing ** np.sin(np.arange(candles) * 2.0 * np.pi / 12.0)
    moves, jumps = rng.normal(0.0, steps), rng.normal(0.0, steps / 2) * (rng.random(candles) < 0.3)
    wicks = np.abs(rng.normal(0.0, steps, (2, candles)))
    rows, last = [], 100.0
    for index in range(candles):
        opened = last * np.exp(jumps[index])
        last = opened * np.exp(moves[index])
        high, low = max(opened, last) * (1.0 + wicks[0, index]), min(opened, last) * (1.0 - wicks[1, index])
        rows.append((float(opened), float(high), float(low), float(last)))
    return candle_frame(rows, first=first)


def funding_frame(times: list[datetime], rates: list[float]) -> pd.DataFrame:
    if not times:
        return no_funding()
    return pd.DataFrame({"time": pd.Series(times).astype("datetime64[us, UTC]"), "funding_rate": np.array(rates, dtype=np.float64)})


def arrays(candles: pd.DataFrame, funding: pd.DataFrame | None = None, *, sigma: float | None = None) -> CandleArrays:
    """Return candle arrays; a given sigma is varied, so that it differs from candle to candle."""
    made = candle_arrays(candles, no_funding() if funding is None else funding, horizon_candles=288)
    return made if sigma is None else replace(made, sigma=sigma * 1.2 ** np.sin(np.arange(len(made))))


class FrameCandles:
    """A `CandleReader` on frames of one timeframe in memory."""

    def __init__(self, frames: dict[str, pd.DataFrame], funding: dict[str, pd.DataFrame] | None = None, *, timeframe: str = "5m") -> None:
        self._series = {pair: CandleSeries(frame, pair=pair, timeframe=timeframe) for pair, frame in frames.items()}
        self._timeframe = timeframe
        self._funding = funding or {}

    def pairs(self) -> tuple[str, ...]:
        return tuple(sorted(self._series))

    def timeframes(self, pair: str) -> tuple[str, ...]:
        return ("5m",) if pair in self._series else ()

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        assert timeframe == self._timeframe
        return self._of(pair).span

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        assert timeframe == self._timeframe
        return self._of(pair).between(start=start, end=end)

    def rate_at(self, pair: str, timeframe: str, at: datetime) -> float:
        assert timeframe == self._timeframe
        return self._of(pair).rate_at(at)

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        return funding_between(self._funding.get(pair, no_funding()), start=start, end=end)

    def learn_funding(self, pair: str, funding: pd.DataFrame) -> None:
        """Add funding rates that are known from now on."""
        self._funding = {**self._funding, pair: funding}

    def lose(self, pair: str) -> CandleSeries:
        """Make a pair's candles unavailable from now on; return them for `find`."""
        return self._series.pop(pair)

    def find(self, pair: str, series: CandleSeries) -> None:
        """Make a pair's candles available again."""
        self._series[pair] = series

    def _of(self, pair: str) -> CandleSeries:
        if pair not in self._series:
            raise CandleError(f"no candles of {pair}: fetch some")
        return self._series[pair]


class FixedMarkets:
    """A `MarketReader` of fixed markets."""

    def __init__(self, *markets: Market) -> None:
        self._markets = {market.pair: market for market in markets}

    def market(self, pair: str) -> Market:
        if pair not in self._markets:
            raise CandleError(f"no market of {pair} is known: name a markets file that has it")
        return self._markets[pair]
