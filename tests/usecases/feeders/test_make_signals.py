"""Signals of a week come from the model that was known when the week began, and go no further than now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot3.errors import LearningError, ModelError
from bot3.learning.feeders.feature_panel import FeaturePanel
from bot3.market.weeks import WEEK, week_of, week_start
from bot3.usecases.feeders.make_signals import make_signals
from bot3.usecases.feeders.panels import build_panel
from bot3.wiring import Platform, open_platform
from tests.seeded import copy_of_home, tiny_settings

pytestmark = pytest.mark.slow  # on a seeded home


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with open_platform(tiny_settings(copy_of_home(tmp_path))) as opened:
        yield opened


def week_of_models(platform: Platform) -> str:
    return week_of(platform.record.models.frame()["trained_until"].min().to_pydatetime())


def panel_of(platform: Platform, week: str) -> FeaturePanel:
    start = week_start(week)
    return build_panel(platform.candles, pairs=platform.candles.pairs()[:3], start=start, end=start + WEEK, timeframe="5m")


def test_make_signals_given_half_a_week_then_they_are_the_first_half_of_the_whole(platform: Platform) -> None:
    week = week_of_models(platform)
    panel, middle = panel_of(platform, week), week_start(week) + WEEK / 2
    ports = {"registry": platform.record.models, "models": platform.models, "signals": platform.signals}

    half = make_signals("F08", week, panel, **ports, now=middle)  # type: ignore[arg-type]
    whole = make_signals("F08", week, panel, **ports, now=week_start(week) + 2 * WEEK)  # type: ignore[arg-type]

    assert 0 < len(half) < len(whole)
    early = whole[whole["known_at"] <= middle].reset_index(drop=True)
    assert half.reset_index(drop=True).equals(early)
    assert whole["known_at"].max() < week_start(week) + WEEK


def test_make_signals_given_a_younger_model_then_the_one_known_at_the_weeks_start_speaks(platform: Platform) -> None:
    week = week_of_models(platform)
    known = platform.record.models.newest("F08", as_of=week_start(week))
    platform.feeders.train_feeder("F08", until=week_start(week) + timedelta(days=1))

    made = make_signals(
        "F08",
        week,
        panel_of(platform, week),
        registry=platform.record.models,
        models=platform.models,
        signals=platform.signals,
        now=week_start(week) + WEEK,
    )

    assert set(made["model_digest"]) == {known.digest}


def test_make_signals_given_no_model_was_known_then_refuses(platform: Platform) -> None:
    week = week_of(week_start(week_of_models(platform)) - WEEK)

    with pytest.raises(LearningError):
        platform.feeders.predict_weeks([("F08", week)])


def test_make_signals_given_a_damaged_model_then_writes_no_signal(platform: Platform) -> None:
    week = week_of_models(platform)
    before = platform.signals.signals(feeder_ids=["F08"], start=week_start(week), end=week_start(week) + WEEK)
    digest = platform.record.models.newest("F08", as_of=week_start(week)).digest
    (platform.settings.home / "models" / f"{digest}.model").write_bytes(b"tree")

    with pytest.raises(ModelError, match=digest):
        platform.feeders.predict_weeks([("F08", week)])

    after = platform.signals.signals(feeder_ids=["F08"], start=week_start(week), end=week_start(week) + WEEK)
    assert after.equals(before)
