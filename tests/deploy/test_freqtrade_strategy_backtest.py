"""The mixin in real freqtrade, on made-up candles; only where freqtrade's own environment was made."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.freqtrade_strategy import WARM_UP, run_freqtrade
from bot3.adapters.files.markets import DECLARED_BRACKETS
from bot3.market.regimes import Regime
from bot3.trading.markets import Market
from bot3.usecases.publishing.files import write_published_files
from tests.learned import a_recommendation, a_row, a_score, a_set

PYTHON = Path(__file__).parent.parent.parent / ".venv-freqtrade" / "bin" / "python"
FIRST = datetime.fromisoformat("2025-03-03T00:00:00+00:00")
SECOND = FIRST + timedelta(days=2)
EXPIRED = FIRST + timedelta(days=4)
END = FIRST + timedelta(days=5)
STOPS = {"v1": -0.5, "v2": -0.9}
PAIRS = ("BTC", "ETH")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="freqtrade is not there: `bash deploy/freqtrade/environment.sh` makes its environment"),
]


def write_candles(directory: Path, coin: str, *, seed: int) -> None:
    """Write 5m candles of a random walk, and their 1h mark and funding."""
    times = pd.date_range(FIRST - WARM_UP - timedelta(days=10), END, freq="5min", inclusive="left")
    steps = np.random.default_rng(seed).normal(0.0, 0.0015, (len(times), 3))
    close = 1_000.0 * np.exp(np.cumsum(steps[:, 0]))
    opened = np.concatenate(([1_000.0], close[:-1]))
    reach = np.abs(steps[:, 1:])
    prices = pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1.0 + reach[:, 0]),
            "low": np.minimum(opened, close) * (1.0 - reach[:, 1]),
            "close": close,
        }
    ).round(2)
    frame = prices.assign(volume=1_000.0)
    frame.insert(0, "date", times.as_unit("ms"))
    hours = frame[frame["date"].dt.minute == 0].reset_index(drop=True)
    named = {"5m-futures": frame, "1h-mark": hours, "1h-funding_rate": hours.assign(open=0.0001, high=0.0, low=0.0, close=0.0, volume=0.0)}
    for name, content in named.items():
        content.to_feather(directory / f"{coin}_USDT_USDT-{name}.feather")


def write_version(directory: Path, version: str, *, known_at: datetime, expires_at: datetime) -> None:
    row = a_row(stop_sigma=STOPS[version], take_profit_sigma=0.8, known_at=known_at)
    factors = dict.fromkeys(Regime, (1.0, 1.0))
    parameters = a_set(version, row, known_at=known_at, expires_at=expires_at, regime_factors=factors)
    made = replace(a_recommendation(f"m{version}", known_at=known_at), expires_at=expires_at)
    write_published_files(directory / version, parameters=parameters, scores=[a_score()], recommendation=made)


def market(coin: str) -> Market:
    return Market(
        pair=f"{coin}/USDT:USDT",
        rate_tick=Decimal("0.01"),
        amount_step=Decimal("0.001"),
        min_amount=Decimal("0.001"),
        min_notional_abs=Decimal(5),
        taker_fee=0.0005,
        maker_fee=0.0002,
        brackets=DECLARED_BRACKETS,
        is_declared=True,
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    work = tmp_path_factory.mktemp("freqtrade")
    candles = work / "freqtrade" / "data" / "binance" / "futures"
    candles.mkdir(parents=True)
    for seed, coin in enumerate(PAIRS):
        write_candles(candles, coin, seed=seed)
    write_version(work / "versions", "v1", known_at=FIRST, expires_at=EXPIRED)
    write_version(work / "versions", "v2", known_at=SECOND, expires_at=EXPIRED)
    markets = {f"{coin}/USDT:USDT": market(coin) for coin in PAIRS}
    return run_freqtrade(work, markets, python=PYTHON, learning=work / "versions", start=FIRST, end=END)


def test_trades_use_the_version_in_force_at_their_entry(result: dict[str, Any]) -> None:
    used = {trade["plan"]["parameters_version"] for trade in result["trades"]}
    wrong = [
        trade
        for trade in result["trades"]
        if trade["plan"]["parameters_version"] != ("v1" if datetime.fromisoformat(trade["open_date"]) < SECOND else "v2")
    ]

    assert (used, wrong) == ({"v1", "v2"}, [])


def test_entries_are_refused_before_the_first_version_and_after_the_last_expired(result: dict[str, Any]) -> None:
    opened = [datetime.fromisoformat(trade["open_date"]) for trade in result["trades"]]

    assert min(opened) >= FIRST
    assert max(opened) < EXPIRED
    assert {"missing_parameters", "expired_recommendation"} <= set(result["refusals"])


def test_trades_that_outlive_their_version_end_as_planned(result: dict[str, Any]) -> None:
    late = [trade for trade in result["trades"] if datetime.fromisoformat(trade["close_date"]) >= EXPIRED]

    assert late
    assert {trade["exit_reason"] for trade in late} <= {"stop_loss", "roi", "take_profit", "giveback", "time_exit"}


def test_stops_and_targets_fill_within_a_tick_of_the_plan(result: dict[str, Any]) -> None:
    ended = [trade for trade in result["trades"] if trade["exit_reason"] in {"stop_loss", "roi"}]

    far = [trade for trade in ended if abs(trade["close_rate"] - level(trade)) > 0.0101]

    assert {trade["exit_reason"] for trade in ended} == {"stop_loss", "roi"}
    assert far == []


def level(trade: dict[str, Any]) -> float:
    """Return the rate of a trade's own stop or target, from its sigma and the version's row."""
    version, sigma = trade["plan"]["parameters_version"], trade["plan"]["sigma"]
    move = (STOPS[version] if trade["exit_reason"] == "stop_loss" else 0.8) * sigma
    return float(trade["open_rate"] * (1.0 + (-1.0 if trade["is_short"] else 1.0) * move))
