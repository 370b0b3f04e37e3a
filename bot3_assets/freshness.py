"""Freshness policies: how old an asset may become, in wall time, before Dagster reports it as stale."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from bot3.settings import load_settings

# A run may wait in the queue, and takes some time itself.
_SLACK = timedelta(minutes=2)


def of_beat(*, beat_s: int, life_s: int) -> dg.FreshnessPolicy:
    """Return the policy of an asset that the meta-learner's schedule updates.

    A warning is reported two intervals and two minutes after the last update, a failure after the lifetime of the published data, but at
    least three intervals and two minutes.

    Parameters
    ----------
    beat_s : int
        Seconds between two scheduled updates.
    life_s : int
        Seconds until the published data expires.
    """
    beat, life = timedelta(seconds=beat_s), timedelta(seconds=life_s)
    return dg.FreshnessPolicy.time_window(fail_window=max(life, 3 * beat + _SLACK), warn_window=2 * beat + _SLACK)


_settings = load_settings()
every_beat = of_beat(beat_s=_settings.meta_learner_interval_s, life_s=_settings.recommendations_life_s)
# Trades close irregularly: a day without a close is no failure, a week without one means that nothing is synced.
with_closes = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=7), warn_window=timedelta(days=2))
weekly = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=9), warn_window=timedelta(days=8))
