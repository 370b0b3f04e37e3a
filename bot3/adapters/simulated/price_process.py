"""Generate the price process of the simulated market in chained weekly blocks.

A candle's log return is the sum of

* noise: Student's t with 4 degrees of freedom, part of it common to all pairs, scaled by a volatility that clusters
  (two log-AR(1) processes, of days and of hours, common and per pair) and that depends on the regime;
* the regime's drift, times the pair's beta;
* **planted momentum**: after a burst of volume (several times the usual, with a candle of 2 to 3 sigmas) the price follows the burst's
  direction, `MOMENTUM_SIGMAS` daily sigmas in total, decaying over hours; in full in trending regimes, half in the volatile one, none in
  the sideways one;
* **planted trend**: each pair has a drift of its own, a first-order autoregression with a half-life of `TREND_DAYS` days and a standard
  deviation of `TREND_SIGMAS` daily sigmas a day;
* **planted mean reversion**: in the sideways regime part of the price is transitory, an AR(1) with a half-life of two hours;
* a weak pull to the start price over months, so that a market that runs for a year stays in range.

Block k depends only on the seed, on k and on the state at the end of block k-1: the same seed and start give the same candles for any
end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.adapters.simulated.pairs import PairTraits
from bot3.errors import SettingsError
from bot3.market.instants import EPOCH
from bot3.market.regimes import Regime
from bot3.market.timeframes import timeframe_duration

Floats = NDArray[np.float64]

REGIMES = tuple(Regime)
BLOCK = timedelta(days=7)
DAILY_DRIFT = {Regime.BULL_TRENDING: 0.008, Regime.BEAR_TRENDING: -0.008, Regime.SIDEWAYS: 0.0, Regime.VOLATILE: -0.001}
VOLATILITY = {Regime.BULL_TRENDING: 1.0, Regime.BEAR_TRENDING: 1.1, Regime.SIDEWAYS: 0.75, Regime.VOLATILE: 1.6}
MEAN_DAYS = {Regime.BULL_TRENDING: 6.0, Regime.BEAR_TRENDING: 5.0, Regime.SIDEWAYS: 7.0, Regime.VOLATILE: 2.5}
MOMENTUM_SHARE = {Regime.BULL_TRENDING: 1.0, Regime.BEAR_TRENDING: 1.0, Regime.SIDEWAYS: 0.0, Regime.VOLATILE: 0.5}
_NEXT = {
    Regime.BULL_TRENDING: (0.0, 0.25, 0.5, 0.25),
    Regime.BEAR_TRENDING: (0.25, 0.0, 0.45, 0.3),
    Regime.SIDEWAYS: (0.4, 0.35, 0.0, 0.25),
    Regime.VOLATILE: (0.3, 0.3, 0.4, 0.0),
}
BURSTS_A_DAY = 4.0
MOMENTUM_SIGMAS = 0.7
MOMENTUM_HOURS = 3.0
TREND_DAYS = 30.0
TREND_SIGMAS = 0.4
REVERSION_SIGMAS = 0.3
REVERSION_HALF_LIFE_HOURS = 2.0
FUNDING_EVERY = timedelta(hours=8)
_DAY = timedelta(days=1)
_PULL_DAYS = 120.0


@dataclass(frozen=True, slots=True)
class Block:
    """One week of all pairs; arrays are of shape (candles, pairs) unless noted otherwise.

    `present` is false where the candle is missing (outage); `funding` is of shape (payments, pairs); `regime` of shape (candles,) indexes
    `REGIMES`; `expected` is the predictable part of the candle's log return, known at its open: regime drift, trend, momentum, mean
    reversion and the pull to the start price; `sigma` is the standard deviation of a day's log price at the candle's volatility.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    present: NDArray[np.bool_]
    funding: Floats
    regime: NDArray[np.int8]
    expected: Floats
    sigma: Floats


@dataclass(slots=True)
class _State:
    """State of the process at the end of a block, from which the next block continues.

    Arrays are of shape (pairs,); `slow` and `fast` have one more element, for the part common to all pairs; `calm` has only one.
    """

    level: Floats
    close: Floats
    momentum: Floats
    trend: Floats
    transitory: Floats
    slow: Floats
    fast: Floats
    calm: Floats
    noise: Floats
    regime: int
    candles_left: int
    outage_left: int


class MarketProcess:
    """Generates the blocks of a market, one after the other.

    Parameters
    ----------
    seed : int
        Together with the start it determines all blocks.
    starts_at : datetime
        A multiple of 8 hours UTC, so that funding times coincide with candle opens.

    Raises
    ------
    SettingsError
        If the seed is below 0, the start is not a multiple of 8 hours, or the timeframe does not divide 8 hours.
    """

    def __init__(self, seed: int, *, starts_at: datetime, traits: Sequence[PairTraits], timeframe: str) -> None:
        duration = timeframe_duration(timeframe)
        if FUNDING_EVERY % duration:
            raise SettingsError(f"the simulated market's timeframe must divide 8 hours, was {timeframe}")
        if (starts_at - EPOCH) % FUNDING_EVERY:
            raise SettingsError(f"the simulated market starts at 00:00, 08:00 or 16:00 UTC, was {starts_at.isoformat()}")
        if seed < 0:
            raise SettingsError(f"the simulated market's seed must not be below 0, was {seed}")
        self.traits = tuple(traits)
        self.candles_a_day = _DAY // duration
        self.candles_a_block = BLOCK // duration
        self.next_block = 0
        self._seed = seed
        self._sigma = np.array([traits.daily_sigma for traits in self.traits])
        self._beta = np.array([traits.beta for traits in self.traits])
        self._correlation = np.array([traits.correlation for traits in self.traits])
        self._start_level = np.log([traits.start_rate for traits in self.traits])
        self._state = self._first_state()

    def make_block(self) -> Block:
        """Generate the next week."""
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(self.next_block,)))
        self.next_block += 1
        regime = self._regimes(rng)
        sigma = self._volatility(rng, regime)
        returns, expected, bursts = self._returns(rng, regime=regime, sigma=sigma)
        present = self._present(rng)
        prices = self._prices(rng, returns=returns, sigma=sigma)
        volume = self._volume(rng, returns=returns, sigma=sigma, bursts=bursts, close=prices[3])
        return Block(*prices, volume, present, self._funding(rng, regime), regime, expected, sigma * np.sqrt(self.candles_a_day))

    def _first_state(self) -> _State:
        rng = np.random.default_rng(np.random.SeedSequence(self._seed))
        pairs = len(self.traits)
        first = int(rng.integers(len(REGIMES)))
        return _State(
            level=self._start_level.copy(),
            close=np.exp(self._start_level),
            momentum=np.zeros(pairs),
            trend=rng.standard_normal(pairs) * TREND_SIGMAS,
            transitory=np.zeros(pairs),
            slow=rng.standard_normal(pairs + 1) * 0.3,
            fast=rng.standard_normal(pairs + 1) * 0.2,
            calm=np.array([VOLATILITY[REGIMES[first]]]),
            noise=np.zeros(pairs),
            regime=first,
            candles_left=self._stay(rng, first),
            outage_left=0,
        )

    def _stay(self, rng: np.random.Generator, regime: int) -> int:
        days = rng.gamma(2.0, MEAN_DAYS[REGIMES[regime]] / 2.0)
        return max(self.candles_a_day // 4, int(days * self.candles_a_day))

    def _regimes(self, rng: np.random.Generator) -> NDArray[np.int8]:
        path = np.empty(self.candles_a_block, dtype=np.int8)
        state, at = self._state, 0
        while at < len(path):
            stay = min(state.candles_left, len(path) - at)
            path[at : at + stay] = state.regime
            at += stay
            state.candles_left -= stay
            if not state.candles_left:
                state.regime = int(rng.choice(len(REGIMES), p=_NEXT[REGIMES[state.regime]]))
                state.candles_left = self._stay(rng, state.regime)
        return path

    def _volatility(self, rng: np.random.Generator, regime: NDArray[np.int8]) -> Floats:
        """Return each candle's sigma, of shape (candles, pairs): regime x common x own, slow and fast."""
        shape, state = (self.candles_a_block, len(self.traits) + 1), self._state
        slow = _ar1(rng.standard_normal(shape), state.slow, half_life=3.0 * self.candles_a_day, deviation=0.3)
        fast = _ar1(rng.standard_normal(shape), state.fast, half_life=self.candles_a_day / 8.0, deviation=0.25)
        state.slow, state.fast = slow[-1], fast[-1]
        target = np.array([VOLATILITY[name] for name in REGIMES])[regime][:, None]
        calm = _smooth(target, state.calm, half_life=self.candles_a_day / 8.0)
        state.calm = calm[-1]
        own = slow[:, :-1] + fast[:, :-1]
        common = slow[:, -1:] + fast[:, -1:]
        # The convexity of the exponential would raise the mean: subtract it, so that daily_sigma remains the typical sigma.
        exponent = 0.7 * own + 0.7 * common - 0.49 * (0.3**2 + 0.25**2)
        sigma: Floats = self._sigma * calm * np.exp(exponent) / np.sqrt(self.candles_a_day)
        return sigma

    def _returns(self, rng: np.random.Generator, *, regime: NDArray[np.int8], sigma: Floats) -> tuple[Floats, Floats, Floats]:
        """Return log returns, their predictable part, and the bursts (0 for no burst, otherwise the signed size in sigmas)."""
        shape, state = sigma.shape, self._state
        common, own = _heavy(rng, (shape[0], 1)), _heavy(rng, shape)
        noise = sigma * (self._correlation * common + np.sqrt(1.0 - self._correlation**2) * own)
        bursts = self._bursts(rng, shape)
        share = np.array([MOMENTUM_SHARE[name] for name in REGIMES])[regime][:, None]
        daily = sigma * np.sqrt(self.candles_a_day)
        hours = MOMENTUM_HOURS * self.candles_a_day / 24.0
        impulses = np.sign(bursts) * share * MOMENTUM_SIGMAS * daily / hours
        after = _decay(impulses, state.momentum, rate=1.0 / hours)
        momentum = np.vstack([state.momentum[None, :], after[:-1]])
        drift = np.array([DAILY_DRIFT[name] for name in REGIMES])[regime][:, None] * self._beta / self.candles_a_day
        trend = _ar1(rng.standard_normal(shape), state.trend, half_life=TREND_DAYS * self.candles_a_day, deviation=TREND_SIGMAS)
        state.trend = trend[-1]
        drift = drift + trend * daily / self.candles_a_day
        transitory, pulled = self._transitory(rng, regime=regime, daily=daily)
        pull = (self._start_level - state.level) / (_PULL_DAYS * self.candles_a_day)
        state.momentum = after[-1]
        expected = drift + momentum + pulled + pull
        return noise + bursts * sigma + drift + momentum + transitory + pull, expected, bursts

    def _bursts(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        happens = rng.random(shape) < BURSTS_A_DAY / self.candles_a_day
        size = rng.uniform(2.0, 3.0, shape) * rng.choice([-1.0, 1.0], shape)
        return np.where(happens, size, 0.0)

    def _transitory(self, rng: np.random.Generator, *, regime: NDArray[np.int8], daily: Floats) -> tuple[Floats, Floats]:
        """Return the steps of the transitory part, and their expected values at the candles' opens."""
        state = self._state
        keep = 0.5 ** (24.0 / (REVERSION_HALF_LIFE_HOURS * self.candles_a_day))
        sideways = (regime == REGIMES.index(Regime.SIDEWAYS))[:, None]
        shocks = rng.standard_normal(daily.shape) * np.sqrt(1.0 - keep**2) * REVERSION_SIGMAS * daily * sideways
        part = _decay(shocks, state.transitory, rate=1.0 - keep)
        before = np.vstack([state.transitory[None, :], part[:-1]])
        state.transitory = part[-1]
        return part - before, (keep - 1.0) * before

    def _present(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        shape, state = (self.candles_a_block, len(self.traits)), self._state
        present = rng.random(shape) >= 1.0 / 8_000.0
        present[: state.outage_left] = False
        state.outage_left = 0
        if rng.random() < 0.3:  # about every third week, 2 to 12 consecutive candles of all pairs are missing
            start, length = int(rng.integers(shape[0])), int(rng.integers(2, 13))
            present[start : start + length] = False
            state.outage_left = max(0, start + length - shape[0])
        return present

    def _prices(self, rng: np.random.Generator, *, returns: Floats, sigma: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        shape, state = returns.shape, self._state
        level = state.level + np.cumsum(returns, axis=0)
        close = np.exp(level)
        before = np.vstack([state.close[None, :], close[:-1]])
        state.level, state.close = level[-1], close[-1]
        steps = np.where(rng.random(shape) < 0.5, rng.standard_normal(shape) * 0.02, 0.0)
        steps = np.where(rng.random(shape) < 0.5 / self.candles_a_day, rng.standard_normal(shape), steps)
        opened = before * np.exp(steps * sigma)
        wicks = rng.exponential(0.35, (2, *shape))
        wicks *= np.where(rng.random((2, *shape)) < 1.0 / self.candles_a_day, rng.uniform(4.0, 16.0, (2, *shape)), 1.0)
        high = np.maximum(opened, close) * np.exp(wicks[0] * sigma)
        low = np.minimum(opened, close) * np.exp(-wicks[1] * sigma)
        return self._on_tick(opened), self._on_tick(high), self._on_tick(low), self._on_tick(close)

    def _on_tick(self, rates: Floats) -> Floats:
        rounded = np.empty_like(rates)
        for index, traits in enumerate(self.traits):
            rounded[:, index] = np.maximum(np.round(rates[:, index], traits.rate_decimals), 10.0**-traits.rate_decimals)
        return rounded

    def _volume(self, rng: np.random.Generator, *, returns: Floats, sigma: Floats, bursts: Floats, close: Floats) -> Floats:
        shape, state = returns.shape, self._state
        noise = _ar1(rng.standard_normal(shape), state.noise, half_life=self.candles_a_day / 48.0, deviation=0.5)
        state.noise = noise[-1]
        hours = np.arange(shape[0])[:, None] * 24.0 / self.candles_a_day
        season = 0.3 * np.cos((hours - 15.0) * np.pi / 12.0)
        moved = np.log(0.3 + np.abs(returns) / sigma)
        restless = np.log(sigma * np.sqrt(self.candles_a_day) / self._sigma)
        burst = np.where(bursts != 0.0, np.log(rng.uniform(4.0, 8.0, shape)), 0.0)
        value = np.array([traits.daily_value_abs for traits in self.traits]) / self.candles_a_day
        volume: Floats = value * np.exp(noise + season + 0.5 * moved + 0.6 * restless + burst + 0.3 * rng.standard_normal(shape)) / close
        for index, traits in enumerate(self.traits):
            volume[:, index] = np.round(volume[:, index], traits.amount_decimals)
        return volume

    def _funding(self, rng: np.random.Generator, regime: NDArray[np.int8]) -> Floats:
        """Return funding rates by payment: usually 0.01 %, more in a bull market, less or negative in a bear market."""
        at_payment = regime[:: self.candles_a_day // 3]
        lean = np.array([DAILY_DRIFT[name] for name in REGIMES])[at_payment][:, None] * self._beta / 50.0
        rates = 1e-4 + lean + rng.standard_normal((len(at_payment), len(self.traits))) * 5e-5
        bounded: Floats = np.round(np.clip(rates, -0.0075, 0.0075), 8)
        return bounded


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return draws of Student's t with 4 degrees of freedom, scaled to variance 1 and clipped at 12."""
    draws: Floats = np.clip(rng.standard_t(4.0, shape) / np.sqrt(2.0), -12.0, 12.0)
    return draws


def _recursion(inputs: Floats, before: Floats, *, weight: float) -> Floats:
    """Return y[t] = (1 - weight) y[t-1] + weight inputs[t] with y[-1] = before, column by column."""
    stacked = np.vstack([np.broadcast_to(before, (1, inputs.shape[1])), inputs])
    found: Floats = pd.DataFrame(stacked).ewm(alpha=weight, adjust=False).mean().to_numpy()[1:]
    return found


def _smooth(inputs: Floats, before: Floats, *, half_life: float) -> Floats:
    return _recursion(inputs, before, weight=1.0 - 0.5 ** (1.0 / half_life))


def _ar1(shocks: Floats, before: Floats, *, half_life: float, deviation: float) -> Floats:
    """Return a first-order autoregression with a given stationary deviation, from standard normal shocks."""
    keep = 0.5 ** (1.0 / half_life)
    return _recursion(shocks * deviation * np.sqrt(1.0 - keep**2) / (1.0 - keep), before, weight=1.0 - keep)


def _decay(impulses: Floats, before: Floats, *, rate: float) -> Floats:
    """Return y[t] = (1 - rate) y[t-1] + impulses[t]."""
    return _recursion(impulses / rate, before, weight=rate)
