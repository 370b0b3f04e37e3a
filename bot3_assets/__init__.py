"""The Dagster code location: assets, jobs, schedules and sensors of the platform."""

import warnings

from dagster import BetaWarning

# Backfill policies have been beta since 2023, and the walk-forward depends on them; without the filter every log contains the warning.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=BetaWarning)
