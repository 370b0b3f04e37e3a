"""One daemon a home, and one a bot's database wherever its home is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bot3.errors import AlreadyRunningError
from bot3.settings import Settings
from bot3.trading.orders import IntentLeg
from bot3.trading.trades import ExitReason
from bot3.usecases.fleet.bot_state import CANDLE_DONE
from bot3.wiring import open_platform
from execution.lease import lease
from tests.execution.floors import ENTRY_AT, OpenFloor, ScriptedSignals, signal_at
from tests.markets import CANDLE, FIRST, a_profile
from tests.servers.postgres import PostgresServer


def test_lease_given_a_holder_then_refuses_a_second_and_names_the_first(tmp_path: Path) -> None:
    refused = pytest.raises(AlreadyRunningError, match=rf"is already traded by process {os.getpid()}: stop that process first")

    with lease(tmp_path), refused as caught, lease(tmp_path):
        pass

    assert caught.value.exit_code == 6


def test_lease_given_a_holder_that_ended_then_is_free(tmp_path: Path) -> None:
    with lease(tmp_path):
        pass

    with lease(tmp_path):
        assert (tmp_path / "execution.pid").read_text() == str(os.getpid())


@dataclass
class FakeLease:
    """A `Lease` that a test takes away and gives back."""

    is_free: bool = True
    holder: str | None = None

    def is_held(self) -> bool:
        if self.holder is not None:
            raise AlreadyRunningError(f"BOT1 is traded by {self.holder} already: stop it first")
        return self.is_free

    def close(self) -> None:
        pass


LATER = ENTRY_AT + 6


def test_daemon_given_its_lease_on_the_database_is_lost_then_enters_nothing_and_still_leaves(open_floor: OpenFloor) -> None:
    held = FakeLease()
    signals = ScriptedSignals(signal_at(ENTRY_AT), signal_at(LATER), signal_at(LATER + 3))
    floor = open_floor(lease=held, signals=signals, profiles=[a_profile(longest_trade=timedelta(minutes=20))])
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT)

    held.is_free = False
    floor.run_candles(ENTRY_AT + 1, LATER)
    assert floor.closed_trade().exit_reason == ExitReason.TIME_EXIT
    assert (floor.holds(), floor.state()[0]) == (["reducing"], "reducing")
    assert "lease" in floor.state()[1]
    held.is_free = True
    floor.run_candles(LATER + 1, LATER + 3)

    assert floor.state() == ("active", "")
    assert floor.open_trade().is_open


def test_daemon_given_another_process_trades_its_bot_then_ends_and_leaves_the_close_to_it(open_floor: OpenFloor) -> None:
    held = FakeLease()
    floor = open_floor(lease=held)
    floor.run_candles(ENTRY_AT - 1, ENTRY_AT - 1)

    held.holder = "bot3 BOT1 other/7"
    with pytest.raises(AlreadyRunningError, match="other/7"):
        floor.run_candles(ENTRY_AT, ENTRY_AT)

    assert floor.intents(IntentLeg.ENTRY) == []
    assert floor.stores["BOT1"].bookmark(CANDLE_DONE) == FIRST + (ENTRY_AT - 1) * CANDLE


def settings_on(server: PostgresServer, home: Path, databases: dict[str, str]) -> Settings:
    named = {
        f"{bot.lower()}_db_{key}": value
        for bot, name in databases.items()
        for key, value in (("host", str(server.directory)), ("name", name), ("user", "bot3"))
    }
    return Settings(home=home, **named)


def test_daemon_given_two_homes_on_one_database_then_the_second_is_refused(postgres: PostgresServer, tmp_path: Path) -> None:
    databases = {name: postgres.new_database().split("@/")[1].split("?")[0] for name in ("BOT1", "BOT2", "BOT3")}
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()

    with (
        open_platform(settings_on(postgres, homes[0], databases)) as first,
        open_platform(settings_on(postgres, homes[1], databases)) as second,
    ):
        leases = [first.bot_lease(name) for name in databases]

        with pytest.raises(AlreadyRunningError, match="BOT1 is traded by"):
            second.bot_lease("BOT1")

        assert [one is not None and one.is_held() for one in leases] == [True, True, True]


def test_bot_lease_given_a_store_that_is_a_file_then_the_lock_of_the_home_is_enough(tmp_path: Path) -> None:
    with open_platform(Settings(home=tmp_path)) as platform:
        assert platform.bot_lease("BOT1") is None
