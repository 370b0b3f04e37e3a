"""The Dagster code location."""

import warnings

from dagster import BetaWarning

# Backfill policies are beta since 2023, and what a walk-forward is cut into here; the warning would stand in every log.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=BetaWarning)
