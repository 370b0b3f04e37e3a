"""The definitions of the code location: all assets with their checks, jobs, schedules and sensors."""

import dagster as dg

from bot3.settings import load_settings
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
from bot3_assets.schedules import (
    backlog,
    compare_trades,
    meta_learner,
    meta_learner_beat,
    nightly_comparison,
    retraining,
    weekly_retraining,
)
from bot3_assets.sensors import closes_to_parameters, new_market_week
from bot3_assets.telling import run_failed, waiting_notices

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


def location(*, has_copy: bool, has_notifier: bool) -> dg.Definitions:
    """Return the definitions of the code location.

    Parameters
    ----------
    has_copy : bool
        Whether to include the copy in InfluxDB: its asset, job and sensor.
    has_notifier : bool
        Whether to include the sensor that delivers notices.
    """
    nouns = [*_NOUNS, published_learning] if has_copy else _NOUNS
    return dg.Definitions(
        assets=dg.load_assets_from_modules(nouns, include_specs=True),
        asset_checks=dg.load_asset_checks_from_modules(nouns),
        jobs=[meta_learner, retraining, backlog, compare_trades, *([publish_record] if has_copy else [])],
        schedules=[meta_learner_beat, weekly_retraining, nightly_comparison],
        sensors=[
            closes_to_parameters,
            new_market_week,
            *([record_to_copy] if has_copy else []),
            run_failed,
            *([waiting_notices] if has_notifier else []),
        ],
        resources={"platform": PlatformResource()},
        executor=dg.in_process_executor,
    )


_settings = load_settings()
defs = location(has_copy=bool(_settings.influx_url), has_notifier=bool(_settings.telegram_token.get_secret_value()))
