"""Alerts: what is wrong, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import StoreBusyError
from bot3.ports.control import ClockSource, TradingState
from bot3.trading.trades import RunMode
from bot3.usecases.fleet.bot_state import STALE, StateInForce
from bot3.usecases.fleet.home import FleetHome
from bot3.usecases.fleet.status import ALL_ACTIVE, SYNC_GRACE, BotStatus, Fleet, alerts, halted, read_fleet
from bot3.usecases.fleet.trade_cache import Known
from bot3.usecases.learning.reconciled import Gap, gap_of_closes
from bot3.usecases.learning.sync_trades import sync_trades
from bot3.wiring import Platform, open_platform
from tests.dashboard.homes import NOW, a_beat, closes, make_home
from tests.learned import a_recommendation, a_set

ACTIVE = StateInForce(state=TradingState.ACTIVE, reason="", is_latched=False, is_reported=True)
WELL = BotStatus(bot="BOT1", in_force=ACTIVE)


def a_fleet(**changes: object) -> Fleet:
    fleet = Fleet(
        now=NOW,
        wall_now=NOW,
        anchor=None,
        beats=(a_beat(NOW),),
        bots=(WELL,),
        watched=(),
        parameters=Known(value=a_set("v1", known_at=NOW)),
        recommendation=Known(value=a_recommendation("m1", known_at=NOW)),
    )
    return replace(fleet, **changes)  # type: ignore[arg-type]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with open_platform(make_home(tmp_path, trades_per_bot=12)) as platform:
        yield platform


class BeatClock:
    """A clock at `NOW` whose wall time is that of the daemon's heartbeat, and later by a step with each look at it."""

    speed = 1.0

    def __init__(self, platform: Platform, *, step: timedelta) -> None:
        self._step = step
        self._wall = max(beat.wall_at for beat in platform.control.heartbeats())

    def now(self) -> datetime:
        return NOW

    def wall_now(self) -> datetime:
        self._wall += self._step
        return self._wall


class ClockedPorts:
    """The ports of a platform with another clock: what is read does not depend on the machine's speed."""

    def __init__(self, platform: Platform, clock: BeatClock) -> None:
        self._platform, self.clock = platform, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._platform, name)


def home_of(platform: Platform, *, step: timedelta = timedelta(0)) -> FleetHome:
    return FleetHome(ClockedPorts(platform, BeatClock(platform, step=step)))


def test_alerts_given_a_fleet_that_is_well_then_are_none() -> None:
    assert alerts(a_fleet()) == []


def test_alerts_given_an_old_heartbeat_then_call_the_daemon_silent() -> None:
    found = alerts(a_fleet(beats=(a_beat(NOW - STALE - timedelta(seconds=1)),)))

    assert "silent" in found[0].text
    assert "bot3 up" in found[0].remedy


def test_alerts_given_no_heartbeat_then_say_that_no_bot_trades() -> None:
    assert "never sent a heartbeat" in alerts(a_fleet(beats=()))[0].text


def test_told_given_a_silent_daemon_then_is_unknown() -> None:
    assert a_fleet().reported("open_trades") == 1
    assert a_fleet(beats=(a_beat(NOW - timedelta(minutes=5)),)).reported("open_trades") is None


def test_alerts_given_expired_learning_then_name_both() -> None:
    late = a_fleet(now=NOW + timedelta(days=8))

    assert [alert.text.split()[0] for alert in alerts(late)] == ["Parameters", "Recommendations"]
    assert all("expired" in alert.text for alert in alerts(late))


def test_alerts_given_nothing_learned_then_pass_on_what_is_missing() -> None:
    found = alerts(a_fleet(parameters=Known(value=None, problem="no parameters were published")))

    assert found[0].text == "Parameters: no parameters were published."


def test_alerts_given_a_halted_bot_then_give_its_reason_and_the_way_back() -> None:
    halted = StateInForce(state=TradingState.HALTED, reason="drawdown of -15.2 %", is_latched=True, is_reported=True)
    bot = replace(WELL, in_force=halted)

    found = alerts(a_fleet(bots=(bot,)))

    assert "drawdown of -15.2 %" in found[0].text
    assert "bot3 resume BOT1" in found[0].remedy


@pytest.mark.parametrize(
    ("state", "reason", "does"),
    [
        ("halted", "HALT exists in the home: delete it to resume", "trades nothing"),
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
    assert halted({"BOT1": ACTIVE, "BOT2": replace(ACTIVE, is_reported=False)}) == "state unknown: BOT2"


def test_alerts_given_a_daemon_that_tells_nothing_of_a_bot_then_say_so() -> None:
    bot = replace(WELL, in_force=replace(ACTIVE, is_reported=False))

    assert [alert.text for alert in alerts(a_fleet(bots=(bot,)))] == [
        "BOT1: the daemon is running, but its heartbeat does not report this bot."
    ]


def test_alerts_given_a_replay_at_its_end_then_warn_only(platform: Platform) -> None:
    anchor = platform.control.anchor()
    assert anchor is not None
    ended = replace(anchor, source=ClockSource.REPLAYED, ends_at=NOW)

    found = alerts(a_fleet(anchor=ended))

    assert [alert.is_severe for alert in found] == [False]


def test_read_fleet_given_a_filled_home_then_is_reconciled(platform: Platform) -> None:
    fleet = read_fleet(home_of(platform))

    assert [(bot.gap, bot.history_gap) for bot in fleet.bots] == [(Gap(), Gap())] * 3
    assert [len(bot.open_trades) for bot in fleet.bots] == [0, 0, 1]
    assert alerts(fleet) == []


def test_read_fleet_given_that_reading_takes_long_then_no_bot_is_called_silent_beside_a_daemon_that_is_not(platform: Platform) -> None:
    fleet = read_fleet(home_of(platform, step=STALE / 3))

    assert (fleet.is_silent, alerts(fleet)) == (False, [])


def test_read_fleet_given_closes_that_never_reached_the_record_then_counts_the_late_ones(platform: Platform) -> None:
    store = platform.bot_store("BOT1")
    lost = closes("BOT1", run_mode=RunMode.PAPER, account=store.account, count=3, seed=9, first_id=900)
    moment = NOW - SYNC_GRACE / 2
    store.import_trades([*lost, replace(lost[0], trade_id=990, close_date=moment)])

    fleet = read_fleet(home_of(platform))

    assert fleet.bots[0].gap == Gap(missing=3)
    assert any("BOT1: 3 closes of its own database are not in the record" in alert.text for alert in alerts(fleet))


def test_read_fleet_given_fresh_closes_in_the_record_then_they_hide_no_old_one_that_is_missing(platform: Platform) -> None:
    store = platform.bot_store("BOT1")
    mode = RunMode.PAPER
    fresh = [
        replace(trade, close_date=NOW - SYNC_GRACE / 2) for trade in closes("BOT1", run_mode=mode, account=store.account, count=3, seed=8)
    ]
    store.import_trades([replace(trade, trade_id=800 + number) for number, trade in enumerate(fresh)])
    sync_trades(store, platform.record.trades, run_mode=mode)
    store.import_trades(closes("BOT1", run_mode=mode, account=store.account, count=3, seed=9, first_id=900))

    assert read_fleet(home_of(platform)).bots[0].gap == Gap(missing=3)


def test_read_fleet_given_closes_that_only_the_record_holds_then_tells_the_surplus(platform: Platform) -> None:
    account = platform.bot_store("BOT2").account
    platform.record.trades.upsert(closes("BOT2", run_mode=RunMode.PAPER, account=account, count=2, seed=9, first_id=900))

    fleet = read_fleet(home_of(platform))

    assert fleet.bots[1].gap == Gap(surplus=2)
    assert alerts(fleet)[0].text.startswith("BOT2: 2 closes in the record are not in its own database")


@pytest.mark.parametrize("in_store", [True, False], ids=["missing", "surplus"])
def test_read_fleet_given_a_history_that_differs_then_tells_it(platform: Platform, *, in_store: bool) -> None:
    history = platform.history_store("BOT3")
    more = closes("BOT3", run_mode=RunMode.BACKTEST, account=history.account, count=2, seed=9, first_id=900)
    if in_store:
        history.import_trades(more)
    else:
        platform.record.trades.upsert(more)

    fleet = read_fleet(home_of(platform))

    assert fleet.bots[2].history_gap == (Gap(missing=2) if in_store else Gap(surplus=2))
    assert "its history" in alerts(fleet)[0].text


def test_read_fleet_given_a_bot_without_a_history_then_says_that_it_was_not_compared(platform: Platform, tmp_path: Path) -> None:
    platform.close()
    for path in (tmp_path / "history").glob("BOT2.sqlite*"):
        path.unlink()

    with open_platform(platform.settings, read_only=True) as readers:
        fleet = read_fleet(home_of(readers))

    assert [bot.history_gap for bot in fleet.bots] == [Gap(), None, Gap()]
    assert any("BOT2: its history cannot be compared" in alert.text for alert in alerts(fleet))


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=12))
def test_gap_of_closes_given_any_sides_then_counts_old_ones_by_key(sides: list[tuple[bool, bool, bool]]) -> None:
    rows = [
        {"trade_id": number, "open_date": NOW - timedelta(days=2), "close_date": NOW + timedelta(hours=-1 if is_old else 1)}
        for number, (_, _, is_old) in enumerate(sides)
    ]
    own, recorded = (
        pd.DataFrame([row for row, side in zip(rows, sides, strict=True) if side[which]], columns=["trade_id", "open_date", "close_date"])
        .astype({"trade_id": "int64", "open_date": "datetime64[us, UTC]", "close_date": "datetime64[us, UTC]"})
        for which in (0, 1)
    )  # fmt: skip

    gap = gap_of_closes(own, recorded, until=NOW)

    assert gap.missing == sum(ours and not theirs and is_old for ours, theirs, is_old in sides)
    assert gap.surplus == sum(theirs and not ours and is_old for ours, theirs, is_old in sides)


class Busy:
    """A store that is locked, or a server that is away."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*_: object, **__: object) -> Any:
            raise StoreBusyError("the database is away")

        return ask


class Ports:
    """Ports of a platform, some of them busy."""

    def __init__(self, platform: Platform, **busy: object) -> None:
        self._platform, self._busy = platform, busy

    def __getattr__(self, name: str) -> Any:
        return self._busy.get(name, getattr(self._platform, name))


@pytest.mark.parametrize(("port", "key"), [("bot_store", "problem|BOT2"), ("history_store", "history|BOT2")])
def test_read_fleet_given_a_bots_store_is_busy_then_it_is_that_bots_problem_or_raised(platform: Platform, port: str, key: str) -> None:
    def store(name: str) -> Any:
        return Busy() if name == "BOT2" else getattr(platform, port)(name)

    home = FleetHome(Ports(platform, **{port: store}))

    assert [alert.key for alert in alerts(read_fleet(home, busy_is_problem=True))] == [key]
    with pytest.raises(StoreBusyError):
        read_fleet(home)


@pytest.mark.parametrize("port", ["record", "control"])
def test_read_fleet_given_the_platforms_own_store_is_busy_then_raises(platform: Platform, port: str) -> None:
    with pytest.raises(StoreBusyError):
        read_fleet(FleetHome(Ports(platform, **{port: Busy()})), busy_is_problem=True)


def test_read_fleet_given_a_bot_without_a_store_then_the_others_are_read(platform: Platform, tmp_path: Path) -> None:
    platform.close()
    for path in (tmp_path / "bots").glob("BOT2.sqlite*"):
        path.unlink()

    with open_platform(platform.settings, read_only=True) as readers:
        fleet = read_fleet(home_of(readers))

    assert [bot.closes is None for bot in fleet.bots] == [False, True, False]
    assert "does not exist" in fleet.bots[1].problem
