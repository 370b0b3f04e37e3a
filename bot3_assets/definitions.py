"""The code location: everything the platform learns, as assets with lineage, checks, beats and backfills."""

import dagster as dg

from bot3_assets.assets import (
    adaptive_params,
    candles,
    feeder_models,
    feeder_scores,
    feeder_signals,
    features,
    recommendations,
    regime_state,
    shadow_trades,
    synced_trades,
    trade_replays,
)
from bot3_assets.resources import PlatformResource
from bot3_assets.schedules import meta_learner, meta_learner_beat, retraining, weekly_retraining

_NOUNS = [
    candles,
    features,
    feeder_models,
    feeder_signals,
    regime_state,
    synced_trades,
    trade_replays,
    shadow_trades,
    feeder_scores,
    adaptive_params,
    recommendations,
]

defs = dg.Definitions(
    assets=dg.load_assets_from_modules(_NOUNS),
    asset_checks=dg.load_asset_checks_from_modules(_NOUNS),
    jobs=[meta_learner, retraining],
    schedules=[meta_learner_beat, weekly_retraining],
    sensors=[],
    resources={"platform": PlatformResource()},
    executor=dg.in_process_executor,
)
