"""A home that was backed up while it was written to, went on, and is restored: its copy in InfluxDB says what the record says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from bot3.errors import LearningError
from bot3.settings import load_settings
from bot3.usecases.operations.back_up import back_up, restore
from bot3.wiring import Platform, begin_epoch, finish_restore, mark_restoring, open_platform, store_backups
from tests.journals import OPENED, a_closed_trade, minutes
from tests.learned import a_recommendation, a_regime, a_score, a_set
from tests.servers.influx import InfluxProgram

pytestmark = pytest.mark.influx


@pytest.fixture
def given(influx: InfluxProgram) -> dict[str, Any]:
    """Return settings of one copy, for a home and the one that it is restored to."""
    address, prefix = influx.address(), influx.new_prefix()
    names = {f"{bot}_influx_bucket": f"{prefix}{bot}" for bot in ("bot1", "bot2", "bot3")} | {"influx_bucket": f"{prefix}learning"}
    server = {"influx_url": address.url, "influx_org": address.org, "influx_token": address.token}
    return server | names | {"parameters_from": "influx", "influx_poll_s": 0.01}


@contextmanager
def home_at(folder: Path, given: dict[str, Any]) -> Iterator[Platform]:
    with open_platform(load_settings({}, env_file=folder / "no.env", home=folder, **given)) as opened:
        yield opened


def learn(opened: Platform, version: str, *, minute: float, replaces: str | None) -> None:
    opened.record.parameters.publish(a_set(version, known_at=minutes(minute)), replaces=replaces, is_full=True)
    opened.record.feeder_scores.publish([a_score(version=version, known_at=minutes(minute))])
    opened.record.regimes.publish([a_regime(minutes(minute))])
    opened.record.recommendations.publish(a_recommendation(version, known_at=minutes(minute)))
    opened.publishing.publish()


def backed_up(opened: Platform, folder: Path) -> Path:
    """Back a home up while closes are written to it."""
    done = Event()

    def write() -> None:
        number = 100
        while not done.is_set():
            opened.record.trades.upsert([a_closed_trade(number)])
            number += 1

    (opened.settings.home / "home.json").write_text("{}")
    for name in opened.bot_names:
        opened.bot_store(name)
    writer = Thread(target=write)
    writer.start()
    try:
        back_up(store_backups(opened.settings, {}), folder, now=lambda: datetime.now(UTC), market_now=opened.clock.now)
    finally:
        done.set()
        writer.join()
    return folder


def restored(home: Path, folder: Path, given: dict[str, Any]) -> None:
    settings = load_settings({}, env_file=home / "no.env", home=home, **given)
    restore(store_backups(settings, {}), folder, mark=lambda: mark_restoring(settings), begin=lambda: begin_epoch(settings))
    finish_restore(settings, market_at=OPENED)


def test_restore_given_a_copy_that_went_on_then_publishing_everything_makes_it_equal_and_parameters_are_in_force(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    with home_at(tmp_path / "first", given) as lost:
        lost.set_clock(OPENED)
        lost.record.trades.upsert([a_closed_trade(number) for number in range(1, 21)])
        learn(lost, "v1", minute=1.0, replaces=None)
        backup = backed_up(lost, tmp_path / "backup")
        # A future that the restore loses: more closes, one that is told otherwise, and newer learning.
        lost.record.trades.upsert([a_closed_trade(number) for number in range(900, 940)])
        lost.record.trades.upsert([a_closed_trade(1, close_rate=150.0)])
        learn(lost, "lost", minute=30.0, replaces="v1")

    restored(tmp_path / "second", backup, given)

    with home_at(tmp_path / "second", given) as opened:
        opened.set_clock(minutes(60.0))
        # Nothing that only the lost home knew is in force, whatever the server still holds.
        with pytest.raises(LearningError):
            opened.learning_reader.parameters.as_of(minutes(60.0))
        before = opened.publishing.check(now=minutes(60.0))

        report = opened.publishing.publish_everything()

        after = opened.publishing.check(now=minutes(60.0))
        assert (before.is_equal, report.refused) == (False, 0)
        assert after.is_equal, after
        assert after.trades["BOT1"].published >= 20
    with home_at(tmp_path / "second", given) as opened:
        in_force = opened.learning_reader.parameters.as_of(minutes(60.0))
        assert (in_force, in_force.version) == (opened.record.parameters.as_of(minutes(60.0)), "v1")
        # The market runs on: what has an id of the lost future stands once.
        opened.record.trades.upsert([a_closed_trade(number, close_rate=103.0) for number in range(900, 910)])
        opened.publishing.publish()
        assert opened.publishing.check(now=minutes(60.0)).is_equal
