"""Each blocking check fails on the bad thing that it is for, and passes on what the seed made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from bot3.adapters.files.candle_format import write_candles
from bot3.adapters.files.candles import FileCandles
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.market.candles import CandleReport
from bot3.market.regimes import Regime, RegimeState
from bot3.market.weeks import WEEK, week_start
from bot3.trading.recommendations import FeederTier
from bot3.trading.signals import FEEDER_IDS
from bot3.wiring import SIMULATED_START, Platform, open_platform
from bot3_assets.assets.adaptive_params import parameters_verdict
from bot3_assets.assets.candles import candles_age, candles_verdict, freshness_verdict, gate_reports
from bot3_assets.assets.features import features_verdict
from bot3_assets.assets.feeder_models import models_verdict
from bot3_assets.assets.feeder_scores import feeder_scores_verdict
from bot3_assets.assets.feeder_signals import signals_verdict
from bot3_assets.assets.recommendations import recommendation_verdict
from bot3_assets.assets.regime_state import regime_verdict
from bot3_assets.assets.shadow_trades import shadow_trades_verdict
from bot3_assets.assets.synced_trades import synced_trades_verdict
from bot3_assets.assets.trade_replays import replays_verdict
from bot3_assets.resources import PlatformResource
from tests.journals import OPENED, PAIR
from tests.learned import a_recommendation, a_row, a_score, a_set
from tests.seeded import copy_of_home, set_market_time, tiny_settings

CHECKED: dict[str, Callable[[Platform], dg.AssetCheckResult]] = {
    "candles": lambda p: candles_verdict(gate_reports(p)),
    "fresh": candles_age,
    "replays": lambda p: replays_verdict(p.record.replays.frame(as_of=None, run_modes=p.settings.run_modes)),
    "shadows": lambda p: shadow_trades_verdict(p.record.shadow_trades.frame(as_of=p.clock.now(), run_modes=p.settings.run_modes)),
    "features": features_verdict,
    "models": models_verdict,
    "signals": signals_verdict,
    "regime": lambda p: regime_verdict(p.record.regimes.as_of(p.clock.now())),
    "trades": synced_trades_verdict,
    "scores": lambda p: feeder_scores_verdict(p.record.feeder_scores.as_of(p.clock.now())),
    "parameters": lambda p: parameters_verdict(p.record.parameters.as_of(p.clock.now()), now=p.clock.now()),
    "recommendation": lambda p: recommendation_verdict(p.record.recommendations.as_of(p.clock.now()), now=p.clock.now()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CHECKED))
def test_check_given_a_seeded_home_then_passes(seeded: PlatformResource, name: str) -> None:
    assert CHECKED[name](seeded.platform()).passed


@pytest.mark.parametrize(
    "changes",
    [
        {"stop_loss": 0.02},
        {"stop_loss": 0.0},
        {"stop_loss": -1.2},
        {"stop_move": math.nan},
        {"stop_sigma": 0.5},
        {"take_profit_target": 0.0},
        {"take_profit_move": -0.01},
        {"expectancy": math.inf},
        {"confidence": 1.2},
    ],
    ids=str,
)
def test_parameters_verdict_given_an_unlawful_row_then_names_it(changes: dict[str, float]) -> None:
    parameters = a_set("v1", a_row(), a_row(pair=PAIR, direction="long", leverage_bin="2.0-3.5"))
    key = f"{PAIR}|long|2.0-3.5"
    damage(parameters.rows[key], **changes)

    verdict = parameters_verdict(parameters, now=OPENED)

    assert not verdict.passed
    assert set(value_of(verdict, "broken")) == {key}


def damage(fact: object, **changes: object) -> None:
    """Change a fact as a damaged store could give it: made the usual way it refuses to be wrong."""
    for name, value in changes.items():
        object.__setattr__(fact, name, value)


def test_parameters_verdict_given_no_global_row_then_fails() -> None:
    verdict = parameters_verdict(a_set("v1", a_row(pair=PAIR, direction="long", leverage_bin="2.0-3.5")), now=OPENED)

    assert value_of(verdict, "broken") == {"*|*|*": "is missing"}


def test_parameters_verdict_given_an_expired_set_then_fails() -> None:
    parameters = a_set("v1", a_row())

    assert parameters_verdict(parameters, now=parameters.expires_at - timedelta(seconds=1)).passed
    assert not parameters_verdict(parameters, now=parameters.expires_at).passed


def test_recommendation_verdict_given_a_feeder_without_tier_then_names_it() -> None:
    whole = replace(a_recommendation("r1"), tiers=dict.fromkeys(FEEDER_IDS, FeederTier.PROBE))
    assert recommendation_verdict(whole, now=whole.generated_at).passed
    damage(whole, tiers=dict.fromkeys(set(FEEDER_IDS) - {"F07"}, FeederTier.PROBE))

    verdict = recommendation_verdict(whole, now=whole.generated_at)

    assert not verdict.passed
    assert value_of(verdict, "feeders_without_tier") == ["F07"]


def test_recommendation_verdict_given_its_end_then_fails() -> None:
    made = a_recommendation("r1")

    assert value_of(recommendation_verdict(made, now=made.expires_at), "expired") is True


def test_recommendation_verdict_given_no_version_of_the_scores_then_fails() -> None:
    made = replace(a_recommendation("r1"), scores_version="")

    assert value_of(recommendation_verdict(made, now=made.generated_at), "unnamed") == ["scores_version"]


def test_feeder_scores_verdict_given_a_feeder_without_score_then_names_it() -> None:
    scores = tuple(a_score(feeder) for feeder in FEEDER_IDS[1:])

    assert value_of(feeder_scores_verdict(scores), "missing") == [FEEDER_IDS[0]]


def test_feeder_scores_verdict_given_crossed_bounds_then_names_the_feeder() -> None:
    scores = [a_score(feeder) for feeder in FEEDER_IDS]
    damage(scores[3], lower_bound=scores[3].upper_bound + 1.0)

    assert value_of(feeder_scores_verdict(tuple(scores)), "bounds_crossed") == [FEEDER_IDS[3]]


@pytest.mark.parametrize("probabilities", [(0.5, 0.5, 0.5, 0.5), (1.2, -0.2, 0.0, 0.0)])
def test_regime_verdict_given_no_distribution_then_fails(probabilities: tuple[float, ...]) -> None:
    assert not regime_verdict(a_regime(probabilities)).passed


def test_regime_verdict_given_a_regime_that_begins_after_it_was_known_then_fails() -> None:
    state = a_regime((0.25, 0.25, 0.25, 0.25))
    assert regime_verdict(state).passed

    damage(state, since=state.known_at + timedelta(hours=1))

    assert not regime_verdict(state).passed


def a_regime(probabilities: tuple[float, ...]) -> RegimeState:
    state = RegimeState(
        regime=Regime.SIDEWAYS,
        probabilities=(0.25, 0.25, 0.25, 0.25),
        since=OPENED - timedelta(hours=2),
        known_at=OPENED,
        computed_at=OPENED,
        version="g1",
    )
    damage(state, probabilities=probabilities)
    return state


@pytest.mark.parametrize("finding", ["duplicates", "unclosed", "off_grid"])
def test_candles_verdict_given_mended_candles_then_fails(finding: str) -> None:
    clean = a_report()

    assert candles_verdict((clean,)).passed
    assert value_of(candles_verdict((replace(clean, **{finding: 1}),)), "mended") == {finding: 1}


def test_candles_verdict_given_a_pair_without_candles_then_names_it() -> None:
    empty = a_report(rows_in=0, rows_out=0)

    assert value_of(candles_verdict((empty,)), "pairs_without_candles") == [PAIR]


def test_candles_verdict_given_a_gap_then_passes() -> None:
    gappy = a_report(missing_candles=3, gaps_count=1)

    assert candles_verdict((gappy,)).passed


def a_report(**changes: int) -> CandleReport:
    counts = dict.fromkeys(("rows_in", "rows_out"), 10) | dict.fromkeys(_FINDINGS, 0) | changes
    return CandleReport(pair=PAIR, timeframe="5m", gaps=(), **counts)


_FINDINGS = (
    "duplicates",
    "conflicting",
    "gaps_count",
    "missing_candles",
    "unclosed",
    "off_grid",
    "reordered",
    "mixed_units",
    "spikes",
    "flat",
)


@pytest.mark.parametrize(("pairs_behind", "severity"), [(1, dg.AssetCheckSeverity.WARN), (2, dg.AssetCheckSeverity.ERROR)])
def test_freshness_verdict_given_candles_that_ended_then_names_their_pairs_and_stops_where_all_are_behind(
    tmp_path: Path, pairs_behind: int, severity: dg.AssetCheckSeverity
) -> None:
    start, now = SIMULATED_START, SIMULATED_START + timedelta(days=2)
    market = SimulatedMarket(7, starts_at=start, ends_at=now, pairs=2)
    for number, pair in enumerate(pairs := market.pairs()):
        end = now - timedelta(minutes=20 if number < pairs_behind else 10)
        write_candles(tmp_path / "candles", pair=pair, timeframe="5m", candles=market.candles(pair, "5m", start=start, end=end))

    verdict = freshness_verdict(
        FileCandles(tmp_path / "candles", wall_now=lambda: now), timeframe="5m", now=now, oldest=timedelta(minutes=15)
    )

    assert (verdict.passed, verdict.severity) == (False, severity)
    assert value_of(verdict, "behind") == list(pairs[:pairs_behind])


def a_replay(**changes: object) -> pd.DataFrame:
    lawful = {"state": "complete", "sigma": 0.02, "mae_move": -0.01, "mfe_move": 0.02, "exit_move": 0.01, "funding_move": 0.0}
    return pd.DataFrame([lawful, lawful | changes])


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({"mae_move": math.nan}, "mae_move"),
        ({"exit_move": math.inf}, "exit_move"),
        ({"sigma": 0.0}, "sigma not above 0"),
        ({"sigma": math.nan}, "sigma not above 0"),
        ({"mae_move": 0.03}, "worst above best"),
    ],
    ids=str,
)
def test_replays_verdict_given_an_unlawful_replay_then_counts_it(changes: dict[str, float], bound: str) -> None:
    assert replays_verdict(a_replay()).passed
    assert value_of(replays_verdict(a_replay(**changes)), "broken") == {bound: 1}
    assert not replays_verdict(a_replay(**changes)).passed


def test_replays_verdict_given_a_replay_that_waits_then_asks_nothing_of_it() -> None:
    assert replays_verdict(a_replay(state="pending", mae_move=math.nan, sigma=math.nan)).passed


def a_shadow(**changes: object) -> pd.DataFrame:
    lawful = {"open_rate": 100.0, "close_rate": 101.0, "close_profit": 0.02, "close_move": 0.01, "sigma": 0.02, "confidence": 0.6}
    times = {"open_date": OPENED, "close_date": OPENED + timedelta(hours=1), "known_at": OPENED + timedelta(hours=1)}
    lawful |= {"leverage": 2.0, **times}
    return pd.DataFrame([lawful, lawful | changes])


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({"close_move": math.nan}, "close_move"),
        ({"close_profit": -math.inf}, "close_profit"),
        ({"close_rate": 0.0}, "close_rate at or below 0"),
        ({"open_date": OPENED + timedelta(hours=1, minutes=5)}, "closed before it opened"),
        ({"known_at": OPENED}, "known before it closed"),
    ],
    ids=str,
)
def test_shadow_trades_verdict_given_an_unlawful_trade_then_counts_it(changes: dict[str, object], bound: str) -> None:
    assert shadow_trades_verdict(a_shadow()).passed
    assert value_of(shadow_trades_verdict(a_shadow(**changes)), "broken") == {bound: 1}
    assert not shadow_trades_verdict(a_shadow(**changes)).passed


@pytest.mark.slow
def test_synced_trades_verdict_given_a_trade_that_the_record_lost_then_names_the_bot(platform: Platform) -> None:
    keys = sorted(platform.record.trades.keys(bot="BOT2", run_mode=platform.history_store("BOT2").run_mode, closed_since=None))
    platform.record.trades.delete(bot="BOT2", run_mode=platform.history_store("BOT2").run_mode, keys=keys[:1])

    verdict = synced_trades_verdict(platform)

    lost = {"source": len(keys), "record": len(keys) - 1, "missing_ids": [keys[0][0]], "missing": 1, "surplus_ids": [], "surplus": 0}
    assert value_of(verdict, "differences") == {"BOT2 backtest": lost}


@pytest.mark.slow
def test_models_verdict_given_a_damaged_file_then_names_it(platform: Platform) -> None:
    damaged = min((platform.settings.home / "models").glob("*.model"))
    damaged.write_bytes(damaged.read_bytes()[:-10])

    assert list(value_of(models_verdict(platform), "broken")) == [damaged.stem[:12]]


@pytest.mark.slow
def test_signals_verdict_given_a_model_younger_than_its_signals_then_names_the_feeder(platform: Platform) -> None:
    entry = platform.record.models.newest("F03", as_of=platform.clock.now())
    late = entry.trained_until + timedelta(days=30)
    younger = replace(entry, digest=platform.models.put(b"another model"), known_at=late, trained_until=late)
    platform.record.models.register(younger)
    week = platform.signals.weeks("F03")[-2]
    signals = platform.signals.signals(feeder_ids=["F03"], start=week_start(week), end=week_start(week) + WEEK)
    platform.signals.write_week("F03", week, signals.assign(model_digest=younger.digest))

    verdict = signals_verdict(platform)

    assert value_of(verdict, "in_sample") == {"F03": len(signals)}
    assert len(signals) > 0


@pytest.mark.slow
def test_features_verdict_given_fewer_candles_than_the_warm_up_then_names_features_and_pairs(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)
    set_market_time(home, SIMULATED_START - timedelta(weeks=14) + timedelta(days=1))

    with open_platform(tiny_settings(home), read_only=True) as young:
        holes = value_of(features_verdict(young), "holes")

    assert set(holes) == {f"{pair} {timeframe}" for pair in young.candles.pairs() for timeframe in ("5m", "1h")}


def value_of(verdict: dg.AssetCheckResult, name: str) -> Any:
    value = verdict.metadata[name]
    return getattr(value, "data", getattr(value, "value", value))
