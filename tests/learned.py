"""Published learning for tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from bot3.market.regimes import Regime, RegimeState
from bot3.ports.record import ModelEntry
from bot3.trading.parameters import ExitParameters, ParameterSet, ParameterState
from bot3.trading.recommendations import FeederScore, FeederTier, Recommendation, feeder_direction
from bot3.trading.signals import FEEDER_IDS
from tests.journals import OPENED, PAIR, minutes


def a_row(*, pair: str = "*", direction: str = "*", leverage_bin: str = "*", **changes: Any) -> ExitParameters:
    """Return a row whose moves and ratios of the stake are computed from its levels in sigma, except for given values."""
    given = {"stop_sigma": -1.0, "take_profit_sigma": 1.2, "sigma_ref": 0.01, "leverage_ref": 5.0, **changes}
    stop_move, target_move = (given[name] * given["sigma_ref"] for name in ("stop_sigma", "take_profit_sigma"))
    row = ExitParameters(
        pair=pair,
        direction=direction,
        leverage_bin=leverage_bin,
        stop_loss=stop_move * given["leverage_ref"],
        take_profit_target=target_move * given["leverage_ref"],
        stop_move=stop_move,
        take_profit_move=target_move,
        stop_sigma=-1.0,
        take_profit_sigma=1.2,
        sigma_ref=0.01,
        leverage_ref=5.0,
        trades_count=12,
        replays_count=10,
        n_eff=8.5,
        win_rate=0.5,
        avg_profit=0.01,
        profit_factor=None,
        expectancy=0.001,
        lower_bound=-0.001,
        upper_bound=0.003,
        confidence=0.8,
        own_share=0.4,
        parent="static",
        ambiguous_share=0.02,
        state=ParameterState.PROBE,
        known_at=OPENED,
        version="v1",
        has_target=True,
        deviation_move=0.8 * given["sigma_ref"],
        worst_move=stop_move - 0.0014,
        notional_ratio=0.4,
        utility=0.0002,
    )
    return replace(row, **changes)


def a_set(version: str, *rows: ExitParameters, known_at: datetime = OPENED, **changes: Any) -> ParameterSet:
    named = [replace(row, version=version) for row in rows or (a_row(),)]
    parameters = ParameterSet(
        rows={row.key: row for row in named},
        regime_factors={Regime.VOLATILE: (1.2, 0.9)},
        version=version,
        revision=3,
        known_at=known_at,
        computed_at=known_at + timedelta(seconds=1),
        expires_at=known_at + timedelta(days=7),
    )
    return replace(parameters, **changes)


def a_score(feeder_id: str = "F01", *, regime: str = "*", rank: int = 1, version: str = "s1", known_at: datetime = OPENED) -> FeederScore:
    return FeederScore(
        feeder_id=feeder_id,
        regime=regime,
        n=30,
        n_eff=21.5,
        mean_move=0.001,
        expectancy=0.0005,
        lower_bound=-0.001,
        upper_bound=0.002,
        confidence=0.6,
        own_share=0.3,
        win_rate=0.55,
        n_window=0,
        win_rate_window=None,
        mean_move_window=None,
        tier=FeederTier.PROBE,
        rank=rank,
        open_directions="long",
        known_at=known_at,
        version=version,
    )


def a_regime(at: datetime = OPENED, *, regime: Regime = Regime.SIDEWAYS) -> RegimeState:
    since = min(OPENED, at)
    return RegimeState(
        regime=regime, probabilities=(0.1, 0.2, 0.4, 0.3), since=since, known_at=at, computed_at=at + timedelta(seconds=2), version="r1"
    )


def a_recommendation(version: str = "m1", *, known_at: datetime = OPENED) -> Recommendation:
    return Recommendation(
        regime=Regime.SIDEWAYS,
        tiers=dict.fromkeys(FEEDER_IDS, FeederTier.PROBE),
        top_feeders=(3, 1),
        avoid_feeders=(),
        top_tier=FeederTier.PROBE,
        open_feeders=tuple(feeder_direction(feeder, is_short=is_short) for feeder in FEEDER_IDS for is_short in (False, True)),
        open_bins=("1.0-2.0", "2.0-3.5"),
        suggested_leverage_range=(1.0, 3.49),
        suggested_position_size_multiplier=0.8,
        generated_at=known_at,
        expires_at=known_at + timedelta(minutes=30),
        version=version,
        parameters_version="v1",
        scores_version="s1",
        known_at=known_at,
        computed_at=known_at + timedelta(seconds=1),
    )


def a_model(digest: str = "d1", *, known_at: datetime = OPENED) -> ModelEntry:
    return ModelEntry(
        feeder_id="F01",
        digest=digest,
        known_at=known_at,
        trained_from=OPENED - timedelta(days=90),
        trained_until=known_at,
        rows=1_000,
        log_loss_oof=0.69,
        base_log_loss_oof=0.693,
        information="rule only",
        long_threshold=0.001,
        short_threshold=0.008,
        settings_digest="x",
        computed_at=known_at,
    )


def replays(trade_ids: Sequence[int], *, state: str = "complete", due_at: float | None = None) -> pd.DataFrame:
    count = len(trade_ids)
    due = pd.Timestamp(minutes(due_at)) if due_at is not None else pd.NaT
    return pd.DataFrame(
        {
            "bot": "BOT1",
            "run_mode": "paper",
            "trade_id": list(trade_ids),
            "open_date": pd.Series([pd.Timestamp(OPENED)] * count, dtype="datetime64[us, UTC]"),
            "pair": PAIR,
            "direction": "long",
            "leverage_bin": "5.0-7.5",
            "sigma": 0.01 if state == "complete" else float("nan"),
            "state": state,
            "due_at": pd.Series([due] * count, dtype="datetime64[us, UTC]"),
            "reason": None,
            "candles": 288,
            "mae_move": -0.01,
            "mfe_move": 0.02,
            "exit_move": 0.005,
            "funding_move": 0.0,
            "known_at": pd.Series([pd.Timestamp(minutes(number)) for number in trade_ids], dtype="datetime64[us, UTC]"),
            "version": "x1",
        }
    )


def shadows(numbers: Sequence[int], *, feeder_id: str = "F01", close_profit: float = 0.01) -> pd.DataFrame:
    closes = pd.Series([pd.Timestamp(minutes(number + 5)) for number in numbers], dtype="datetime64[us, UTC]")
    return pd.DataFrame(
        {
            "run_mode": "backtest",
            "feeder_id": feeder_id,
            "pair": PAIR,
            "is_short": [number % 2 == 0 for number in numbers],
            "open_date": pd.Series([pd.Timestamp(minutes(number)) for number in numbers], dtype="datetime64[us, UTC]"),
            "close_date": closes,
            "confidence": 0.6,
            "leverage": 1.0,
            "open_rate": 100.0,
            "close_rate": 101.0,
            "close_profit": close_profit,
            "close_move": close_profit,
            "sigma": 0.01,
            "regime": "sideways",
            "exit_reason": "roi",
            "model_digest": "d1",
            "known_at": closes,
        }
    )


_SPOILED = {
    "parameter_rows": "stop_loss = 0.0",
    "feeder_scores": "tier = 'all in'",
    "regime_states": "regime = 'calm'",
    "recommendations": "leverage_high = 20.0",
}


def spoil_learning(platform_file: Path, *tables: str) -> None:
    """Make the published learning of a home violate a bound, in some tables or in all."""
    with closing(sqlite3.connect(platform_file)) as connection, connection:
        for table in tables or _SPOILED:
            connection.execute(f"UPDATE {table} SET {_SPOILED[table]}")  # noqa: S608  # constants of this file
        connection.execute("UPDATE record_meta SET learning_revision = learning_revision + 1")
