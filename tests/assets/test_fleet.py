"""Foreign bots in Dagster: partitions of their own, and checks that name what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.wiring import Platform, open_platform
from bot3_assets.assets.synced_trades import bot_trades_metadata, synced_trades_metadata, synced_trades_verdict
from tests.cli.commands import ROOT, environment
from tests.seeded import tiny_settings
from tests.servers.freqtrade_db import FreqtradeDb, a_row, an_open_row

FLEET = """
[[bots]]
name = "GRID7"
url = "grid7.sqlite"
run_mode = "live"
"""


@pytest.fixture
def grid(tmp_path: Path) -> FreqtradeDb:
    return FreqtradeDb(sqlite_url(tmp_path / "grid7.sqlite"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    return file


@pytest.fixture
def platform(tmp_path: Path, file: Path) -> Iterator[Platform]:
    with open_platform(tiny_settings(tmp_path / "home", fleet_file=file)) as opened:
        yield opened


def test_verdict_given_trades_not_synced_then_names_their_ids(platform: Platform, grid: FreqtradeDb) -> None:
    grid.add(a_row(3), a_row(4))
    platform.steps.sync("GRID7")
    grid.add(a_row(8))

    verdict = synced_trades_verdict(platform)

    difference = {"source": 3, "record": 2, "missing_ids": [8], "missing": 1, "surplus_ids": [], "surplus": 0}
    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert verdict.metadata["differences"].value == {"GRID7 live": difference}


def test_verdict_given_imported_trades_without_a_source_then_they_hide_nothing(platform: Platform, grid: FreqtradeDb) -> None:
    grid.add(a_row(3))
    platform.steps.sync("GRID7")
    (trade,) = platform.fleet[0].closed_trades(closed_since=None)
    platform.record.trades.upsert([replace(trade, bot="OLD")])

    assert synced_trades_verdict(platform).passed
    assert platform.steps.unsynced_closes() == 0


def test_verdict_given_a_database_that_is_away_then_warns_and_does_not_pass(platform: Platform) -> None:
    verdict = synced_trades_verdict(platform)

    assert (verdict.passed, verdict.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "does not exist" in str(verdict.metadata["not_read"].value)


def test_metadata_given_a_foreign_bot_then_tells_what_it_holds(platform: Platform, grid: FreqtradeDb) -> None:
    grid.add(a_row(3), an_open_row(4))
    platform.steps.sync("GRID7")

    held, synced = bot_trades_metadata(platform, "GRID7"), synced_trades_metadata(platform, "GRID7")

    assert (held["dagster/row_count"].value, held["open_trades"].value) == (1, 1)
    assert held["directions"].value == "long, short"
    assert synced["trades_live"].value == 1


def test_metadata_given_a_database_that_is_away_then_has_no_count(platform: Platform) -> None:
    told = bot_trades_metadata(platform, "GRID7")

    assert "dagster/row_count" not in told
    assert "does not exist" in str(told["not_read"].value)


@pytest.mark.slow
def test_partitions_follow_the_fleet_file(tmp_path: Path, file: Path) -> None:
    script = "import json; from bot3_assets.partitions import all_bots, bots; print(json.dumps([bots.get_partition_keys(), all_bots()]))"

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(tmp_path / "home", BOT3_FLEET_FILE=str(file)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    keys, tags = json.loads(done.stdout)
    assert keys == ["BOT1", "BOT2", "BOT3", "GRID7"]
    assert tags["dagster/asset_partition_range_end"] == "GRID7"
