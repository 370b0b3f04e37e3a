"""How old an asset may get before it is called stale, in wall time."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from bot3.settings import load_settings

# A run may wait for another and takes its time.
_SLACK = timedelta(minutes=2)


def of_beat(*, beat_s: int, life_s: int) -> dg.FreshnessPolicy:
    """Return the policy of what is made anew at every beat: a warning once a beat was missed, a failure once what it made is gone.

    Parameters
    ----------
    beat_s : int
        Seconds between two beats.
    life_s : int
        Life of what is published; a failure is never said before three beats.
    """
    beat, life = timedelta(seconds=beat_s), timedelta(seconds=life_s)
    return dg.FreshnessPolicy.time_window(fail_window=max(life, 3 * beat + _SLACK), warn_window=2 * beat + _SLACK)


_settings = load_settings()
every_beat = of_beat(beat_s=_settings.meta_learner_interval_s, life_s=_settings.recommendations_life_s)
# Trades close when they close: a quiet day is no failure, a quiet week means that nothing is synced.
with_closes = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=7), warn_window=timedelta(days=2))
weekly = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=9), warn_window=timedelta(days=8))
