"""A home with leverage bins of its own: seed, learning, publication, files and daemon use these bins, and no others open the home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot3.errors import SettingsError
from bot3.learning.replay.groups import group_of_key
from bot3.trading.parameters import ANY
from bot3.trading.trade_classes import bin_of
from bot3.wiring import open_platform
from tests.journey.journeys import Journey
from tests.leverages import OTHER_BINS
from tests.seeded import seed, tiny_settings

pytestmark = pytest.mark.slow  # seeds a home

BINS = {"leverage_bins": OTHER_BINS.edges}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bins") / "home"
    seed(tiny_settings(home, **BINS))
    return home


@pytest.fixture
def journey(home: Path) -> Iterator[Journey]:
    made = Journey(home, **BINS)
    yield made
    made.platform.close()


def test_home_given_its_own_bins_then_everything_that_is_stored_by_bin_has_them(journey: Journey) -> None:
    record, now = journey.platform.record, journey.now
    names = set(OTHER_BINS.names)

    trades = record.trades.frame(as_of=now, run_modes=journey.platform.settings.run_modes)
    assert set(trades["leverage_bin"]) <= names
    assert [OTHER_BINS.name_of(leverage) for leverage in trades["leverage"]] == trades["leverage_bin"].tolist()
    assert trades["leverage"].max() <= OTHER_BINS.highest
    assert {bin_of(row.leverage_bin) for row in journey.parameters().rows.values()} == {*names, ANY}
    assert set(record.recommendations.as_of(now).open_bins) <= names


def test_files_given_a_home_with_its_own_bins_then_contain_them(journey: Journey) -> None:
    journey.platform.steps.recommend()

    parameters, recommendation = (
        json.loads((journey.platform.settings.home / name).read_text())
        for name in ("adaptive_params.json", "meta_learner_recommendations.json")
    )
    assert {row["leverage_bin"] for row in parameters["rows"]} == {*OTHER_BINS.names, ANY}
    assert set(recommendation["open_bins"]) <= set(OTHER_BINS.names)


def test_daemon_given_a_home_with_its_own_bins_then_chooses_leverage_and_row_by_them(journey: Journey) -> None:
    closed = journey.first_closed_trade()
    parameters = journey.learn()
    entry = journey.next_entry()

    _, _, name = group_of_key(str(entry.context["parameters_key"]))
    assert entry.context["parameters_version"] == parameters.version
    assert bin_of(name) in {OTHER_BINS.name_of(entry.leverage), ANY}
    assert OTHER_BINS.name_of(closed.leverage) in OTHER_BINS.names


def test_home_given_other_bins_than_it_was_seeded_with_then_does_not_open(home: Path) -> None:
    with pytest.raises(SettingsError, match="set BOT3_LEVERAGE_BINS=1,2,4,8, or set BOT3_HOME"), open_platform(tiny_settings(home)):
        pass
