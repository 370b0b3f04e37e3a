"""Alerts: what is wrong, and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot3.ports.control import ClockSource, TradingState
from bot3.trading.trades import RunMode
from bot3.usecases.bot_state import STALE, StateInForce
from bot3.wiring import Platform, open_platform
from dashboard.home import Home
from dashboard.reading import Known
from dashboard.status import ALL_ACTIVE, SYNC_GRACE, BotStatus, Fleet, alerts, halted, read_fleet
from tests.dashboard.homes import NOW, a_beat, closes, make_home
from tests.learned import a_recommendation, a_set

ACTIVE = StateInForce(state=TradingState.ACTIVE, reason="", is_latched=False, is_told=True)
WELL = BotStatus(bot="BOT1", in_force=ACTIVE)


def a_fleet(**changes: object) -> Fleet:
    fleet = Fleet(
        now=NOW,
        wall_now=NOW,
        anchor=None,
        beats=(a_beat(NOW),),
        bots=(WELL,),
        parameters=Known(value=a_set("v1", known_at=NOW)),
        recommendation=Known(value=a_recommendation("m1", known_at=NOW)),
    )
    return replace(fleet, **changes)  # type: ignore[arg-type]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with open_platform(make_home(tmp_path, trades_per_bot=12)) as platform:
        yield platform


def home_of(platform: Platform) -> Home:
    return Home(platform, is_seeded=True, is_current=lambda: True)


def test_alerts_given_a_fleet_that_is_well_then_are_none() -> None:
    assert alerts(a_fleet()) == []


def test_alerts_given_an_old_heartbeat_then_call_the_daemon_silent() -> None:
    found = alerts(a_fleet(beats=(a_beat(NOW - STALE - timedelta(seconds=1)),)))

    assert "silent" in found[0].text
    assert "bot3 up" in found[0].remedy


def test_alerts_given_no_heartbeat_then_say_that_no_bot_trades() -> None:
    assert "never gave a sign of life" in alerts(a_fleet(beats=()))[0].text


def test_told_given_a_silent_daemon_then_is_unknown() -> None:
    assert a_fleet().told("open_trades") == 1
    assert a_fleet(beats=(a_beat(NOW - timedelta(minutes=5)),)).told("open_trades") is None


def test_alerts_given_expired_learning_then_name_both() -> None:
    late = a_fleet(now=NOW + timedelta(days=8))

    assert [alert.text.split()[0] for alert in alerts(late)] == ["Parameters", "Recommendations"]
    assert all("expired" in alert.text for alert in alerts(late))


def test_alerts_given_nothing_learned_then_pass_on_what_is_missing() -> None:
    found = alerts(a_fleet(parameters=Known(value=None, problem="no parameters were published")))

    assert found[0].text == "Parameters: no parameters were published."


def test_alerts_given_a_halted_bot_then_give_its_reason_and_the_way_back() -> None:
    halted = StateInForce(state=TradingState.HALTED, reason="drawdown of -15.2 %", is_latched=True, is_told=True)
    bot = replace(WELL, in_force=halted)

    found = alerts(a_fleet(bots=(bot,)))

    assert "drawdown of -15.2 %" in found[0].text
    assert "bot3 resume BOT1" in found[0].remedy


@pytest.mark.parametrize(
    ("state", "reason", "does"),
    [
        ("halted", "HALT exists in the home: remove it to go on", "trades nothing"),
        ("reducing", "daily_loss until midnight", "only reduces"),
    ],
)
def test_alerts_given_a_state_that_only_the_heartbeat_tells_then_show_it(platform: Platform, state: str, reason: str, does: str) -> None:
    platform.control.beat(a_beat(platform.clock.wall_now(), BOT1_state=state, BOT1_reason=reason))

    found = alerts(read_fleet(home_of(platform)))

    assert [alert.text for alert in found] == [f"BOT1 is {state}: {reason}."]
    assert does in found[0].remedy


def test_halted_given_a_bot_that_nobody_tells_of_then_does_not_call_it_active() -> None:
    assert halted({"BOT1": ACTIVE, "BOT2": ACTIVE}) == ALL_ACTIVE
    assert halted({"BOT1": ACTIVE, "BOT2": replace(ACTIVE, is_told=False)}) == "state not told: BOT2"


def test_alerts_given_a_replay_at_its_end_then_warn_only(platform: Platform) -> None:
    anchor = platform.control.anchor()
    assert anchor is not None
    ended = replace(anchor, source=ClockSource.REPLAYED, ends_at=NOW)

    found = alerts(a_fleet(anchor=ended))

    assert [alert.is_severe for alert in found] == [False]


def test_read_fleet_given_a_filled_home_then_is_reconciled(platform: Platform) -> None:
    fleet = read_fleet(home_of(platform))

    assert [bot.late for bot in fleet.bots] == [0, 0, 0]
    assert [len(bot.open_trades) for bot in fleet.bots] == [0, 0, 1]
    assert alerts(fleet) == []


def test_read_fleet_given_closes_that_never_reached_the_record_then_counts_the_late_ones(platform: Platform) -> None:
    store = platform.bot_store("BOT1")
    lost = closes("BOT1", run_mode=RunMode.PAPER, account=store.account, count=3, seed=9, first_id=900)
    moment = NOW - SYNC_GRACE / 2
    store.import_trades([*lost, replace(lost[0], trade_id=990, close_date=moment)])

    fleet = read_fleet(home_of(platform))

    assert fleet.bots[0].late == 3
    assert any("BOT1: 3 closes of its own database are not in the record" in alert.text for alert in alerts(fleet))


def test_read_fleet_given_a_bot_without_a_store_then_the_others_are_read(platform: Platform, tmp_path: Path) -> None:
    platform.close()
    for path in (tmp_path / "bots").glob("BOT2.sqlite*"):
        path.unlink()

    with open_platform(platform.settings, read_only=True) as readers:
        fleet = read_fleet(home_of(readers))

    assert [bot.closes is None for bot in fleet.bots] == [False, True, False]
    assert "does not exist" in fleet.bots[1].problem
