"""Report the results of a home's seed to Dagster as asset materializations, once per home."""

from __future__ import annotations

import subprocess
import sys

from bot3.cli.services import ENTRYPOINT, child_environment, prepare_dagster_home
from bot3.errors import Bot3Error
from bot3.settings import Settings

_TOLD = "seed_reported"


def report_seed_once(settings: Settings) -> None:
    """Report a seed's results to Dagster in a separate process, unless an earlier call did.

    That process also creates Dagster's storage: several services that start at once would all try to create it, and some would fail.

    Raises
    ------
    Bot3Error
        If the process failed; the next call tries again.
    """
    dagster_home = prepare_dagster_home(settings, code_port=0)
    if (dagster_home / _TOLD).exists():
        return
    environment = {**child_environment(), "DAGSTER_HOME": str(dagster_home), "BOT3_HOME": str(settings.home.resolve())}
    command = [sys.executable, *ENTRYPOINT, "bot3_assets.report_seed"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise Bot3Error(
            f"the seed is complete, but its lineage could not be reported to Dagster; `bot3 init` tries again:\n{done.stderr[-1_500:]}"
        )
    (dagster_home / _TOLD).touch()
