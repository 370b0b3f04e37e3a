"""Numbers equal the stores'; what cannot be asked is absent and counted, never 0."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot3.errors import StoreBusyError
from bot3.ports.control import TradingState
from bot3.ports.metrics import Family, Kind
from bot3.ports.notices import Notice
from bot3.ports.notifier import Message
from bot3.ports.publisher import OutboxSpan
from bot3.trading.trades import RunMode
from bot3.usecases.learning.relearn import TradeSource
from bot3.usecases.operations.measure import Measure
from bot3.usecases.operations.measurements import Subject
from bot3.wiring import Platform, open_platform
from tests.clocks import MovableClock
from tests.dashboard.homes import NOW, a_beat, closes, make_home, settings_of


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("filled")
    make_home(home, trades_per_bot=12)
    return home


@pytest.fixture
def platform(filled: Path, tmp_path: Path) -> Iterator[Platform]:
    home = Path(shutil.copytree(filled, tmp_path / "home"))
    with open_platform(settings_of(home)) as platform:
        # The home was made a while ago, by the wall.
        platform.control.beat(a_beat(platform.clock.wall_now()))
        yield platform


def subject_of(platform: Platform, **changes: Any) -> Subject:
    subject = Subject(
        ports=platform,
        notices=platform.notices,
        directory=platform.settings.home,
        stake_currency="USDT",
        build={"version": "1", "trading_mode": "paper"},
        sources=platform.sources,
        outbox=None,
    )
    return replace(subject, **changes)


def numbers(measure: Measure) -> dict[str, dict[tuple[str, ...], float]]:
    return {family.name: family.samples for family in measure.families()}


class Ports:
    """Ports of a platform, some of them away."""

    def __init__(self, platform: Platform, **away: object) -> None:
        self._platform, self._away = platform, away

    def __getattr__(self, name: str) -> Any:
        return self._away.get(name, getattr(self._platform, name))


class Away:
    """A store that cannot be asked anything."""

    def __getattr__(self, name: str) -> Away:
        return self

    def __call__(self, *_: object, **__: object) -> Any:
        raise StoreBusyError("the database is locked")


def test_measure_given_a_home_then_numbers_are_the_stores(platform: Platform) -> None:
    found = numbers(Measure(subject_of(platform)))

    assert found["bot3_closed_trades"]["BOT3", "paper"] == platform.bot_store("BOT3").count_closed(closed_since=None)
    assert found["bot3_open_positions"] == {("BOT1", "paper"): 0.0, ("BOT2", "paper"): 0.0, ("BOT3", "paper"): 1.0}
    assert found["bot3_record_revision"] == {(): platform.record.revision()}
    assert found["bot3_feeders"] == {("trade",): 0.0, ("probe",): 7.0, ("shadow",): 3.0}
    assert found["bot3_equity"] == {("BOT1", "USDT"): 10_012.5}
    assert set(found["bot3_missing_closes"].values()) == set(found["bot3_surplus_closes"].values()) == {0.0}
    assert set(found["bot3_scrape_errors"].values()) == {0.0}


def test_measure_given_closes_of_two_currencies_then_money_is_by_currency(platform: Platform) -> None:
    trades = closes("OLD", run_mode=RunMode.LIVE, account="foreign", count=2, seed=3)
    coins = replace(trades[0], pair="ETH/BTC", stake_amount=0.02, close_profit=-0.05, close_profit_abs=-0.001)
    dollars = replace(trades[1], pair="ETH/USDT", stake_amount=50.0, close_profit=0.1, close_profit_abs=5.0)
    platform.record.trades.upsert([coins, dollars])

    found = numbers(Measure(subject_of(platform)))

    assert {key: value for key, value in found["bot3_realised_profit"].items() if key[0] == "OLD"} == {
        ("OLD", "live", "BTC"): -0.001, ("OLD", "live", "USDT"): 5.0
    }  # fmt: skip
    assert found["bot3_return_on_stake_ratio"]["OLD", "live", "BTC"] == pytest.approx(-0.05)
    assert found["bot3_profit_factor"]["OLD", "live", "BTC"] == 0.0
    assert ("OLD", "live", "USDT") not in found["bot3_profit_factor"]
    assert found["bot3_mean_profit_ratio"]["OLD", "live"] == pytest.approx(0.025)


def test_measure_given_any_then_names_and_labels_follow_the_rules(platform: Platform) -> None:
    families: list[Family] = Measure(subject_of(platform, outbox=platform.record.outbox.span)).families()

    assert [family.name for family in families if not family.name.startswith("bot3_")] == []
    assert [family.name for family in families if family.name.endswith("_total") or not family.help] == []
    assert max(len(family.samples) for family in families) < 40
    assert len({family.name for family in families}) == len(families)


def test_measure_given_learning_then_its_life_is_told_in_wall_time(platform: Platform) -> None:
    held, speed = platform.record.parameters.as_of(NOW), platform.clock.speed
    found = numbers(Measure(subject_of(platform)))

    assert found["bot3_learning_expiry_seconds"]["parameters",] == pytest.approx((held.expires_at - NOW).total_seconds() / speed, abs=30.0)
    assert found["bot3_learning_life_seconds"]["parameters",] == (held.expires_at - held.known_at).total_seconds() / speed
    assert set(found["bot3_learning_life_seconds"]) == {("parameters",), ("recommendation",)}


def test_measure_given_a_halted_bot_then_its_state_alone_is_one(platform: Platform) -> None:
    platform.control.set_trading_state("BOT2", TradingState.HALTED, reason="drawdown", at=NOW)

    states = numbers(Measure(subject_of(platform)))["bot3_trading_state"]

    assert [state for (bot, state), value in states.items() if bot == "BOT2" and value] == ["halted"]
    assert [state for (bot, state), value in states.items() if bot == "BOT1" and value] == ["active"]


def test_measure_given_a_silent_daemon_then_what_it_told_is_absent(platform: Platform) -> None:
    platform.control.beat(a_beat(platform.clock.wall_now() - timedelta(minutes=5)))

    found = numbers(Measure(subject_of(platform)))

    assert found["bot3_heartbeat_age_seconds"]["execution",] == pytest.approx(300.0, abs=30.0)
    assert "bot3_candle_age_seconds" not in found
    assert "bot3_equity" not in found
    assert set(found["bot3_trading_state_told"].values()) == {0.0}


def test_measure_given_a_bots_store_is_away_then_its_numbers_are_absent_and_counted(platform: Platform) -> None:
    def bot_store(name: str) -> Any:
        return Away() if name == "BOT2" else platform.bot_store(name)

    measure = Measure(subject_of(platform, ports=Ports(platform, bot_store=bot_store)))
    measure.families()
    found = numbers(measure)

    assert set(found["bot3_open_positions"]) == {("BOT1", "paper"), ("BOT3", "paper")}
    assert found["bot3_scrape_errors"]["positions BOT2",] == 2.0
    assert found["bot3_scrape_errors"]["record",] == 0.0


def test_measure_given_the_record_is_away_then_everything_else_is_told(platform: Platform) -> None:
    measure = Measure(subject_of(platform, ports=Ports(platform, record=Away())))
    found = numbers(measure)

    assert {"bot3_record_revision", "bot3_closed_trades", "bot3_feeders", "bot3_missing_closes", "bot3_surplus_closes"} & set(
        found
    ) == set()
    assert found["bot3_open_positions"]["BOT3", "paper"] == 1.0
    assert {what for (what,), errors in found["bot3_scrape_errors"].items() if errors} == {
        "record",
        "realised",
        "learning",
        "feeders",
        "sources",
    }
    assert not measure.is_ready()
    assert Measure(subject_of(platform)).is_ready()


def test_measure_given_closes_that_are_not_synced_then_tells_how_many_and_for_how_long(platform: Platform) -> None:
    clock = MovableClock(platform.clock.wall_now())
    measure = Measure(subject_of(platform, ports=Ports(platform, clock=clock)))
    assert numbers(measure)["bot3_sync_lag_seconds"]["BOT1", "paper"] == 0.0
    store = platform.bot_store("BOT1")
    store.import_trades(closes("BOT1", run_mode=RunMode.PAPER, account=store.account, count=3, seed=9, first_id=900))

    measure.families()
    clock.move(40.0)
    found = numbers(measure)

    assert found["bot3_missing_closes"]["BOT1", "paper"] == 3.0
    assert found["bot3_sync_lag_seconds"]["BOT1", "paper"] == 40.0
    assert found["bot3_sync_lag_seconds"]["BOT2", "paper"] == 0.0


def test_measure_given_as_many_missing_as_surplus_then_neither_hides_the_other(platform: Platform) -> None:
    measure, store = Measure(subject_of(platform)), platform.bot_store("BOT1")
    measure.families()
    store.import_trades(closes("BOT1", run_mode=RunMode.PAPER, account=store.account, count=2, seed=9, first_id=900))
    platform.record.trades.upsert(closes("BOT1", run_mode=RunMode.PAPER, account=store.account, count=2, seed=8, first_id=800))

    found = numbers(measure)

    assert (found["bot3_missing_closes"]["BOT1", "paper"], found["bot3_surplus_closes"]["BOT1", "paper"]) == (2.0, 2.0)


def test_measure_given_a_close_of_just_now_then_it_is_on_its_way(platform: Platform) -> None:
    store = platform.bot_store("BOT1")
    (fresh,) = closes("BOT1", run_mode=RunMode.PAPER, account=store.account, count=1, seed=9, first_id=900)
    store.import_trades([replace(fresh, close_date=platform.clock.now())])

    assert numbers(Measure(subject_of(platform)))["bot3_missing_closes"]["BOT1", "paper"] == 0.0


def test_measure_given_trades_are_deleted_then_their_number_falls_as_a_gauges_may(platform: Platform) -> None:
    (family,) = (one for one in Measure(subject_of(platform)).families() if one.name == "bot3_closed_trades")

    assert family.kind is Kind.GAUGE


def test_measure_given_a_source_is_away_then_the_others_are_told(platform: Platform) -> None:
    class Gone(Away):
        bot = "BOT9"

    def sources() -> Sequence[TradeSource]:
        return [*platform.sources(), TradeSource(reader=Gone(), run_mode=RunMode.LIVE)]  # type: ignore[arg-type]

    found = numbers(Measure(subject_of(platform, sources=sources)))

    assert ("BOT9", "live") not in found["bot3_missing_closes"]
    assert len(found["bot3_missing_closes"]) == 6
    assert found["bot3_scrape_errors"]["source BOT9 live",] == 1.0


def test_measure_given_a_copy_then_tells_what_waits_and_up_to_where_it_is_told(platform: Platform) -> None:
    waits = Measure(subject_of(platform, outbox=lambda: OutboxSpan(since=5, until=9, writes=4)))
    told = Measure(subject_of(platform, outbox=lambda: None))

    assert numbers(waits)["bot3_outbox_waiting_writes"] == {(): 4.0}
    assert numbers(waits)["bot3_published_revision"] == {(): 5.0}
    assert numbers(told)["bot3_published_revision"] == {(): platform.record.revision()}


def test_measure_given_no_copy_then_tells_nothing_of_one(platform: Platform) -> None:
    assert "bot3_outbox_waiting_writes" not in numbers(Measure(subject_of(platform)))


def test_measure_given_a_chat_that_is_refused_then_says_so(platform: Platform) -> None:
    at, notices = platform.wall_now(), platform.notices
    before = numbers(Measure(subject_of(platform)))
    notices.queue(Notice(key="k", message=Message(title="Run failed"), at=at, quiet=timedelta(0)))
    taken = notices.take(now=at, hold=timedelta(minutes=1))
    assert taken is not None
    notices.put_back(taken.notice_id, until=at, problem="chat not found")

    found = numbers(Measure(subject_of(platform)))

    assert (before["bot3_notifier_refused"], found["bot3_notifier_refused"]) == ({(): 0.0}, {(): 1.0})
    assert found["bot3_notices_dropped"] == {(): 0.0}


def test_measure_given_the_flag_file_then_says_so(platform: Platform) -> None:
    (platform.settings.home / "HALT").touch()

    assert numbers(Measure(subject_of(platform)))["bot3_halt_file"] == {(): 1.0}
