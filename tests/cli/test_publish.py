"""`bot3 publish`: what it says where there is a server, where there is none, and where it is down."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import bot3
from tests.servers.influx import InfluxProgram

pytestmark = pytest.mark.slow


def influx_environment(influx: InfluxProgram) -> dict[str, str]:
    address, prefix = influx.address(), influx.new_prefix()
    names = {f"BOT3_{bot}_INFLUX_BUCKET": f"{prefix}{bot}" for bot in ("BOT1", "BOT2", "BOT3")}
    server = {"BOT3_INFLUX_URL": address.url, "BOT3_INFLUX_ORG": address.org, "BOT3_INFLUX_TOKEN": address.token}
    return server | names | {"BOT3_INFLUX_BUCKET": f"{prefix}learning"}


def test_publish_run_given_no_server_then_says_that_nothing_is_published(home: Path) -> None:
    ended = bot3("publish", "run", home=home)

    assert ended.code == 0
    assert "BOT3_INFLUX_URL is empty" in ended.said


def test_publish_check_given_no_server_then_names_the_setting(home: Path) -> None:
    ended = bot3("publish", "check", home=home)

    assert ended.code == 2
    assert "BOT3_INFLUX_URL is empty" in ended.said


def test_publish_run_given_a_server_that_is_down_then_says_so_without_a_traceback(home: Path) -> None:
    ended = bot3("publish", "run", home=home, BOT3_INFLUX_URL="http://127.0.0.1:1", BOT3_INFLUX_TOKEN="canary-7")

    assert ended.code == 3
    assert "cannot be reached in time" in ended.said
    assert "Traceback" not in ended.said
    assert "canary-7" not in ended.said


@pytest.mark.influx
def test_publish_given_a_server_then_check_differs_before_and_is_equal_after(home: Path, influx: InfluxProgram) -> None:
    given = influx_environment(influx)

    before = bot3("publish", "check", "--json", home=home, **given)
    ran = bot3("publish", "run", "--json", home=home, **given)
    after = bot3("publish", "check", "--json", home=home, **given)
    replayed = bot3("publish", "replay-dead-letters", "--json", home=home, **given)

    assert (before.code, before.json()["is_equal"]) == (4, False)
    assert (ran.code, ran.json()["published"]["refused"]) == (0, 0)
    assert (after.code, after.json()["is_equal"]) == (0, True)
    assert (replayed.code, replayed.json()["replayed"]["written"]) == (0, 0)
