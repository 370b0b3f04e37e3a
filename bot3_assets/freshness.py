"""How old an asset may get before it is called stale, in wall time."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

# The meta-learner beats every 5 minutes; recommendations live 30.
every_beat = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=30), warn_window=timedelta(minutes=12))
# Trades close when they close: a quiet day is no failure, a quiet week means that nothing is synced.
with_closes = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=7), warn_window=timedelta(days=2))
weekly = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=9), warn_window=timedelta(days=8))
