"""The mixin's callbacks without freqtrade: small stand-ins for its trade, wallets and data provider, behind the mixin's import guard."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bot3.market.regimes import Regime
from bot3.usecases.publishing.files import PARAMETERS_FILE, write_published_files
from tests.deploy.test_freqtrade_strategy_rules import mixin
from tests.journals import OPENED, PAIR
from tests.learned import a_recommendation, a_row, a_score, a_set

NOW = OPENED + timedelta(minutes=5)
CANDLE = timedelta(minutes=5)
CONFIG = {"trading_mode": "futures", "margin_mode": "isolated", "runmode": "backtest"}


@dataclass
class TradeOfFreqtrade:
    """What the mixin asks of freqtrade's trade; its custom data outlives a strategy."""

    pair: str = PAIR
    is_short: bool = False
    leverage: float = 3.0
    open_rate: float = 100.0
    enter_tag: str | None = "F03"
    open_date_utc: datetime = NOW
    liquidation_price: float | None = None
    entry_side: str = "buy"
    max_rate: float | None = None
    min_rate: float | None = None
    kept: dict[str, str] = field(default_factory=dict)

    def get_custom_data(self, key: str) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else None

    def set_custom_data(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)

    def calc_profit_ratio(self, rate: float) -> float:
        side = -1.0 if self.is_short else 1.0
        return side * (rate / self.open_rate - 1.0) * self.leverage


@dataclass
class ProviderOfFreqtrade:
    """Gives the candles that it was made with."""

    candles: pd.DataFrame

    def get_analyzed_dataframe(self, _pair: str, _timeframe: str) -> tuple[pd.DataFrame, datetime]:
        return self.candles, NOW


def candles(*closes: float, until: datetime = NOW, sigma: float = 0.04, reach: float = 0.0) -> pd.DataFrame:
    """Return candles, the last one closed at `until`; highs and lows are `reach` away from the close."""
    close = pd.Series(closes)
    first = pd.Timestamp(until) - len(closes) * CANDLE
    return pd.DataFrame(
        {
            "date": pd.date_range(first, periods=len(closes), freq="5min"),
            "high": close + reach,
            "low": close - reach,
            "close": close,
            "bot3_sigma": sigma,
        }
    )


def a_strategy(directory: Path, *, frame: pd.DataFrame | None = None, **settings: Any) -> Any:
    strategy = mixin.BOT3MetaStrategyAdaptive()
    strategy.config = {**CONFIG, "bot3": {"learning_directory": str(directory), **settings}}
    strategy.dp = ProviderOfFreqtrade(candles(*[100.0] * 3) if frame is None else frame)
    strategy.wallets = SimpleNamespace(get_total_stake_amount=lambda: 10_000.0)
    strategy.bot_start()
    return strategy


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    write(tmp_path)
    return tmp_path


def write(directory: Path, version: str = "v1", **row: Any) -> None:
    parameters = a_set(version, a_row(**row), regime_factors=dict.fromkeys(Regime, (1.0, 1.0)))
    write_published_files(directory, parameters=parameters, scores=[a_score()], recommendation=a_recommendation())


def enter(strategy: Any, *, now: datetime = NOW, confirm_after: timedelta = timedelta(0)) -> bool:
    asked = {"pair": PAIR, "entry_tag": "F03", "side": "long"}
    strategy.leverage(current_time=now, max_leverage=20.0, **asked)
    return bool(strategy.confirm_trade_entry(current_time=now + confirm_after, **asked))


def opened(strategy: Any, **changes: Any) -> TradeOfFreqtrade:
    assert enter(strategy)
    trade = TradeOfFreqtrade(**changes)
    strategy.order_filled(trade=trade, order=SimpleNamespace(ft_order_side="buy"))
    return trade


def leave(strategy: Any, trade: TradeOfFreqtrade, *, at: datetime, rate: float = 100.0) -> str | None:
    found: str | None = strategy.custom_exit(pair=PAIR, trade=trade, current_time=at, current_rate=rate)
    return found


def stop_of(strategy: Any, trade: TradeOfFreqtrade, *, rate: float = 100.0) -> float:
    ratio = strategy.custom_stoploss(PAIR, trade, NOW, rate, 0.0, after_fill=True)
    return rate * (1.0 - ratio / trade.leverage)


def test_entry_given_fresh_learning_then_it_is_confirmed_with_its_leverage(learned: Path) -> None:
    strategy = a_strategy(learned)

    assert strategy.leverage(pair=PAIR, current_time=NOW, max_leverage=20.0, entry_tag="F03", side="long") == 3.0
    assert strategy.confirm_trade_entry(pair=PAIR, current_time=NOW, entry_tag="F03", side="long")


def test_sigma_given_a_horizon_between_two_published_ones_then_is_that_of_the_learned_rows(learned: Path) -> None:
    frame = candles(*(100.0 + (k % 3) for k in range(40)))

    found = [a_strategy(learned, horizon_hours=hours).populate_indicators(frame.copy(), {})["bot3_sigma"] for hours in (36.0, 72.0, 168.0)]

    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[2], found[1] * (7 / 3) ** 0.5)


def test_entry_given_learning_expires_before_its_confirmation_then_it_is_refused(learned: Path) -> None:
    strategy = a_strategy(learned)

    assert not enter(strategy, confirm_after=timedelta(minutes=30))
    assert strategy.bot3_refusals == {"expired_recommendation": 1}


def test_entry_given_nothing_published_then_it_is_refused(tmp_path: Path) -> None:
    strategy = a_strategy(tmp_path)

    assert not enter(strategy)
    assert strategy.bot3_refusals == {"missing_parameters": 1}


def test_entry_given_a_plan_of_another_side_then_it_is_refused(learned: Path) -> None:
    strategy = a_strategy(learned)
    strategy.leverage(pair=PAIR, current_time=NOW, max_leverage=20.0, entry_tag="F03", side="long")

    assert not strategy.confirm_trade_entry(pair=PAIR, current_time=NOW, entry_tag="F03", side="short")


def test_entry_given_a_source_that_breaks_then_it_is_refused_though_freqtrade_would_take_an_error_for_a_yes(learned: Path) -> None:
    strategy = a_strategy(learned)
    strategy.leverage(pair=PAIR, current_time=NOW, max_leverage=20.0, entry_tag="F03", side="long")
    strategy.bot3_source = None

    assert not strategy.confirm_trade_entry(pair=PAIR, current_time=NOW, entry_tag="F03", side="long")


def test_entry_given_candles_without_sigma_then_it_is_refused(learned: Path) -> None:
    assert not enter(a_strategy(learned, frame=candles(100.0).drop(columns="bot3_sigma")))


def test_entry_given_old_candles_then_it_is_refused(learned: Path) -> None:
    strategy = a_strategy(learned, frame=candles(100.0, until=NOW - timedelta(minutes=16)))

    assert not enter(strategy)
    assert strategy.bot3_refusals == {"stale_candles": 1}


def test_entry_given_a_sigma_that_moves_then_that_of_the_newest_closed_candle_is_used(learned: Path) -> None:
    older, still_open = candles(100.0, until=NOW - CANDLE, sigma=0.1), candles(100.0, until=NOW + CANDLE, sigma=0.2)
    frame = pd.concat([older, candles(100.0), still_open], ignore_index=True)

    assert a_strategy(learned, frame=frame).leverage(pair=PAIR, current_time=NOW, max_leverage=20.0, entry_tag="F03", side="long") == 3.0


def test_exits_go_on_given_learning_has_expired(learned: Path) -> None:
    strategy = a_strategy(learned)
    trade = opened(strategy)
    late = NOW + timedelta(hours=24)

    assert not enter(strategy, now=late)
    assert stop_of(strategy, trade) == pytest.approx(96.0)
    assert leave(strategy, trade, at=late) == "time_exit"


def test_exits_go_on_given_a_restart_without_any_learning(learned: Path, tmp_path: Path) -> None:
    trade = opened(a_strategy(learned))
    empty = tmp_path / "empty"
    empty.mkdir()

    restarted = a_strategy(empty)

    assert stop_of(restarted, trade) == pytest.approx(96.0)
    assert restarted.custom_roi(trade=trade) == pytest.approx(0.04 * 1.2 * 3.0)


def test_exits_go_on_given_a_plan_that_another_release_kept(learned: Path) -> None:
    trade = opened(a_strategy(learned))
    kept = trade.get_custom_data(mixin.PLAN)
    trade.set_custom_data(mixin.PLAN, {**{name: kept[name] for name in kept if name != "size_multiplier"}, "of_tomorrow": 1})

    assert stop_of(a_strategy(learned), trade) == pytest.approx(96.0)


def test_stop_given_new_parameters_then_an_open_trade_keeps_its_own(learned: Path) -> None:
    strategy = a_strategy(learned)
    trade = opened(strategy)

    write(learned, "v2", stop_sigma=-0.1)
    strategy.bot3_source.refresh()

    assert strategy.bot3_source.parameters(as_of=NOW).version == "v2"
    assert stop_of(strategy, trade) == pytest.approx(96.0)


def test_trade_given_it_was_opened_by_hand_then_it_is_protected_by_the_static_set(learned: Path) -> None:
    trade = TradeOfFreqtrade(enter_tag="force_entry")

    assert stop_of(a_strategy(learned), trade) == pytest.approx(99.0)


def test_trade_given_the_rate_is_beyond_its_target_then_it_is_left(learned: Path) -> None:
    strategy = a_strategy(learned)
    trade = opened(strategy)

    assert leave(strategy, trade, at=NOW, rate=104.7) is None
    assert leave(strategy, trade, at=NOW, rate=104.9) == "take_profit"


@pytest.mark.parametrize(("closes", "reason"), [((103.0, 104.2, 102.2), None), ((103.0, 104.2, 102.0), "giveback"), ((103.5, 101.0), None)])
def test_giveback_given_half_of_the_best_is_lost_once_it_passed_a_sigma(
    learned: Path, closes: tuple[float, ...], reason: str | None
) -> None:
    strategy = a_strategy(learned)
    trade = opened(strategy)
    at = NOW + len(closes) * CANDLE
    strategy.dp.candles = candles(*closes, until=at)

    assert leave(strategy, trade, at=at) == reason


def test_giveback_looks_at_no_candle_that_has_not_closed(learned: Path) -> None:
    strategy = a_strategy(learned)
    trade = opened(strategy)
    at = NOW + 2 * CANDLE
    strategy.dp.candles = pd.concat([candles(103.0, 102.0, until=at), candles(101.0, until=at + CANDLE, reach=20.0)], ignore_index=True)

    assert leave(strategy, trade, at=at) is None


def test_giveback_looks_at_no_candle_before_the_entry(learned: Path) -> None:
    strategy = a_strategy(learned)
    trade = opened(strategy)
    at = NOW + CANDLE
    strategy.dp.candles = candles(130.0, 101.0, until=at)

    assert leave(strategy, trade, at=at) is None


def test_source_given_a_broken_file_then_the_last_good_one_stays(learned: Path) -> None:
    strategy = a_strategy(learned)

    (learned / PARAMETERS_FILE).write_text("{", encoding="utf-8")
    strategy.bot3_source.refresh()

    assert strategy.bot3_source.parameters(as_of=NOW).version == "v1"
    assert enter(strategy)


def test_source_given_a_row_that_was_known_later_than_its_version_then_it_is_not_used(tmp_path: Path) -> None:
    write(tmp_path, known_at=OPENED + timedelta(seconds=1))

    assert not enter(a_strategy(tmp_path))


def test_source_given_a_row_without_a_stop_then_it_is_not_used(learned: Path) -> None:
    path = learned / PARAMETERS_FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    content["rows"][0]["stop_sigma"] = 0.0
    path.write_text(json.dumps(content), encoding="utf-8")

    assert not enter(a_strategy(learned))


def test_source_given_many_versions_then_each_time_has_its_own(tmp_path: Path) -> None:
    for week in range(3):
        known_at = OPENED + timedelta(days=7 * week)
        parameters = a_set(f"v{week}", a_row(known_at=known_at), known_at=known_at)
        made = a_recommendation(f"m{week}", known_at=known_at)
        write_published_files(tmp_path / str(week), parameters=parameters, scores=[a_score()], recommendation=made)
    source = mixin.PublishedFiles(tmp_path)
    source.refresh()

    second = OPENED + timedelta(days=7)

    assert source.parameters(as_of=second - timedelta(microseconds=1)).version == "v0"
    assert source.parameters(as_of=second).version == "v1"
    assert source.recommendation(as_of=second + timedelta(days=6)).version == "m1"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"trading_mode": "spot"}, "futures"),
        ({"margin_mode": "cross"}, "isolated"),
        ({"bot3": {"learning_directory": "/nowhere/at/all"}}, "learning_directory"),
        ({"bot3": {"parameters_from": "influx"}}, "backtest"),
    ],
)
def test_start_given_a_setup_that_cannot_protect_then_it_is_refused(wrong: dict[str, Any], named: str, learned: Path) -> None:
    strategy = mixin.BOT3MetaStrategyAdaptive()
    strategy.config = {**CONFIG, "bot3": {"learning_directory": str(learned)}, **wrong}

    with pytest.raises(ValueError, match=named):
        strategy.bot_start()


@pytest.mark.parametrize(("attribute", "value"), [("stoploss", -0.1), ("timeframe", "1h"), ("trailing_stop", True)])
def test_start_given_a_strategy_that_undoes_the_mixin_then_it_is_refused(attribute: str, value: Any, learned: Path) -> None:
    strategy = mixin.BOT3MetaStrategyAdaptive()
    strategy.config = {**CONFIG, "bot3": {"learning_directory": str(learned)}}
    setattr(strategy, attribute, value)

    with pytest.raises(ValueError, match="must be"):
        strategy.bot_start()


def test_start_given_an_unknown_setting_then_it_is_refused(learned: Path) -> None:
    with pytest.raises(TypeError, match="givebak"):
        a_strategy(learned, givebak_share=0.3)


def test_stake_given_a_probe_then_the_smallest_order(learned: Path) -> None:
    strategy = a_strategy(learned)
    strategy.leverage(pair=PAIR, current_time=NOW, max_leverage=20.0, entry_tag="F03", side="long")

    assert strategy.custom_stake_amount(pair=PAIR, min_stake=1.7, max_stake=900.0, leverage=3.0) == 1.7
