"""Simulate shadow trades: each feeder trades every pair on its own, with the stop and target of the settings and without a wallet.

Its score is computed from these trades.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_of, instant_us, microseconds
from bot3.trading.backtest_signals import RegimeLine
from bot3.trading.costs import Costs, close_profit
from bot3.trading.exits import static_levels
from bot3.trading.horizons import Horizon
from bot3.trading.markets import Market
from bot3.trading.matching import MatchedExit, OpenPath, PairCandles, match_trade
from bot3.trading.profiles import BotProfile
from bot3.trading.sizing import choose_leverage
from bot3.trading.trades import RunMode
from bot3.trading.units import rate_of_move, stop_inside_liquidation

SHADOW_COLUMNS = (
    "run_mode",
    "feeder_id",
    "pair",
    "is_short",
    "open_date",
    "close_date",
    "confidence",
    "leverage",
    "open_rate",
    "close_rate",
    "close_profit",
    "close_move",
    "sigma",
    "regime",
    "exit_reason",
    "model_digest",
    "known_at",
)
_TIMES = ("open_date", "close_date", "known_at")


def shadow_trades(
    signals: pd.DataFrame,
    candles: Mapping[str, PairCandles],
    profile: BotProfile,
    *,
    markets: Mapping[str, Market],
    costs: Costs,
    candle: timedelta,
    end: datetime,
    run_mode: RunMode,
    regimes: pd.DataFrame | None = None,
    last_closes: Mapping[str, datetime] | None = None,
) -> pd.DataFrame:
    """Simulate the shadow trades of one feeder; return the closed ones.

    Parameters
    ----------
    signals : DataFrame
        A signal frame (`ports.signals`) of one feeder, sorted by known_at. To continue an earlier call, pass the signals known from the
        oldest last close on.
    profile : BotProfile
        Profile whose stop and target, leverage rule and cap, longest trade and exit rules are used; its directions, slots and limits on
        losses and notional are not. A trade has the horizon of its signal.
    end : datetime
        Trades that close later are not returned: they are open, and the next call simulates them again.
    last_closes : mapping, optional
        The feeder's newest close by pair (`ShadowTradeRepository.last_closes`); from then on the pair has no position.

    Returns
    -------
    DataFrame
        A shadow frame (`ports.record.ShadowTradeRepository`), by pair and open date; trades of a pair do not overlap. `regime` is empty
        before the first known regime. A trade begins with the most confident signal of a close; pairs without candles have no trades, and
        signals without a candle that opens at their `known_at`, or without a known volatility, are skipped.

    Raises
    ------
    InvalidTradeError
        If the signals are of several feeders.
    """
    feeders = sorted(set(signals["feeder_id"]))
    if len(feeders) > 1:
        raise InvalidTradeError(f"shadow trades are made for one feeder at a time: pass the signals of one, were of {', '.join(feeders)}")
    line, rows = RegimeLine(regimes), []
    for pair, own in signals.groupby("pair", sort=True):
        if pair not in candles:
            continue
        trader = _ShadowTrader(str(pair), candles[str(pair)], profile=profile, market=markets[str(pair)], costs=costs, candle=candle)
        flat_from = (last_closes or {}).get(str(pair))
        flat_us = 0 if flat_from is None else instant_us(flat_from)
        rows += list(trader.trades(_best_of_each_close(own), flat_us=flat_us, end_us=instant_us(end), regimes=line))
    return _frame(rows, run_mode=run_mode)


class _ShadowTrader:
    """Shadow trader of one feeder on one pair."""

    def __init__(self, pair: str, candles: PairCandles, *, profile: BotProfile, market: Market, costs: Costs, candle: timedelta) -> None:
        self._pair, self._candles, self._profile, self._costs = pair, candles, profile, costs
        self._market = market
        self._bracket = market.bracket(profile.wallet_abs * profile.max_stake_ratio * profile.leverage_cap)
        self._candle_us = candle // timedelta(microseconds=1)

    def trades(self, signals: pd.DataFrame, *, flat_us: int, end_us: int, regimes: RegimeLine) -> Iterator[dict[str, Any]]:
        """Yield the closed trades in order: the next trade begins at the first signal at or after the previous trade's close."""
        known_us = microseconds(signals["known_at"])
        entries, is_usable = self._entries(known_us)
        shorts, confidences = signals["is_short"].to_numpy(dtype=np.bool_), signals["confidence"].to_numpy(dtype=np.float64)
        tags = signals[["feeder_id", "model_digest"]].to_numpy(dtype=object)
        horizons = [Horizon(name) for name in signals["horizon"]]
        row = int(np.searchsorted(known_us, flat_us))
        while row < len(known_us):
            if not is_usable[row]:
                row += 1
                continue
            at_us, is_short = int(known_us[row]), bool(shorts[row])
            sigma = self._sigma(int(entries[row]), horizons[row])
            path = self._path(int(entries[row]), at_us=at_us, is_short=is_short, sigma=sigma, horizon=horizons[row])
            matched = match_trade(self._candles, path, costs=self._costs, candle_us=self._candle_us)
            if matched is None or matched.close_us > end_us:
                return
            yield {
                "feeder_id": tags[row, 0],
                "model_digest": tags[row, 1],
                "confidence": float(confidences[row]),
                "open_date": at_us,
                "regime": str(regimes.at(at_us) or ""),
                "sigma": sigma,
                **self._outcome(path, matched),
            }
            row = int(np.searchsorted(known_us, matched.close_us))

    def _entries(self, known_us: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the index of each signal's entry candle, and whether that candle exists and the volatility is known."""
        open_us = self._candles.open_us
        entries = np.searchsorted(open_us, known_us).astype(np.int64)
        inside = (entries > 0) & (entries < len(open_us))
        at = np.clip(entries, 1, len(open_us) - 1)
        sigma = self._candles.sigma[at - 1]
        usable: NDArray[np.bool_] = inside & (open_us[at] == known_us) & np.isfinite(sigma) & (sigma > 0.0)
        return entries, usable

    def _sigma(self, entry: int, horizon: Horizon) -> float:
        """Return the volatility over the horizon that a bot gives a trade on a signal, known at its entry."""
        return float(self._candles.sigma[entry - 1]) * self._profile.horizon_of(horizon).sigma_factor

    def _path(self, entry: int, *, at_us: int, is_short: bool, sigma: float, horizon: Horizon) -> OpenPath:
        profile = self._profile
        spans = profile.bins.spans(profile.bins.names, highest=min(profile.leverage_cap, self._bracket.max_leverage))
        leverage = choose_leverage(sigma=sigma, target_volatility=profile.target_volatility, spans=spans)
        levels = static_levels(profile=profile, leverage=leverage, is_short=is_short, costs=self._costs)
        maintenance = self._bracket.maintenance_margin_ratio
        stop_move = stop_inside_liquidation(levels.stop_move, leverage=leverage, maintenance_margin_ratio=maintenance, is_short=is_short)
        open_rate = self._costs.entry_rate(float(self._candles.open[entry]), is_short=is_short)
        return OpenPath(
            entry=entry,
            is_short=is_short,
            leverage=leverage,
            open_rate=open_rate,
            stop_rate=rate_of_move(stop_move, open_rate=open_rate, is_short=is_short),
            take_profit_rate=rate_of_move(levels.take_profit_move, open_rate=open_rate, is_short=is_short),
            maintenance_margin_ratio=maintenance,
            rule=profile.exit_rules.of_trade(sigma=sigma, expires_at=instant_of(at_us) + profile.duration_of(horizon)),
            break_even_rate=float(self._market.break_even_rate(open_rate, is_short=is_short, costs=self._costs)),
        )

    def _outcome(self, path: OpenPath, matched: MatchedExit) -> dict[str, Any]:
        profit = close_profit(
            open_rate=path.open_rate,
            close_rate=matched.close_rate,
            is_short=path.is_short,
            leverage=path.leverage,
            fee_open=self._costs.taker_fee,
            fee_close=matched.fee,
            funding_ratio=matched.funding_ratio,
        )
        return {
            "pair": self._pair,
            "is_short": path.is_short,
            "leverage": path.leverage,
            "open_rate": path.open_rate,
            "close_rate": matched.close_rate,
            "close_profit": profit,
            "close_move": profit / path.leverage,
            "exit_reason": matched.reason.value,
            "close_date": matched.close_us,
            "known_at": matched.close_us,
        }


def _best_of_each_close(signals: pd.DataFrame) -> pd.DataFrame:
    """Return the most confident signal of each close, since a feeder may signal both directions; of two equal ones the long."""
    if not bool(signals["known_at"].duplicated().any()):
        return signals
    ordered = signals.sort_values(["known_at", "confidence", "is_short"], ascending=[True, False, True], kind="stable")
    return ordered.drop_duplicates("known_at")


def _frame(rows: list[dict[str, Any]], *, run_mode: RunMode) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[name for name in SHADOW_COLUMNS if name != "run_mode"])
    for name in _TIMES:
        frame[name] = pd.to_datetime(frame[name].astype("int64"), unit="us", utc=True).astype("datetime64[us, UTC]")
    frame["run_mode"] = run_mode.value
    return frame[list(SHADOW_COLUMNS)]
