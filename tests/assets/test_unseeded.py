"""Where no home was seeded there is nothing to do: sensors and schedules skip with the remedy, and no run is launched only to fail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from bot3_assets.publishing import record_to_copy
from bot3_assets.resources import PlatformResource, close_platforms
from bot3_assets.schedules import meta_learner_beat, nightly_comparison, weekly_retraining
from bot3_assets.sensors import closes_to_parameters, new_market_week
from bot3_assets.telling import waiting_notices


@pytest.fixture
def unseeded(tmp_path: Path) -> Iterator[PlatformResource]:
    yield PlatformResource(home=str(tmp_path / "home"))
    close_platforms()


@pytest.mark.parametrize("sensor", [closes_to_parameters, new_market_week, record_to_copy, waiting_notices])
def test_sensor_given_an_unseeded_home_then_skips_with_the_remedy(
    unseeded: PlatformResource, instance: dg.DagsterInstance, tmp_path: Path, sensor: Any
) -> None:
    context = dg.build_sensor_context(instance=instance, resources={"platform": unseeded}, definitions=dg.Definitions())

    skipped = sensor(context)

    assert isinstance(skipped, dg.SkipReason)
    assert "contains no seeded home: run `bot3 init`" in (skipped.skip_message or "")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("schedule", [meta_learner_beat, weekly_retraining, nightly_comparison])
def test_schedule_given_an_unseeded_home_then_skips_with_the_remedy(
    unseeded: PlatformResource, instance: dg.DagsterInstance, schedule: Any
) -> None:
    now = datetime(2026, 5, 4, tzinfo=UTC)
    context = dg.build_schedule_context(instance=instance, resources={"platform": unseeded}, scheduled_execution_time=now)

    skipped = schedule(context)

    assert isinstance(skipped, dg.SkipReason)
    assert "run `bot3 init`" in (skipped.skip_message or "")
