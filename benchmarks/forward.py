"""Measure learned stops and targets forward on real candles: learned weekly from the past, judged by the trades of the next week.

    python -m benchmarks.forward --candles DIRECTORY [--warm-up-weeks 6]

DIRECTORY contains 5m candles of perpetuals in freqtrade's format. Three bots without skill (`forward_bots.py`) make the trades, so no level
earns more than another except by chance and by the market's drift. Rivals are the static -3 % and +3 % of the stake, one sigma each, the
time exit alone, and each bot's own levels. All are sized by the same rule: the daemon's risk target by the deviation of past outcomes of
the same rival and half the worst loss, at most the wallet. There is no edge, so half Kelly, which would be 0, is left out.

`optimism_bps` is the published expectancy minus what the trades netted, with its 95 % interval. `tail_ratio` is the 5 % expected shortfall
of a day's money over its standard deviation, divided by that of the static levels. `risk_hit` is the standard deviation of a trade's money
over the risk target. `worse_cells` are the pairs and directions that earned less money than the static levels with 95 % confidence;
`worse_cells_limit` is the 95 % quantile of that number if the sign of each day's differences is random.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.forward_bots import BOTS, HORIZON, trades_of
from benchmarks.output import print_result, tell
from bot3.adapters.files.candles import FileCandles
from bot3.learning.evaluation.comparison import IntervalEstimate, clustered_estimate
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.learning.parameters.replay_evidence import ReplayEvidence
from bot3.learning.parameters.settings import DEFAULT_SIZES
from bot3.learning.parameters.utility import worst_moves
from bot3.market.instants import DAY_US
from bot3.trading.sizing import risk_ratio

BPS = 1e4
WEEK = timedelta(days=7)
LEARNED, STATIC = "learned", "static"
FLIPS, ONE_SIDED_T = 500, 1.645
STATIC_STAKE = 0.03
_SETTINGS = LearningSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Trades of the weeks after the warm-up: `table` has the columns open_us, cell, sigma and promised; `money` and `net` are by rival.

    `money` is a trade's result as a ratio of the wallet, `net` its net move of the price, both in the order of the table.
    """

    table: pd.DataFrame
    money: Mapping[str, NDArray[np.float64]]
    net: Mapping[str, NDArray[np.float64]]


def run(directory: Path, *, warm_up_weeks: int) -> dict[str, object]:
    """Run the benchmark, and return its JSON object."""
    judged = judge(read_frames(directory), warm_up_weeks=warm_up_weeks)
    opened = judged.table["open_us"].to_numpy()
    optimism = clustered_estimate(BPS * (judged.table["promised"].to_numpy() - judged.net[LEARNED]), opened)
    tails = {name: tail(money, opened) for name, money in judged.money.items()}
    worse, limit = worse_cells(judged)
    return {
        "benchmark": "forward",
        "trades": len(opened),
        "days": len(np.unique(opened // DAY_US)),
        "optimism_bps": round(optimism.mean, 2),
        "optimism_half_width": round((optimism.upper - optimism.lower) / 2.0, 2),
        "tail_ratio": round(tails[LEARNED] / tails[STATIC], 3),
        "risk_hit": round(float(judged.money[LEARNED].std()) / DEFAULT_SIZES.risk_ratio, 3),
        "worse_cells": worse,
        "worse_cells_limit": limit,
        "rivals": {name: figures(name, judged, opened) for name in judged.money},
    }


def read_frames(directory: Path) -> dict[str, pd.DataFrame]:
    """Return the candles of every pair of a directory."""
    reader = FileCandles(directory, wall_now=lambda: datetime(2200, 1, 1, tzinfo=UTC))
    spans = {pair: reader.span(pair, "5m") for pair in reader.pairs()}
    return {pair: reader.candles(pair, "5m", start=start, end=end) for pair, (start, end) in spans.items()}


def judge(frames: Mapping[str, pd.DataFrame], *, warm_up_weeks: int) -> Judged:
    """Learn at the end of every week from the trades known then, and judge the levels by the trades of the next week."""
    evidence = ReplayEvidence(grid=_SETTINGS.grid, costs=_SETTINGS.costs)
    learner = ParameterLearner(_SETTINGS, evidence=evidence)
    trades = trades_of(frames)
    first, last = trades["open_date"].iloc[0].to_pydatetime(), trades["open_date"].iloc[-1].to_pydatetime()
    now = first + warm_up_weeks * WEEK
    _load(learner, frames, now=now)
    learner.ingest_known(trades[trades["open_date"] < now], now=now)
    plans = []
    while now < last:
        learner.replay_due(now=now)
        week = trades[(trades["open_date"] >= now) & (trades["open_date"] < now + WEEK)]
        plans.append(_plan(learner, week, now=now))
        tell(f"{now:%Y-%m-%d}: {len(learner.table)} trades known, {len(week)} to judge")
        now += WEEK
        _load(learner, frames, now=now)
        learner.ingest_known(week, now=now)
    end = last + 2 * HORIZON
    _load(learner, frames, now=end)
    learner.ingest_known(trades.iloc[:0], now=end)
    learner.replay_due(now=end)
    return _judged(learner, evidence, pd.concat(plans).set_index("trade_id"), warm_up=first + warm_up_weeks * WEEK)


def _load(learner: ParameterLearner, frames: Mapping[str, pd.DataFrame], *, now: datetime) -> None:
    """Give the learner the candles that closed since the last call."""
    for pair, candles in frames.items():
        until, closes = learner.candles_until(pair), candles["open_time"] + pd.Timedelta(minutes=5)
        is_new = closes <= pd.Timestamp(now) if until is None else (closes <= pd.Timestamp(now)) & (closes > pd.Timestamp(until))
        learner.add_candles(pair, candles[is_new].reset_index(drop=True), _no_funding())


def _no_funding() -> pd.DataFrame:
    times = pd.Series([], dtype="datetime64[us, UTC]")
    return pd.DataFrame({"time": times, "funding_rate": pd.Series([], dtype="float64")})


def _plan(learner: ParameterLearner, week: pd.DataFrame, *, now: datetime) -> pd.DataFrame:
    """Return the learned levels of a week's trades, in units of the volatility, with the published expectancy and deviation."""
    published = learner.learn_all(now=now, computed_at=now, life=WEEK, revision=0)
    rows = [
        published.find(pair=pair, is_short=is_short, leverage_bin=leverage_bin)
        for pair, is_short, leverage_bin in zip(week["pair"], week["is_short"], week["leverage_bin"], strict=True)
    ]
    return pd.DataFrame(
        {
            "trade_id": week["trade_id"].to_numpy(),
            "stop": [-row.stop_sigma for row in rows],
            "target": [row.target_sigma for row in rows],
            "promised": [row.expectancy for row in rows],
            "deviation": [(row.deviation_move or np.nan) / row.sigma_ref for row in rows],
        }
    )


def _judged(learner: ParameterLearner, evidence: ReplayEvidence, plans: pd.DataFrame, *, warm_up: datetime) -> Judged:
    table = learner.table
    rows = table.by_entry(table.observations(np.arange(len(table))))
    facts = {name: table.fact(name)[rows] for name in ("open_us", "sigma", "leverage")}
    trades = [table.trades[row] for row in rows.tolist()]
    plan = plans.reindex([trade["trade_id"] for trade in trades])
    is_judged = plan["stop"].notna().to_numpy() & (facts["open_us"] >= int(warm_up.timestamp()) * 1_000_000)
    levels = _rival_levels(plan, [trade["bot"] for trade in trades], **facts)
    money, nets = {}, {}
    for name, (stop, target) in levels.items():
        net = evidence.outcomes(table, rows, stop_sigma=stop, target_sigma=target).net
        units = plan["deviation"].to_numpy() if name == LEARNED else _past_deviation(net / facts["sigma"], facts["open_us"])
        worst = worst_moves(stop, sigma=facts["sigma"], costs=_SETTINGS.costs)
        size = np.minimum(risk_ratio(deviation=units * facts["sigma"], worst=worst, limits=DEFAULT_SIZES), DEFAULT_SIZES.notional_ratio)
        money[name], nets[name] = (size * net)[is_judged], net[is_judged]
    frame = pd.DataFrame(
        {
            "open_us": facts["open_us"],
            "cell": [f"{trade['pair']}|{trade['direction']}" for trade in trades],
            "promised": plan["promised"].to_numpy(),
        }
    )
    return Judged(table=frame[is_judged].reset_index(drop=True), money=money, net=nets)


def _rival_levels(
    plan: pd.DataFrame, bots: list[str], *, open_us: NDArray[np.int64], sigma: NDArray[np.float64], leverage: NDArray[np.float64]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return stop and target of every trade for each rival; trades without learned levels have one sigma each there, and are not judged."""
    ones, farthest = np.ones(len(open_us)), float(_SETTINGS.grid.stops[-1])
    stake = STATIC_STAKE / leverage / sigma
    own = {bot.name: bot for bot in BOTS}
    return {
        LEARNED: (plan["stop"].fillna(1.0).to_numpy(), plan["target"].fillna(1.0).to_numpy()),
        STATIC: (stake, stake + _SETTINGS.costs.round_trip / sigma),
        "one_sigma": (ones, ones),
        "time_exit": (farthest * ones, np.inf * ones),
        "own": (np.array([own[name].stop for name in bots]), np.array([own[name].target for name in bots])),
    }


def _past_deviation(units: NDArray[np.float64], open_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the standard deviation of the outcomes that were known when each trade's week began; NaN before there are two."""
    week_us = 7 * DAY_US
    found = np.full(len(units), np.nan)
    for week in np.unique(open_us // week_us).tolist():
        known = open_us + DAY_US <= week * week_us
        if known.sum() > 1:
            found[open_us // week_us == week] = units[known].std(ddof=1)
    return found


def tail(money: NDArray[np.float64], open_us: NDArray[np.int64]) -> float:
    """Return the mean loss of the worst 5 % of days, in standard deviations of a day's money."""
    days = np.bincount(open_us // DAY_US - int(open_us.min()) // DAY_US, weights=money)
    worst = np.sort(days)[: max(1, len(days) // 20)]
    return float(-worst.mean() / days.std())


def worse_cells(judged: Judged) -> tuple[int, int]:
    """Return how many pairs and directions earned less than the static levels with 95 % confidence, and the limit of that by chance."""
    gain = judged.money[LEARNED] - judged.money[STATIC]
    cells, cell = np.unique(judged.table["cell"].to_numpy(dtype=str), return_inverse=True)
    days, day = np.unique(judged.table["open_us"].to_numpy() // DAY_US, return_inverse=True)
    sums = np.zeros((len(cells), len(days)))
    np.add.at(sums, (cell, day), gain)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(FLIPS, len(days)))
    by_chance = [_worse(sums * sign) for sign in signs]
    return _worse(sums), int(np.quantile(by_chance, 0.95))


def _worse(sums: NDArray[np.float64]) -> int:
    return int((sums.sum(axis=1) < -ONE_SIDED_T * np.sqrt((sums**2).sum(axis=1))).sum())


def figures(name: str, judged: Judged, open_us: NDArray[np.int64]) -> dict[str, object]:
    """Return a rival's net moves in bps, and its money and gain over the static levels in 1e-4 of the wallet a trade, with intervals."""
    money = judged.money[name]
    return {
        "net_bps": _shown(clustered_estimate(BPS * judged.net[name], open_us)),
        "money": _shown(clustered_estimate(BPS * money, open_us)),
        "money_over_static": _shown(clustered_estimate(BPS * (money - judged.money[STATIC]), open_us)),
        "risk_hit": round(float(money.std()) / DEFAULT_SIZES.risk_ratio, 3),
        "tail": round(tail(money, open_us), 3),
    }


def _shown(estimate: IntervalEstimate) -> list[float]:
    return [round(value, 2) for value in (estimate.mean, estimate.lower, estimate.upper)]


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candles", type=Path, required=True, help="directory of 5m candles in freqtrade's format")
    parser.add_argument("--warm-up-weeks", type=int, default=6)
    told = parser.parse_args()
    if not told.candles.is_dir():
        raise SystemExit(f"{told.candles} is missing: pass a directory of candles")
    print_result(run(told.candles, warm_up_weeks=told.warm_up_weeks))


if __name__ == "__main__":
    main()
