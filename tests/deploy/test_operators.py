"""What the operators of the system before this one type, letter by letter; their question in SQL is in test_roles."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import urllib3

from bot3.adapters.influx.server import InfluxAddress
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.settings import load_settings
from bot3.wiring.publishing import Publishing
from tests.deploy.test_systemd import ROOT, UNITS
from tests.learned import a_row, a_set
from tests.seeded import copy_of_home
from tests.servers.influx import InfluxProgram

FLUX = 'from(bucket:"bot3_learning") |> range(start: -1h) |> filter(fn: (r) => r._measurement == "adaptive_params")'
JSON = "python3 -m json.tool meta_learner_recommendations.json"
STATUS = "systemctl status bot3-*"
FOLLOW = "journalctl -u bot3-meta-learner -f"


@pytest.fixture
def address() -> Iterator[InfluxAddress]:
    """Yield a server of the test's own, so that its buckets may have the names of production."""
    with InfluxProgram() as program:
        yield program.address()


@pytest.mark.influx
def test_flux_given_it_is_typed_as_ever_then_finds_the_parameters_that_were_published(address: InfluxAddress, tmp_path: Path) -> None:
    known_at = datetime.now(UTC) - timedelta(minutes=5)
    given = {"BOT3_INFLUX_URL": address.url, "BOT3_INFLUX_TOKEN": address.token, "BOT3_INFLUX_ORG": address.org}
    settings = load_settings(given, env_file=tmp_path / "no.env", home=tmp_path)
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    record.parameters.publish(a_set("v1", a_row(leverage_bin="2.0-3.5"), known_at=known_at), replaces=None, is_full=True)
    publishing = Publishing(
        settings, record=lambda: record, bots=("BOT1", "BOT2", "BOT3"), now=lambda: datetime.now(UTC), wall_now=lambda: datetime.now(UTC)
    )
    publishing.publish()

    rows = answered(address, FLUX)

    publishing.close()
    record.close()
    fields = {row["_field"]: row["_value"] for row in rows}
    assert {row["leverage_bin"] for row in rows} == {"2.0-3.5"}
    assert set(fields) >= {"stop_loss", "take_profit_target", "trades_count", "win_rate", "avg_profit"}
    assert (float(fields["stop_loss"]) < 0.0, float(fields["take_profit_target"])) == (True, 0.06)


def answered(address: InfluxAddress, flux: str) -> list[dict[str, str]]:
    """Return what the server's own interface answers, as its pages and its command line ask it."""
    answer = urllib3.request(
        "POST",
        f"{address.url}/api/v2/query?org={address.org}",
        body=flux.encode(),
        headers={"Authorization": f"Token {address.token}", "Content-Type": "application/vnd.flux", "Accept": "application/csv"},
        timeout=30.0,
        retries=False,
    )
    assert answer.status == 200, answer.data
    tables = answer.data.decode().replace("\r\n", "\n").strip().split("\n\n")
    return [row for table in tables for row in csv.DictReader(io.StringIO(table))]


@pytest.mark.slow
def test_recommendations_given_json_tool_then_are_as_their_readers_know_them(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)

    ended = subprocess.run(["bash", "-c", JSON], cwd=home, capture_output=True, text=True, timeout=30, check=True)

    told = json.loads(ended.stdout)
    assert set(told) >= {"regime", "top_feeders", "avoid_feeders", "suggested_leverage_range", "suggested_position_size_multiplier"}
    assert set(told) >= {"generated_at", "expires_at", "version"}
    assert told["regime"] in {"bull_trending", "bear_trending", "sideways", "volatile"}
    assert all(type(feeder) is int and 1 <= feeder <= 10 for feeder in told["top_feeders"] + told["avoid_feeders"])
    low, high = told["suggested_leverage_range"]
    assert 1.0 <= low <= high <= 10.0


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return the root of a machine that has the units, enabled as the runbook says; no systemd runs there."""
    if shutil.which("systemctl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemctl is not installed: apt-get install systemd")
    folder = tmp_path / "etc" / "systemd" / "system"
    folder.mkdir(parents=True)
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.target")):
        shutil.copy(unit, folder)
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    (enabling,) = [line for line in runbook.splitlines() if "enable --now bot3.target" in line]
    names = enabling.split("enable --now ")[1].split()
    subprocess.run(["systemctl", f"--root={tmp_path}", "enable", *names], check=True, capture_output=True, timeout=30)
    return tmp_path


def test_systemctl_given_the_names_that_are_typed_then_they_are_units(machine: Path) -> None:
    wanted = STATUS.rsplit(maxsplit=1)[-1]

    command = ["systemctl", f"--root={machine}", "list-unit-files", "--no-legend", "--no-pager", wanted]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env={**os.environ, "LC_ALL": "C"}).stdout

    states = {line.split()[0]: line.split()[1] for line in listed.splitlines()}
    served = {f"bot3-{noun}.service" for noun in ("strategy", "controller", "meta-learner", "web", "dashboard", "home")}
    assert {name for name, state in states.items() if state == "enabled"} >= served
    assert states["bot3-code.service"] == "alias"


def test_journal_given_the_name_that_is_typed_then_is_a_units_own_in_which_runs_log(machine: Path) -> None:
    # journalctl compares the name with the one that a unit had when it wrote: an alias would show nothing.
    name = FOLLOW.split()[2]

    unit = machine / "etc" / "systemd" / "system" / f"{name}.service"

    assert not unit.is_symlink()
    assert "-m bot3_assets.definitions" in unit.read_text(encoding="utf-8")
    assert name in (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("typed", [FLUX.replace("|>", r"\|>"), "python3 -m json.tool", "systemctl status", FOLLOW])
def test_runbook_given_what_operators_type_then_shows_it(typed: str) -> None:
    assert typed in (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def test_installing_given_a_name_that_was_an_alias_then_no_unit_is_written_over(tmp_path: Path) -> None:
    (copying,) = [line for line in (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").splitlines() if line.startswith("cp ")]
    # As an earlier checkout left it: enabling the controller made a link of that name.
    (tmp_path / "bot3-meta-learner.service").symlink_to(tmp_path / "bot3-controller.service")

    command = copying.replace("/etc/systemd/system/", f"{tmp_path}/")
    subprocess.run(["bash", "-ec", command], cwd=ROOT, check=True, timeout=30)

    for unit in UNITS.glob("*.service"):
        assert (tmp_path / unit.name).read_bytes() == unit.read_bytes()
