"""Measure the whole learning step, from trades in a record to published parameters: from all trades, and after one new close.

    python -m benchmarks.relearn [--trades 47733] [--rounds 3] [--incremental 30]

The record is a SQLite file; candles are a synthetic year of 20 pairs at 5m; 200 cells (pair, direction, leverage bin) are learned. `full_s`
is what a new process does (ingest, replay of every trade, pooling, rows, checks, publication), without reading trades and candles. `beat_s`
is the full run that a warm process makes every few minutes, also without reading. `incremental_ms` is one new close in a warm process, from
the record's row to the publication, reading included. Seconds are CPU seconds, so that other processes on the machine do not count; `wall`
reports the same in wall time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.output import print_result, quantiles, tell
from benchmarks.replay_world import CANDLES, HORIZON, PAIRS, ReplayWorld, replay_world
from bot3.adapters.sql.record.record import SqlRecord
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.market.candle_series import CandleSeries
from bot3.trading.exit_rules import ExitRules
from bot3.trading.horizons import Horizon
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.learning.learn_params import LearnOutcome, learn_params
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.replay_trades import replay_trades

START = datetime(2025, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
NOW = START + CANDLES * STEP
SETTINGS = LearningSettings(exit_rules=ExitRules(giveback_activation_sigma=1.0, giveback_share=0.5))  # the platform's defaults
LIFE = timedelta(days=7)
_NAMES = tuple(f"P{number:02d}/USDT:USDT" for number in range(PAIRS))


def _now() -> NDArray[np.float64]:
    """Return the CPU time of this process and a wall clock, in seconds; both count from an arbitrary instant."""
    return np.array([time.process_time(), time.perf_counter()])


class Reads:
    """A proxy that adds up the seconds (CPU, wall) spent in some methods of an object, given by name."""

    def __init__(self, target: Any, names: tuple[str, ...], *, whole: Reads | None = None) -> None:
        self._target, self._names, self._whole = target, names, whole or self
        self.seconds = np.zeros(2)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        own = tuple(path.removeprefix(f"{name}.") for path in self._names if path.startswith(f"{name}."))
        if own:
            return Reads(found, own, whole=self._whole)
        return self._timed(found) if name in self._names else found

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = _now()
            try:
                return call(*arguments, **named)
            finally:
                self._whole.seconds += _now() - began

        return timed


class WorldCandles:
    """The 5m candles of a world as a candle reader; without funding, and `timeframe` is ignored."""

    def __init__(self, world: ReplayWorld) -> None:
        opens = pd.Series(pd.date_range(START, periods=CANDLES, freq=STEP)).astype("datetime64[us, UTC]")
        self._series = {}
        for number, pair in enumerate(_NAMES):
            own = slice(number * CANDLES, (number + 1) * CANDLES)
            frame = pd.DataFrame({"open_time": opens, **{name: column[own] for name, column in world.plain.items()}, "volume": 1.0})
            self._series[pair] = CandleSeries(frame, pair=pair, timeframe="5m")

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:  # noqa: ARG002
        """Return the first and last time that a pair's candles cover."""
        return self._series[pair].span

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:  # noqa: ARG002
        """Return the candles of a pair between two times."""
        return self._series[pair].between(start=start, end=end)

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:  # noqa: ARG002
        """Return an empty funding frame."""
        times = pd.Series([], dtype="datetime64[us, UTC]")
        return pd.DataFrame({"time": times, "funding_rate": pd.Series([], dtype="float64")})


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trades", type=int, default=47_733)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--incremental", type=int, default=30)
    arguments = parser.parse_args()
    _require_one_thread()
    world = replay_world(arguments.trades)
    candles = Reads(WorldCandles(world), ("span", "candles", "funding"))
    with tempfile.TemporaryDirectory() as directory:
        store = SqlRecord.open(f"sqlite:///{Path(directory) / 'platform.sqlite'}")
        try:
            record = Reads(store, ("trades.frame", "trades.counts", "replays.frame"))
            record.trades.upsert(closed_trades(world))
            _measure(record, candles, rounds=arguments.rounds, closes=arguments.incremental)
        finally:
            store.close()


def _require_one_thread() -> None:
    """Restart the process with one thread of linear algebra: the matrices are small, and waiting threads would count as CPU time."""
    if "OPENBLAS_NUM_THREADS" not in os.environ:
        command = [sys.executable, "-m", "benchmarks.relearn", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, check=False).returncode)


def closed_trades(world: ReplayWorld) -> list[Trade]:
    """Return the world's paths as closed trades, one for each signal."""
    paths = world.paths
    columns = (column.tolist() for column in (paths.entry, paths.open_rate, paths.is_short, paths.leverage))
    return [
        _trade(number, pair=_NAMES[entry // CANDLES], place=entry % CANDLES, rate=rate, is_short=is_short, leverage=leverage)
        for number, (entry, rate, is_short, leverage) in enumerate(zip(*columns, strict=True), start=1)
    ]


def _trade(number: int, *, pair: str, place: int, rate: float, is_short: bool, leverage: float) -> Trade:
    opened = START + place * STEP + timedelta(seconds=number % 299)
    profit = 0.02 if number % 2 else -0.03
    return Trade(
        bot=f"BOT{number % 3 + 1}",
        run_mode=RunMode.PAPER,
        account="paper",
        trade_id=number,
        pair=pair,
        is_short=is_short,
        leverage=leverage,
        open_date=opened,
        open_rate=rate,
        amount=100.0 * leverage / rate,
        stake_amount=100.0,
        fee_open=0.0005,
        fee_close=0.0005,
        enter_tag="F01",
        is_open=False,
        close_date=opened + timedelta(hours=2),
        close_rate=rate,
        close_profit=profit,
        close_profit_abs=100.0 * profit,
        exit_reason="roi" if profit > 0.0 else "stop_loss",
        horizon=Horizon.DAY,
    )


def _measure(record: Reads, candles: Reads, *, rounds: int, closes: int) -> None:
    session = LearnerSession(ParameterLearner(SETTINGS))
    first_s = _run(record, session, candles, full=True)
    tell(f"first run, which writes all replays: {first_s[0]:.2f} s ({first_s[1]:.2f} s of wall time) without reading")
    full_s = np.stack([_run(record, LearnerSession(ParameterLearner(SETTINGS)), candles, full=True) for _ in range(rounds)])
    beat_s = np.stack([_run(record, session, candles, full=True) for _ in range(rounds)])
    newest = record.trades.frame(as_of=None, run_modes=[RunMode.PAPER])
    close_s = np.stack([_close(record, session, candles, newest=newest, number=number) for number in range(closes + 1)][1:])
    calm, wall = quantiles(close_s[:, 0].tolist()), quantiles(close_s[:, 1].tolist())
    tell(f"new process {full_s[:, 0]}, warm {beat_s[:, 0]}, one close {calm}")
    print_result(
        {
            "benchmark": "relearn",
            "full_s": round(float(np.median(full_s[:, 0])), 3),
            "incremental_ms": round(1_000.0 * calm["p50_s"], 1),
            "incremental_p95_ms": round(1_000.0 * calm["p95_s"], 1),
            "beat_s": round(float(np.median(beat_s[:, 0])), 3),
            "first_s": round(float(first_s[0]), 3),
            "wall": {
                "full_s": round(float(np.median(full_s[:, 1])), 3),
                "incremental_ms": round(1_000.0 * wall["p50_s"], 1),
                "beat_s": round(float(np.median(beat_s[:, 1])), 3),
            },
            "blas_threads": os.environ["OPENBLAS_NUM_THREADS"],
            # Peak of the whole process, candles included; the cost of a trade follows from runs of two sizes (docs/scale.md).
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
            "trades": len(newest),
            "cells": len(session.learner.table.by_group),
        }
    )


def _run(record: Reads, session: LearnerSession, candles: Reads, *, full: bool) -> NDArray[np.float64]:
    record.seconds, candles.seconds = np.zeros(2), np.zeros(2)
    began = _now()
    outcome = _step(record, session, candles, full=full)
    took = _now() - began - record.seconds - candles.seconds
    if outcome.published is None or outcome.is_full != full:
        raise SystemExit("nothing was published, or the run was not of the requested kind (full or incremental)")
    return took


def _close(record: Reads, session: LearnerSession, candles: Reads, *, newest: pd.DataFrame, number: int) -> NDArray[np.float64]:
    """Write one close whose horizon has passed to the record, and learn from it; return the seconds of learning, reading included."""
    old = newest.iloc[(number * 977) % len(newest)]
    place = int((old["open_date"] - pd.Timestamp(START)) / pd.Timedelta(STEP))
    trade = _trade(
        1_000_000 + number,
        pair=str(old["pair"]),
        place=(place + 1_000) % (CANDLES - HORIZON - 2_000) + 1_000,
        rate=float(old["open_rate"]),
        is_short=bool(old["is_short"]),
        leverage=float(old["leverage"]),
    )
    record.trades.upsert([replace(trade, bot="BOT1")])
    began = _now()
    outcome = _step(record, session, candles, full=False)
    took = _now() - began
    if outcome.published is None or outcome.is_full:
        raise SystemExit("a new close was not learned incrementally")
    return took


def _step(record: Any, session: LearnerSession, candles: Any, *, full: bool) -> LearnOutcome:
    replayed = replay_trades(record, session, candles, run_modes=[RunMode.PAPER], now=NOW)
    return learn_params(record, session, now=NOW, computed_at=NOW, life=LIFE, trades_revision=replayed.trades_revision, full=full)


if __name__ == "__main__":
    main()
