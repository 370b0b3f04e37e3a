"""The code location: everything the platform learns, as assets with lineage, checks, beats and backfills."""

import dagster as dg

from bot3_assets.assets import (
    adaptive_params,
    candles,
    features,
    feeder_models,
    feeder_scores,
    feeder_signals,
    published_learning,
    recommendations,
    regime_state,
    shadow_trades,
    synced_trades,
    trade_replays,
)
from bot3_assets.publishing import publish_record, record_to_copy
from bot3_assets.resources import PlatformResource
from bot3_assets.schedules import backlog, meta_learner, meta_learner_beat, retraining, weekly_retraining
from bot3_assets.sensors import closes_to_parameters, new_market_week, run_failed

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
    published_learning,
]

defs = dg.Definitions(
    assets=dg.load_assets_from_modules(_NOUNS, include_specs=True),
    asset_checks=dg.load_asset_checks_from_modules(_NOUNS),
    jobs=[meta_learner, retraining, backlog, publish_record],
    schedules=[meta_learner_beat, weekly_retraining],
    sensors=[closes_to_parameters, new_market_week, record_to_copy, run_failed],
    resources={"platform": PlatformResource()},
    executor=dg.in_process_executor,
)
