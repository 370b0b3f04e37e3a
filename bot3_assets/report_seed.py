"""Report the results of a seed to Dagster with `python -m bot3_assets.report_seed`, so that every asset is materialized from the start."""

from typing import TYPE_CHECKING

import dagster as dg

from bot3.market.weeks import WEEK, week_of, week_start
from bot3.ports.record import ModelEntry
from bot3.trading.signals import FEEDER_IDS
from bot3_assets.assets.candles import candles_age, candles_metadata, candles_verdict, gate_reports
from bot3_assets.assets.features import features_metadata, features_verdict
from bot3_assets.assets.feeder_models import feeder_model_metadata, models_verdict
from bot3_assets.assets.feeder_scores import feeder_scores_metadata, feeder_scores_verdict
from bot3_assets.assets.feeder_signals import feeder_signals_metadata, signals_verdict
from bot3_assets.assets.recommendations import recommendation_verdict, recommendations_metadata
from bot3_assets.assets.regime_state import regime_state_metadata, regime_verdict
from bot3_assets.assets.shadow_trades import shadow_trades_metadata, shadow_trades_verdict
from bot3_assets.assets.trade_replays import replays_verdict
from bot3_assets.lineage import Lineage, report_closes
from bot3_assets.partitions import MARKET_WEEKS, feeder_week_key
from bot3_assets.resources import PlatformResource

if TYPE_CHECKING:
    from bot3.wiring import Platform

REPORTED_BY = "seed"


def report_seed(lineage: Lineage, platform: "Platform") -> None:
    """Report a materialization of every asset except the InfluxDB copy, in the order of dependencies, and the results of its checks."""
    now, record = platform.clock.now(), platform.record
    lineage.materialized("candles", candles_metadata(platform))
    lineage.checked("candles", "candles_are_lawful", candles_verdict(gate_reports(platform)))
    lineage.checked("candles", "candles_are_fresh", candles_age(platform))
    lineage.materialized("features", features_metadata(platform))
    lineage.checked("features", "features_have_no_gap", features_verdict(platform))
    _report_feeders(lineage, platform)
    lineage.materialized("regime_state", regime_state_metadata(platform))
    lineage.checked("regime_state", "regime_is_a_distribution", regime_verdict(record.regimes.as_of(now)))
    report_closes(lineage, platform, bots=platform.source_names)
    modes = platform.settings.run_modes
    lineage.checked("trade_replays", "replays_are_lawful", replays_verdict(record.replays.frame(as_of=None, run_modes=modes)))
    lineage.materialized("shadow_trades", shadow_trades_metadata(platform))
    lineage.checked(
        "shadow_trades", "shadow_trades_are_lawful", shadow_trades_verdict(record.shadow_trades.frame(as_of=now, run_modes=modes))
    )
    lineage.materialized("feeder_scores", feeder_scores_metadata(platform))
    lineage.checked("feeder_scores", "every_feeder_is_scored", feeder_scores_verdict(record.feeder_scores.as_of(now)))
    lineage.materialized("recommendations", recommendations_metadata(platform))
    verdict = recommendation_verdict(record.recommendations.as_of(now), now=now)
    lineage.checked("recommendations", "recommendation_is_complete", verdict)


def _report_feeders(lineage: Lineage, platform: "Platform") -> None:
    """Report the models and the signals by feeder and week; weeks without new models have signals of earlier ones."""
    models = platform.record.models.frame().to_dict("records")
    entries = [ModelEntry(**{str(name): value for name, value in row.items()}) for row in models]
    weeks = sorted({week for feeder in FEEDER_IDS for week in platform.signals.weeks(feeder)})
    lineage.instance.add_dynamic_partitions(MARKET_WEEKS, weeks)
    for entry in entries:
        key = feeder_week_key(entry.feeder_id, week_of(entry.trained_until))
        lineage.materialized("feeder_models", feeder_model_metadata(entry), partition=key)
    lineage.checked("feeder_models", "models_are_sound", models_verdict(platform))
    for feeder in FEEDER_IDS:
        signals = platform.signals.signals(feeder_ids=[feeder], start=week_start(weeks[0]), end=week_start(weeks[-1]) + WEEK)
        for week in platform.signals.weeks(feeder):
            own = signals[(signals["known_at"] >= week_start(week)) & (signals["known_at"] < week_start(week) + WEEK)]
            lineage.materialized("feeder_signals", feeder_signals_metadata(own), partition=feeder_week_key(feeder, week))
    lineage.checked("feeder_signals", "signals_are_out_of_sample", signals_verdict(platform))


def main() -> None:
    """Report the seed of the home BOT3_HOME to the Dagster instance in DAGSTER_HOME."""
    with dg.DagsterInstance.get() as instance:
        report_seed(Lineage(instance=instance, source=REPORTED_BY), PlatformResource().platform())


if __name__ == "__main__":
    main()
