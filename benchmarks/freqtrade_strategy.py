"""Test the strategy mixin in real freqtrade: its trades end at the learned levels, and none uses data that became known later.

    python -m benchmarks.freqtrade_strategy [--shared ../shared] [--environment .venv-freqtrade] [--start MONDAY] [--weeks N] [--keep DIR]

The platform learns weekly from the signals of the example strategy on BTC, ETH and XRP, and writes every version of its parameters as JSON
files. freqtrade then backtests the example, offline, on the same candles with those files. Each trade is compared with what the execution
daemon would do with the record as of the entry: leverage, row of the parameters, stop and target, and with the candle in which the
platform's own backtest exits.
`bash deploy/freqtrade/environment.sh` creates freqtrade's environment.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.output import print_result, tell
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.market.instants import instant_us
from bot3.market.weeks import WEEK, walk_forward_weeks, week_start
from bot3.settings import load_settings
from bot3.trading.decisions import Book, Hold, Learning, PairView
from bot3.trading.entries import EntryChoice, choose_entry, price_levels
from bot3.trading.horizons import Horizon
from bot3.trading.markets import Market
from bot3.trading.matching import MatchedExit, OpenPath, match_trade
from bot3.trading.risk import EquityMarks
from bot3.trading.shadow_trades import shadow_trades
from bot3.trading.signals import FEEDER_IDS, Signal, feeder_of_enter_tag
from bot3.trading.trades import RunMode
from bot3.usecases.feeders.shadow_feeders import read_arrays
from bot3.usecases.learning.detect_regimes import detect_regimes
from bot3.usecases.publishing.files import write_published_files
from bot3.wiring import Platform, open_platform

COINS = ("BTC", "ETH", "XRP")
AVOIDED = "F03"
"""The only feeder with shadow trades. All feeders of the example lose: if all had shadow trades, the platform would avoid them all."""
STRATEGIES = Path(__file__).parent.parent / "deploy" / "freqtrade"
CANDLE = timedelta(minutes=5)
WARM_UP = timedelta(days=20)
"""Time by which freqtrade's backtest starts before the first version, which is as long as the window of sigma (the expected volatility).

Until the first version the strategy must refuse all entries.
"""
_STOPS = {"stop_loss", "trailing_stop_loss"}
_REASONS = {"trailing_stop_loss": "stop_loss", "take_profit": "roi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Comparison of one of freqtrade's trades with the platform.

    Parameters
    ----------
    reason : str
        Exit reason, in the platform's terms.
    is_daemons : bool
        Whether version, row and leverage are those that the daemon would use.
    is_later_known : bool
        Whether parameters or recommendation became known after the entry.
    level_ticks : float or None
        Distance of the exit from the expected stop or target in ticks; None for exits at neither (giveback, horizon).
    is_same_reason, is_same_candle : bool
        Whether the platform's backtest exits for the same reason, in the same candle.
    """

    reason: str
    is_daemons: bool
    is_later_known: bool
    level_ticks: float | None
    is_same_reason: bool
    is_same_candle: bool


def main() -> None:
    """Run the comparison and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--environment", type=Path, default=Path(".venv-freqtrade"))
    parser.add_argument("--start", default="2025-03-03", help="a Monday")
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--keep", type=Path, default=None, help="an empty directory for the output; default: a temporary one")
    arguments = parser.parse_args()
    missing = [path for path in (arguments.shared / "data", arguments.environment / "bin" / "python") if not path.exists()]
    if missing:
        raise SystemExit(f"{', '.join(map(str, missing))} is missing: pass --shared, or run bash deploy/freqtrade/environment.sh")
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.keep or Path(temporary)).resolve()
        prepare_candles(arguments.shared / "data", work)
        prove(work, python=arguments.environment.absolute() / "bin" / "python", start=week_start(arguments.start), weeks=arguments.weeks)


def prove(work: Path, *, python: Path, start: datetime, weeks: int) -> None:
    """Learn weekly, backtest in freqtrade, compare the trades, and print the JSON."""
    end = start + weeks * WEEK
    settings = load_settings({}, env_file=work / "no.env", home=work / "home", candles=str(work / "platform"))
    with open_platform(settings) as platform:
        learn_weekly(platform, start=start - 5 * WEEK, end=end)
        versions = export_versions(platform, work / "versions", start=start, end=end)
        tell(f"{versions} weekly versions written")
        markets = {pair: platform.markets.market(pair) for pair in platform.candles.pairs()}
        result = run_freqtrade(work, markets, python=python, learning=work / "versions", start=start, end=end)
        middle = start + weeks // 2 * WEEK
        is_unchanged = first_half_is_unchanged(result, work, markets, python=python, start=start, middle=middle)
        judge = Judge(platform, markets, start=start, end=end)
        verdicts = [judge.verdict(trade) for trade in result["trades"] if trade["exit_reason"] != "force_exit"]
    print_result({**summary(verdicts, result), "versions": versions, "first_half_unchanged_by_later_versions": is_unchanged})


def prepare_candles(data: Path, work: Path) -> None:
    """Copy the candles: 5m, 1h mark prices and funding under freqtrade's names, and 5m and funding for the platform."""
    wanted = {
        "platform/futures": {"5m-futures": ("usdm-5m-2025", "5m-futures"), "8h-funding_rate": ("usdm-1h-2019-2025", "8h-funding_rate")},
        "freqtrade/data/binance/futures": {
            "5m-futures": ("usdm-5m-2025", "5m-futures"),
            "1h-mark": ("usdm-1h-2019-2025", "1h-mark"),
            "1h-funding_rate": ("usdm-1h-2019-2025", "8h-funding_rate"),
        },
    }
    for folder, kinds in wanted.items():
        (work / folder).mkdir(parents=True)
        for coin in COINS:
            for name, (source, kind) in kinds.items():
                found = data / source / "futures" / f"{coin}_USDT_USDT-{kind}.feather"
                shutil.copyfile(found, work / folder / f"{coin}_USDT_USDT-{name}.feather")


def learn_weekly(platform: Platform, *, start: datetime, end: datetime) -> None:
    """Make the history of all three bots with the example's signals, learning every week, as the platform's seed does."""
    began, span = time.perf_counter(), {"start": start, "end": end}
    write_signals(platform, **span)
    computed_at = platform.wall_now()
    detect_regimes(
        platform.record.regimes, platform.candles, pairs=platform.candles.pairs(), timeframe="5m", now=end, computed_at=computed_at
    )
    arrays = read_arrays(platform.candles, timeframe="5m", start=platform.history_span()[0], end=end, horizon_candles=288)
    parts = platform.seed_parts()
    platform.record.shadow_trades.save(
        shadow_trades(
            platform.signals.signals(feeder_ids=[AVOIDED], start=start, end=end),
            arrays,
            parts.profiles["BOT1"],
            markets=parts.markets,
            costs=parts.costs,
            candle=CANDLE,
            end=end,
            run_mode=RunMode.BACKTEST,
        )
    )
    parts.histories(arrays).make(**span, progress=lambda *_: None)
    tell(f"learned from {int(platform.record.trades.counts()['trades'].sum())} trades in {time.perf_counter() - began:.0f} s")


def write_signals(platform: Platform, *, start: datetime, end: datetime) -> None:
    """Write the example's signals to the platform's store of feeder signals."""
    sys.path.insert(0, str(STRATEGIES))
    called_by = importlib.import_module("BOT3ExampleFeeders").feeder_signals
    frames = [_signals_of(platform, pair, called_by=called_by, end=end) for pair in platform.candles.pairs()]
    signals = pd.concat(frames, ignore_index=True).sort_values(["known_at", "pair"], ignore_index=True)
    for week in walk_forward_weeks(start, end - timedelta(days=1), every=1):
        first = pd.Timestamp(week_start(week))
        inside = signals[(signals["known_at"] >= first) & (signals["known_at"] < first + WEEK)]
        for feeder_id in FEEDER_IDS:
            platform.signals.write_week(feeder_id, week, inside[inside["feeder_id"] == feeder_id].reset_index(drop=True))


def _signals_of(platform: Platform, pair: str, *, called_by: Any, end: datetime) -> pd.DataFrame:
    candles = platform.candles.candles(pair, "5m", start=platform.candles.span(pair, "5m")[0], end=end)
    called = called_by(candles)
    is_called = (called["enter_tag"] != "").to_numpy()
    open_times = candles["open_time"][is_called]
    return pd.DataFrame(
        {
            "feeder_id": called["enter_tag"][is_called].str[:3],
            "pair": pair,
            "is_short": called["is_short"][is_called].astype(bool),
            "confidence": 0.6,
            "candle_open_time": open_times,
            "known_at": open_times + CANDLE,
            "model_digest": "example",
            "horizon": Horizon.DAY.value,
        }
    )


def export_versions(platform: Platform, directory: Path, *, start: datetime, end: datetime) -> int:
    """Write the parameters, scores and recommendation known at the start of each week to its own directory; return the number of weeks."""
    weeks = walk_forward_weeks(start, end - timedelta(days=1), every=1)
    for week in weeks:
        at = week_start(week)
        write_published_files(
            directory / week,
            parameters=platform.record.parameters.as_of(at),
            scores=platform.record.feeder_scores.as_of(at),
            recommendation=platform.record.recommendations.as_of(at),
        )
    return len(weeks)


def run_freqtrade(
    work: Path, markets: dict[str, Market], *, python: Path, learning: Path, start: datetime, end: datetime
) -> dict[str, Any]:
    """Backtest in freqtrade's environment; return its trades, refusals and seconds."""
    config = json.loads((STRATEGIES / "config.example.json").read_text(encoding="utf-8")) | {
        "strategy_path": str(STRATEGIES),
        "user_data_dir": str(work / "freqtrade"),
        "fee": 0.0005,
        "timerange": f"{start - WARM_UP:%Y%m%d}-{end:%Y%m%d}",
        "bot3": {"learning_directory": str(learning)},
    }
    config["exchange"]["pair_whitelist"] = sorted(markets)
    files = {"config": work / "config.json", "markets": work / "markets.json", "out": work / "out.json"}
    files["config"].write_text(json.dumps(config), encoding="utf-8")
    files["markets"].write_text(json.dumps([_ccxt_market(market) for market in markets.values()]), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in {"BOT3_HOME", "PYTHONPATH", "VIRTUAL_ENV"}}
    subprocess.run(
        [str(python), str(STRATEGIES / "offline_backtest.py"), *map(str, files.values())],
        check=True,
        cwd=work,
        env=environment,
        stdout=sys.stderr,
    )
    result: dict[str, Any] = json.loads(files["out"].read_text(encoding="utf-8"))
    tell(f"freqtrade: {len(result['trades'])} trades in {result['backtest_s']} s; refused {result['refusals']}")
    return result


def _ccxt_market(market: Market) -> dict[str, Any]:
    base, quote = market.pair.partition(":")[0].split("/")
    return {
        "id": base + quote,
        "symbol": market.pair,
        "base": base,
        "quote": quote,
        "settle": quote,
        "type": "swap",
        **dict.fromkeys(("spot", "margin", "future", "option", "inverse"), False),
        **dict.fromkeys(("swap", "active", "contract", "linear"), True),
        "contractSize": 1.0,
        "taker": market.taker_fee,
        "maker": market.maker_fee,
        "precision": {"amount": float(market.amount_step), "price": float(market.rate_tick)},
        "limits": {
            "amount": {"min": float(market.min_amount)},
            "cost": {"min": float(market.min_notional_abs)},
            "leverage": {},
            "price": {},
        },
        "info": {},
    }


def first_half_is_unchanged(
    result: dict[str, Any], work: Path, markets: dict[str, Market], *, python: Path, start: datetime, middle: datetime
) -> bool:
    """Backtest the first half again without any later version; return whether its trades are the same, and at least one.

    Only trades that close more than two days before the middle are compared.
    """
    early = work / "early"
    for week in sorted((work / "versions").iterdir()):
        if week_start(week.name) < middle:
            shutil.copytree(week, early / week.name)
    again = run_freqtrade(work, markets, python=python, learning=early, start=start, end=middle)

    def closed(trades: list[dict[str, Any]]) -> list[dict[str, Any]]:
        limit = (middle - timedelta(days=2)).isoformat()
        return [trade for trade in trades if trade["close_date"] < limit]

    return bool(closed(again["trades"])) and closed(again["trades"]) == closed(result["trades"])


class Judge:
    """Compare freqtrade's trades with those that the platform would make with the record as of their entry."""

    def __init__(self, platform: Platform, markets: dict[str, Market], *, start: datetime, end: datetime) -> None:
        self._platform, self._markets = platform, markets
        self._profile = platform.profile("BOT3")
        # freqtrade's backtest fills without slippage.
        self._costs = replace(platform.costs, slippage=0.0, stop_slippage=0.0)
        first = platform.history_span()[0]
        self._arrays = read_arrays(platform.candles, timeframe="5m", start=first, end=end + WEEK, horizon_candles=288)
        marks = EquityMarks(day=start.date(), day_start_abs=10_000.0, peak_abs=10_000.0)
        self._book = Book(equity_abs=10_000.0, free_abs=10_000.0, notionals={}, marks=marks, last_closes={}, stops=())

    def verdict(self, trade: dict[str, Any]) -> Verdict:
        """Compare one trade. Raises SystemExit if the daemon would not have entered it."""
        opened, arrays, market = datetime.fromisoformat(trade["open_date"]), self._arrays[trade["pair"]], self._markets[trade["pair"]]
        entry = int(np.searchsorted(arrays.open_us, instant_us(opened)))
        choice, levels = self._decision(trade, opened, sigma=float(arrays.sigma[entry - 1]))
        matched = self._matched(trade, arrays, choice, levels=levels, entry=entry)
        reason = _REASONS.get(trade["exit_reason"], trade["exit_reason"])
        plan = trade["plan"]
        return Verdict(
            reason=reason,
            is_daemons=(
                plan["parameters_version"] == choice.parameters_version
                and plan["parameters_key"] == choice.levels.source
                and abs(trade["leverage"] - choice.leverage) < 1e-9
            ),
            is_later_known=max(plan["parameters_known_at"], plan["recommendation_known_at"]) > trade["open_date"],
            level_ticks=self._level_ticks(trade, arrays, levels=levels, tick=float(market.rate_tick)),
            is_same_reason=matched is not None and matched.reason.value == reason,
            is_same_candle=matched is not None
            and int(arrays.open_us[matched.index]) == instant_us(datetime.fromisoformat(trade["close_date"])),
        )

    def _decision(self, trade: dict[str, Any], opened: datetime, *, sigma: float) -> tuple[EntryChoice, tuple[float, float]]:
        record, market = self._platform.record, self._markets[trade["pair"]]
        recommendation = record.recommendations.as_of(opened)
        signal = Signal(
            feeder_id=feeder_of_enter_tag(trade["enter_tag"]),
            pair=trade["pair"],
            is_short=trade["is_short"],
            confidence=0.6,
            candle_open_time=opened - CANDLE,
            known_at=opened,
            model_digest="example",
            horizon=Horizon.DAY,
        )
        view = PairView(market=market, rate=trade["open_rate"], mark_rate=trade["open_rate"], sigma=sigma, candle_close_time=opened)
        choice = choose_entry(
            signal,
            profile=self._profile,
            book=self._book,
            view=view,
            learning=Learning(parameters=record.parameters.as_of(opened), recommendation=recommendation),
            regime=recommendation.regime,
            costs=self._costs,
            run_mode=RunMode.BACKTEST,
            now=opened,
        )
        levels = choice if isinstance(choice, Hold) else price_levels(signal, choice, view=view, costs=self._costs)
        if isinstance(choice, Hold) or isinstance(levels, Hold):
            raise SystemExit(f"freqtrade entered a trade that the daemon would not enter: {trade}, {choice}, {levels}")
        return choice, (float(levels[0]), math.nan if levels[1] is None else float(levels[1]))

    def _matched(
        self, trade: dict[str, Any], arrays: CandleArrays, choice: EntryChoice, *, levels: tuple[float, float], entry: int
    ) -> MatchedExit | None:
        opened = datetime.fromisoformat(trade["open_date"])
        path = OpenPath(
            entry=entry,
            is_short=trade["is_short"],
            leverage=choice.leverage,
            open_rate=trade["open_rate"],
            stop_rate=levels[0],
            take_profit_rate=levels[1],
            maintenance_margin_ratio=choice.maintenance_margin_ratio,
            rule=self._profile.exit_rules.of_trade(sigma=float(arrays.sigma[entry - 1]), expires_at=opened + Horizon.DAY.duration),
            break_even_rate=self._costs.break_even_rate(trade["open_rate"], is_short=trade["is_short"]),
        )
        return match_trade(arrays, path, costs=self._costs, candle_us=CANDLE // timedelta(microseconds=1))

    @staticmethod
    def _level_ticks(trade: dict[str, Any], arrays: CandleArrays, *, levels: tuple[float, float], tick: float) -> float | None:
        """Return the distance of the exit from its stop or target in ticks; None for other exits.

        If the candle opened beyond the target, the distance is from that open.
        """
        if trade["exit_reason"] in _STOPS:
            return abs(float(trade["close_rate"]) - levels[0]) / tick
        if trade["exit_reason"] not in {"roi", "take_profit"}:
            return None
        opened = float(arrays.open[np.searchsorted(arrays.open_us, instant_us(datetime.fromisoformat(trade["close_date"])))])
        is_beyond = opened < levels[1] if trade["is_short"] else opened > levels[1]
        return abs(float(trade["close_rate"]) - (opened if is_beyond else levels[1])) / tick


def summary(verdicts: list[Verdict], result: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON fields of the comparison. There must be a trade, and one that ended at its stop or target."""
    at_levels = [verdict.level_ticks for verdict in verdicts if verdict.level_ticks is not None]

    def share(hits: list[bool]) -> float:
        return round(sum(hits) / len(hits), 4)

    return {
        "benchmark": "freqtrade_strategy",
        "trades": len(verdicts),
        "exits": dict(Counter(verdict.reason for verdict in verdicts)),
        "level_exits": len(at_levels),
        "within_one_tick_share": share([ticks <= 1.0 + 1e-6 for ticks in at_levels]),
        "max_ticks": round(max(at_levels), 3),
        "daemon_agrees_share": share([verdict.is_daemons for verdict in verdicts]),
        "same_reason_share": share([verdict.is_same_reason for verdict in verdicts]),
        "same_candle_share": share([verdict.is_same_candle for verdict in verdicts]),
        "later_known": sum(verdict.is_later_known for verdict in verdicts),
        "refusals": result["refusals"],
        "backtest_s": result["backtest_s"],
    }


if __name__ == "__main__":
    main()
