"""What the doctor finds wrong, one thing broken at a time, and that it finds nothing else."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from pydantic import SecretStr

from bot3.adapters.influx.points import HEADS
from bot3.adapters.influx.server import InfluxServer
from bot3.adapters.sql.engine import sqlite_url
from bot3.cli import doctor_fleet, doctor_services, doctor_stores
from bot3.cli.doctor import _FIRST, _LOOKS, _examine_platform, examine
from bot3.cli.findings import DoctorContext, Finding
from bot3.errors import SettingsError, StoreBusyError
from bot3.ports.control import Heartbeat
from bot3.ports.notices import Notice
from bot3.ports.notifier import Message
from bot3.settings import load_settings
from bot3.wiring import Platform, open_platform
from tests.cli.commands import bot3
from tests.journals import a_closed_trade, minutes
from tests.learned import a_regime
from tests.seeded import copy_of_home, tiny_settings
from tests.servers.freqtrade_db import OPENED, FreqtradeDb, a_row
from tests.servers.influx import InfluxProgram
from tests.servers.postgres import PostgresServer
from tests.servers.status_server import StatusServer

NOBODY = "http://127.0.0.1:1"
NOW = datetime.now(UTC)


def found(home: Path, *only: str, is_served: bool = False, web: str = NOBODY, **changes: Any) -> dict[str, Finding]:
    findings = examine(tiny_settings(home, **changes), only=only, is_served=is_served, web=web)
    return {finding.subject: finding for finding in findings}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Return the platform of a home whose control store alone is there."""
    settings = load_settings({}, env_file=tmp_path / "no.env", home=tmp_path)
    with open_platform(settings) as opened:
        yield opened


def patient(platform: Platform, *, is_served: bool = True, web: str = NOBODY) -> DoctorContext:
    return DoctorContext(platform=platform, is_served=is_served, web=web)


def beat(platform: Platform, *, age: timedelta, state: str = "running", detail: dict[str, Any] | None = None) -> None:
    at = platform.wall_now() - age
    beat = Heartbeat(process="execution", pid=1, started_at=at, wall_at=at, market_at=at, state=state, detail=detail or {})
    platform.control.beat(beat)


def ticks_of(*sensors: tuple[str, str, str | None, timedelta | None]) -> bytes:
    """Return Dagster's answer; a sensor is (name, status, error of the newest tick, its age)."""
    nodes = []
    for name, status, error, age in sensors:
        tick = {"timestamp": (datetime.now(UTC) - (age or timedelta(0))).timestamp(), "error": error and {"message": error}}
        tick["status"] = "FAILURE" if error else "SKIPPED"
        nodes.append({"name": name, "sensorState": {"status": status, "ticks": [] if age is None else [tick]}})
    return json.dumps({"data": {"repositoriesOrError": {"nodes": [{"sensors": nodes, "schedules": []}]}}}).encode()


@pytest.mark.parametrize(
    ("sensor", "words"),
    [
        (("closes", "STOPPED", None, timedelta(0)), "closes is turned off"),
        (("closes", "RUNNING", "the record is locked\nmore", timedelta(0)), "closes failed: the record is locked"),
        (("closes", "RUNNING", None, timedelta(minutes=3)), "closes ticked 180 s ago"),
    ],
)
def test_ticks_given_a_sensor_in_trouble_then_tells_which_and_why(platform: Platform, sensor: Any, words: str) -> None:
    with StatusServer([200], body=ticks_of(("well", "RUNNING", None, timedelta(0)), sensor)) as dagster:
        finding = doctor_services.ticks("ticks", patient(platform, web=dagster.url))

    assert (finding.is_good, words in finding.detail, "well" in finding.detail) == (False, True, False)


def many_ticks_of(name: str, *ticks: dict[str, Any]) -> bytes:
    """Return Dagster's answer about one sensor and its ticks, the newest first."""
    plain = {"timestamp": datetime.now(UTC).timestamp(), "status": "SKIPPED", "skipReason": None, "error": None}
    sensor = {"name": name, "sensorState": {"status": "RUNNING", "ticks": [plain | tick for tick in ticks]}}
    return json.dumps({"data": {"repositoriesOrError": {"nodes": [{"sensors": [sensor], "schedules": []}]}}}).encode()


FAILED = {"status": "FAILURE", "error": {"message": "Error occurred during the execution of evaluation_fn\n", "causes": []}}
DELAYED = {"skipReason": "delayed: InfluxDB at localhost rejected this token (403): check BOT3_INFLUX_TOKEN"}


@pytest.mark.parametrize(
    ("ticks", "words"),
    [
        ([{"status": "STARTED"}, FAILED], "closes failed: Error occurred"),
        (
            [FAILED | {"error": {"message": "evaluation_fn", "causes": [{"message": "ValueError: the cause\n"}]}}],
            "failed: ValueError: the cause",
        ),
        ([DELAYED] * 3, "closes is delayed: InfluxDB at localhost rejected this token (403)"),
        ([{"status": "STARTED"}, *[DELAYED] * 3], "closes is delayed"),
        ([DELAYED, {}, DELAYED], None),
        ([{}, FAILED], None),
    ],
)
def test_ticks_given_one_that_only_began_then_judges_those_that_ended(
    platform: Platform, ticks: list[dict[str, Any]], words: str | None
) -> None:
    with StatusServer([200], body=many_ticks_of("closes", *ticks)) as dagster:
        finding = doctor_services.ticks("ticks", patient(platform, web=dagster.url))

    assert (finding.is_good, (words or "none failed") in finding.detail) == (words is None, True), finding


def a_run(status: str, *, age_s: float, max_runtime: str | None = None) -> dict[str, Any]:
    at = datetime.now(UTC).timestamp() - age_s
    tags = [] if max_runtime is None else [{"key": "dagster/max_runtime", "value": max_runtime}]
    started = at if status == "STARTED" else None
    return {"runId": "0123456789", "jobName": "meta_learner", "status": status, "creationTime": at, "startTime": started, "tags": tags}


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (("STARTED", 320.0, "240"), "run 01234567 of meta_learner runs for 5 min (started)"),
        (("QUEUED", 700.0, "240"), "run 01234567 of meta_learner waits for 12 min (queued)"),
        (("STARTED", 250.0, "240"), None),
        (("STARTED", 5_000.0, None), None),
        (("QUEUED", 60.0, None), None),
    ],
)
def test_runs_given_one_that_runs_or_waits_for_too_long_then_names_it(
    platform: Platform, run: tuple[str, float, str | None], words: str | None
) -> None:
    status, age_s, max_runtime = run
    found = a_run(status, age_s=age_s, max_runtime=max_runtime)
    with StatusServer([200], body=json.dumps({"data": {"runsOrError": {"results": [found]}}}).encode()) as dagster:
        finding = doctor_services.runs("runs", patient(platform, web=dagster.url))

    assert (finding.is_good, (words or "1 in progress") in finding.detail) == (words is None, True), finding


def test_ticks_given_all_is_well_then_says_how_many(platform: Platform) -> None:
    sensors = (("closes", "RUNNING", None, timedelta(seconds=3)), ("weeks", "RUNNING", None, None))
    with StatusServer([200], body=ticks_of(*sensors)) as dagster:
        finding = doctor_services.ticks("ticks", patient(platform, web=dagster.url))

    assert (finding.is_good, finding.detail) == (True, "2 sensors and schedules, none failed")


@pytest.mark.parametrize("look", [doctor_services.dagster, doctor_services.ticks, doctor_services.runs])
def test_dagster_given_it_does_not_answer_then_is_bad_only_where_it_should_run(platform: Platform, look: Any) -> None:
    assert not look("x", patient(platform)).is_good
    assert look("x", patient(platform, is_served=False)).is_good


@pytest.mark.parametrize(("age_s", "is_served", "is_good"), [(1, True, True), (60, True, False), (60, False, True)])
def test_execution_given_a_heartbeat_then_its_age_counts_where_it_should_beat(
    platform: Platform, age_s: float, is_served: bool, is_good: bool
) -> None:
    beat(platform, age=timedelta(seconds=age_s))

    assert doctor_services.execution("execution", patient(platform, is_served=is_served)).is_good is is_good


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_execution_given_a_daemon_that_ended_a_moment_ago_then_is_bad_however_young_its_heartbeat(platform: Platform, state: str) -> None:
    beat(platform, age=timedelta(seconds=1), state=state)

    finding = doctor_services.execution("execution", patient(platform))

    assert (finding.is_good, finding.detail.startswith(f"{state}, ")) == (False, True)
    assert doctor_services.execution("execution", patient(platform, is_served=False)).is_good


def test_execution_given_the_daemon_refuses_what_is_published_then_is_bad_and_says_what(platform: Platform) -> None:
    refused = "parameters of revision 7: leverage_bin 9-12 is unknown"
    beat(platform, age=timedelta(seconds=1), detail={"learning_refused": refused})

    finding = doctor_services.execution("execution", patient(platform))

    assert (finding.is_good, refused in finding.detail) == (False, True)
    assert doctor_services.execution("execution", patient(platform, is_served=False)).is_good


@pytest.mark.parametrize(("age", "is_good"), [(timedelta(seconds=20), True), (timedelta(minutes=5), False)])
def test_record_given_a_close_that_is_not_synced_yet_then_is_bad_only_after_the_grace(
    platform: Platform, age: timedelta, is_good: bool
) -> None:
    now = datetime(2026, 1, 6, tzinfo=UTC)
    platform.set_clock(now)
    closed = now - age * platform.clock.speed
    platform.bot_store("BOT1").import_trades([a_closed_trade(1, close_date=closed, open_date=closed - timedelta(hours=1))])

    finding = doctor_stores.record("record", patient(platform))

    assert (finding.is_good, "BOT1 paper: 0 of 1" in finding.detail) == (is_good, True), finding
    assert doctor_stores.record("record", patient(platform, is_served=False)).is_good


def test_fleet_given_a_close_of_a_moment_ago_then_is_no_fault_yet(file: Path) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    bot = FreqtradeDb(sqlite_url(file.parent / "grid.sqlite"))
    bot.add(a_row(1, open_date=now - timedelta(hours=1), close_date=now - timedelta(seconds=5)))

    assert looked_at(file, "grid.sqlite", is_served=True).is_good


def test_execution_given_the_kill_switch_then_is_bad_whatever_beats(platform: Platform) -> None:
    beat(platform, age=timedelta(0))
    (platform.settings.home / "HALT").touch()

    finding = doctor_services.execution("execution", patient(platform))

    assert (finding.is_good, "HALT" in finding.detail) == (False, True)


def telegram_patient(home: Path, **changes: Any) -> Iterator[DoctorContext]:
    with open_platform(load_settings({}, env_file=home / "no.env", home=home, telegram_chat_id=77, **changes)) as opened:
        yield patient(opened)


@pytest.mark.parametrize(
    ("age_s", "state", "is_good", "words"),
    [
        (1, "listening", True, "listening, 0 notices are pending"),
        (1, "cannot reach Telegram", False, "cannot reach Telegram"),
        (60, "listening", False, "has sent no heartbeat since"),
        (None, "", False, "never ran"),
    ],
)
def test_telegram_given_its_heartbeat_then_tells_whether_it_listens(
    tmp_path: Path, age_s: float | None, state: str, is_good: bool, words: str
) -> None:
    for one in telegram_patient(tmp_path, telegram_users=(7,)):
        if age_s is not None:
            at = one.platform.wall_now() - timedelta(seconds=age_s)
            one.platform.control.beat(Heartbeat(process="telegram", pid=1, started_at=at, wall_at=at, market_at=at, state=state, detail={}))

        finding = doctor_services.telegram("telegram", one)

        assert (finding.is_good, words in finding.detail) == (is_good, True)


def test_telegram_given_a_chat_that_is_refused_then_names_what_to_mend(tmp_path: Path) -> None:
    for one in telegram_patient(tmp_path):
        at, notices = one.platform.wall_now(), one.platform.notices
        notices.queue(Notice(key="k", message=Message(title="Run failed"), at=at, quiet=timedelta(0)))
        taken = notices.take(now=at, hold=timedelta(minutes=1))
        assert taken is not None
        notices.put_back(taken.notice_id, until=at, problem="the group became another chat")

        finding = doctor_services.telegram("telegram", one)

        assert (finding.is_good, finding.detail) == (False, "the group became another chat; 1 notices are pending")


def test_telegram_given_nobody_wants_it_then_is_good(platform: Platform, tmp_path: Path) -> None:
    assert doctor_services.telegram("telegram", patient(platform)).is_good
    # A chat without users: failed runs are told by Dagster itself.
    for one in telegram_patient(tmp_path / "other"):
        assert doctor_services.telegram("telegram", one).is_good
        message = Message(title="Run failed")
        one.platform.notices.queue(Notice(key="k", message=message, at=one.platform.wall_now(), quiet=timedelta(0)))
        assert not doctor_services.telegram("telegram", one).is_good


def test_clock_given_it_stands_still_then_is_bad_only_where_services_run(platform: Platform) -> None:
    assert not doctor_services.clock("clock", patient(platform, is_served=False)).is_good

    platform.set_clock(datetime(2025, 3, 3, tzinfo=UTC))

    assert doctor_services.clock("clock", patient(platform, is_served=False)).is_good
    assert "paused" in doctor_services.clock("clock", patient(platform)).detail


def test_home_given_everybody_may_write_it_then_is_bad(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    finding = doctor_stores.home(tiny_settings(tmp_path))
    tmp_path.chmod(0o700)

    assert (finding.is_good, finding.remedy) == (False, f"chmod o-w {tmp_path}")
    assert doctor_stores.home(tiny_settings(tmp_path)).is_good


@pytest.mark.slow  # on a seeded home
def test_influx_given_it_is_down_then_is_bad_and_named(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)

    finding = found(home, "influx", influx_url=NOBODY)["influx"]

    assert (finding.is_good, "127.0.0.1:1" in finding.detail) == (False, True), finding
    assert found(home, "influx")["influx"].is_good


def test_bot_store_given_the_daemon_tells_that_it_is_halted_then_is_bad_whatever_the_latch_says(platform: Platform) -> None:
    at = platform.wall_now()
    detail = {"BOT1_state": "halted", "BOT1_reason": "HALT exists"}
    platform.control.beat(Heartbeat(process="execution", pid=1, started_at=at, wall_at=at, market_at=at, state="running", detail=detail))

    finding = doctor_stores.bot_store("BOT1 store", patient(platform))

    assert (finding.is_good, "halted: HALT exists" in finding.detail) == (False, True)
    assert "resume" not in finding.remedy
    assert doctor_stores.bot_store("BOT2 store", patient(platform)).is_good


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet.toml"


def a_fleet(file: Path, url: str, **fields: str) -> Iterator[Platform]:
    """Yield the platform of a home whose fleet is one bot."""
    lines = [f'{name} = "{value}"' for name, value in {"name": "GRID7", "url": url, "run_mode": "live", **fields}.items()]
    file.write_text("\n".join(["[[bots]]", *lines]))
    settings = load_settings({}, env_file=file.parent / "no.env", home=file.parent, fleet_file=file)
    with open_platform(settings) as opened:
        yield opened


def looked_at(file: Path, url: str, *, is_served: bool = False, **fields: str) -> Finding:
    findings = []
    for opened in a_fleet(file, url, **fields):
        opened.set_clock(max(OPENED.replace(tzinfo=UTC) + timedelta(days=365), datetime.now(UTC)))  # later than every trade
        findings.append(doctor_fleet.fleet("fleet", patient(opened, is_served=is_served)))
    (finding,) = findings
    return finding


def test_fleet_given_none_then_is_good(platform: Platform) -> None:
    assert doctor_fleet.fleet("fleet", patient(platform)).is_good


def test_fleet_given_a_database_that_is_away_then_names_bot_and_file(file: Path) -> None:
    finding = looked_at(file, "gone.sqlite")

    assert (finding.is_good, "GRID7 live cannot be read" in finding.detail, "gone.sqlite" in finding.detail) == (False, True, True)


def test_fleet_given_trades_that_are_not_synced_then_counts_them_where_they_should_be(file: Path) -> None:
    FreqtradeDb(sqlite_url(file.parent / "grid.sqlite")).add(a_row(1), a_row(2), a_row(3, open_rate=0.0))

    idle, served = (looked_at(file, "grid.sqlite", is_served=is_served) for is_served in (False, True))

    assert (idle.is_good, "2 closed, dates in UTC, 1 rows refused" in idle.detail) == (True, True)
    assert (served.is_good, "0 of 2 closed trades are synced" in served.detail) == (False, True)


def test_fleet_given_closes_later_than_the_markets_time_then_names_their_number_and_a_home_of_its_own(file: Path) -> None:
    FreqtradeDb(sqlite_url(file.parent / "grid.sqlite")).add(a_row(1), a_row(2))
    findings = []
    for opened in a_fleet(file, "grid.sqlite"):
        opened.set_clock(OPENED.replace(tzinfo=UTC) - timedelta(days=30))

        findings.append(doctor_fleet.fleet("fleet", patient(opened)))

    (finding,) = findings

    assert (finding.is_good, "2 closes are later than the market's time" in finding.detail) == (False, True)
    assert "BOT3_CANDLES" in finding.remedy


@pytest.mark.postgres
def test_fleet_given_a_server_in_another_zone_than_declared_then_names_both_and_what_to_write(file: Path, postgres: PostgresServer) -> None:
    bot = FreqtradeDb(postgres.new_database())
    bot.add(a_row(1))

    finding = looked_at(file, bot.url)

    assert (finding.is_good, "writes dates in Asia/Tokyo, but the fleet file is set to UTC" in finding.detail) == (False, True)
    assert 'source_timezone = "Asia/Tokyo"' in finding.remedy
    assert looked_at(file, bot.url, source_timezone="Asia/Tokyo").is_good
    assert looked_at(file, bot.url, source_timezone="Asia/Seoul").is_good


@pytest.mark.postgres
@pytest.mark.parametrize("whose", ["DATABASE {database}", "ROLE bot_of_fleet", "ROLE bot_of_fleet IN DATABASE {database}"])
def test_fleet_given_a_zone_of_the_bots_own_then_that_counts_and_not_the_servers(file: Path, postgres: PostgresServer, whose: str) -> None:
    bot = FreqtradeDb(postgres.new_database())
    bot.execute("DROP ROLE IF EXISTS bot_of_fleet")
    bot.execute("CREATE ROLE bot_of_fleet")
    bot.execute("ALTER TABLE trades OWNER TO bot_of_fleet")
    bot.execute(f"ALTER {whose.format(database=bot.engine.url.database)} SET timezone TO 'Etc/UTC'")

    finding = looked_at(file, bot.url)
    bot.execute("DROP TABLE trades CASCADE")

    assert finding.is_good, finding


@pytest.mark.postgres
@pytest.mark.parametrize("declared", ["Asia/Tokyo", "Europe/Berlin"])
@pytest.mark.parametrize(
    ("given", "source"),
    [("options=-c timezone=Europe/Berlin", "client"), ("user=reader_of_fleet", "user"), ("user=reader_of_fleet", "database user")],
)
def test_fleet_given_a_session_with_a_zone_of_its_own_then_does_not_take_it_for_the_bots(
    file: Path, postgres: PostgresServer, declared: str, given: str, source: str
) -> None:
    bot = FreqtradeDb(postgres.new_database())
    bot.execute("DROP ROLE IF EXISTS reader_of_fleet")
    bot.execute("CREATE ROLE reader_of_fleet SUPERUSER LOGIN")
    where = f" IN DATABASE {bot.engine.url.database}" if source == "database user" else ""
    bot.execute(f"ALTER ROLE reader_of_fleet{where} SET timezone TO 'Europe/Berlin'")

    finding = looked_at(file, f"{bot.url}&{given}", source_timezone=declared)
    bot.execute(f"ALTER DATABASE {bot.engine.url.database} SET timezone TO 'Asia/Tokyo'")
    told = looked_at(file, f"{bot.url}&{given}", source_timezone="Asia/Tokyo")

    assert not finding.is_good
    assert "time zone is unknown (" in finding.detail
    assert f"has the explicit zone Europe/Berlin ({source})" in finding.detail
    assert "source_timezone" not in finding.remedy
    assert told.is_good, told


@contextmanager
def copied(tmp_path: Path, influx: InfluxProgram, **changes: Any) -> Iterator[Platform]:
    """Yield the platform of a home whose copy is in buckets of its own."""
    address, prefix = influx.address(), influx.new_prefix()
    names = {f"{bot}_influx_bucket": f"{prefix}{bot}" for bot in ("bot1", "bot2", "bot3")} | {"influx_bucket": f"{prefix}learning"}
    server = {"influx_url": address.url, "influx_org": address.org, "influx_token": address.token}
    with open_platform(load_settings({}, env_file=tmp_path / "no.env", home=tmp_path, **server, **names)) as opened:
        opened.record.regimes.publish([a_regime()])
        opened.publishing.publish()
        assert doctor_stores.influx("influx", patient(opened)).is_good
        settings = opened.settings.model_copy(update=changes)
    with open_platform(settings) as opened:
        yield opened


def token_that_only_reads(influx: InfluxProgram) -> SecretStr:
    """Return a token that may read every bucket and write none."""
    address = influx.address()
    headers = {"Authorization": f"Token {address.token}"}
    found = urllib3.request("GET", f"{address.url}/api/v2/orgs?org={address.org}", headers=headers)
    org = found.json()["orgs"][0]["id"]
    wanted = {"orgID": org, "permissions": [{"action": "read", "resource": {"type": "buckets", "orgID": org}}]}
    return SecretStr(urllib3.request("POST", f"{address.url}/api/v2/authorizations", headers=headers, json=wanted).json()["token"])


@pytest.mark.influx
def test_influx_given_a_token_that_may_not_write_then_says_so_before_anything_waits(tmp_path: Path, influx: InfluxProgram) -> None:
    # Other programs' buckets: more than one page of the server's list, of which this token sees a part.
    others, crowd = InfluxServer(influx.address()), influx.new_prefix()
    for number in range(25):
        others.create_bucket(f"{crowd}{number}", keep_s=0)
    with copied(tmp_path, influx, influx_token=token_that_only_reads(influx)) as opened:
        (finding,) = _examine_platform(opened.settings, wanted={"influx"}, is_served=True, web=NOBODY)

    assert (finding.is_good, "rejected this token (403)" in finding.detail) == (False, True), finding


@pytest.mark.influx
def test_influx_given_another_organization_then_says_so(tmp_path: Path, influx: InfluxProgram) -> None:
    with copied(tmp_path, influx, influx_org="nobody") as opened:
        (finding,) = _examine_platform(opened.settings, wanted={"influx"}, is_served=True, web=NOBODY)

    assert (finding.is_good, "check BOT3_INFLUX_ORG" in finding.detail) == (False, True), finding


@pytest.mark.influx
def test_influx_given_writes_that_wait_then_is_bad_after_the_grace_and_says_why(tmp_path: Path, influx: InfluxProgram) -> None:
    with copied(tmp_path, influx) as opened:
        opened.record.regimes.publish([a_regime(minutes(5))])
        young = doctor_stores.influx("influx", patient(opened))
        with closing(sqlite3.connect(tmp_path / "platform.sqlite")) as connection, connection:
            connection.execute("UPDATE outbox SET written_at_us = written_at_us - 300000000")
        without_server = opened.settings.model_copy(update={"influx_url": NOBODY})
        with open_platform(without_server) as cut_off, pytest.raises(StoreBusyError):
            cut_off.publishing.publish()

        late = doctor_stores.influx("influx", patient(opened))

        assert young.is_good
        assert (late.is_good, "1 writes are pending publication, the oldest for 5 min" in late.detail) == (False, True), late
        assert "127.0.0.1:1 cannot be reached in time" in late.detail
        assert doctor_stores.influx("influx", patient(opened, is_served=False)).is_good
        opened.publishing.publish()
        assert doctor_stores.influx("influx", patient(opened)).is_good


@pytest.mark.influx
def test_influx_given_publications_of_before_a_restore_then_is_bad_until_all_is_published(tmp_path: Path, influx: InfluxProgram) -> None:
    with copied(tmp_path, influx) as opened:
        opened.record.begin_epoch()
        restored = doctor_stores.influx("influx", patient(opened))
        opened.publishing.publish_everything()

        assert (restored.is_good, "1 publications in InfluxDB belong to another record" in restored.detail) == (False, True), restored
        assert "bot3 publish run --all" in restored.remedy
        assert doctor_stores.influx("influx", patient(opened)).is_good


@pytest.mark.influx
def test_influx_given_a_server_that_lost_publications_then_says_that_they_are_published_again(
    tmp_path: Path, influx: InfluxProgram
) -> None:
    with copied(tmp_path, influx) as opened:
        with closing(InfluxServer(influx.address())) as server:
            server.delete_measurement(opened.settings.influx_bucket, HEADS)

        finding = doctor_stores.influx("influx", patient(opened))

    assert (finding.is_good, "1 publications of the record are missing in InfluxDB" in finding.detail) == (False, True), finding
    assert "`record_to_copy` publishes them within a minute" in finding.remedy


@pytest.mark.influx
def test_influx_given_a_dead_letter_then_names_its_file(tmp_path: Path, influx: InfluxProgram) -> None:
    with copied(tmp_path, influx) as opened:
        opened.record.trades.upsert([a_closed_trade(1, funding_fees=float("inf"))])
        opened.publishing.publish()

        finding = doctor_stores.influx("influx", patient(opened))

    assert (finding.is_good, "dead_letters.jsonl" in finding.detail) == (False, True)


@pytest.mark.influx
def test_influx_given_a_bot_of_the_fleet_without_a_bucket_then_names_it(tmp_path: Path, influx: InfluxProgram) -> None:
    address, prefix = influx.address(), influx.new_prefix()
    names = {f"{bot}_influx_bucket": f"{prefix}{bot}" for bot in ("bot1", "bot2", "bot3")} | {"influx_bucket": f"{prefix}learning"}
    server = {"influx_url": address.url, "influx_org": address.org, "influx_token": address.token}
    with open_platform(load_settings({}, env_file=tmp_path / "no.env", home=tmp_path, **server, **names)) as opened:
        opened.publishing.publish()
        before = doctor_stores.influx("influx", patient(opened))
        opened.record.trades.upsert([a_closed_trade(1, bot=f"{prefix}GRID7")])

        after = doctor_stores.influx("influx", patient(opened))

    assert before.is_good
    assert (after.is_good, f"bucket {prefix}GRID7_trades is missing" in after.detail) == (False, True)


def test_permissions_given_a_password_file_that_all_may_read_then_is_bad_until_it_or_its_directory_is_closed() -> None:
    def is_good(*, folder: int, secret: int) -> bool:
        directory.chmod(folder)
        path.chmod(secret)
        (finding,) = (
            doctor_stores.permissions("permissions", patient(opened))
            for opened in a_fleet(directory / "fleet.toml", "postgresql://u@h/d", password_file=path.name)
        )
        assert "canary" not in finding.detail
        assert finding.is_good or finding.remedy == f"chmod o-r {path}"
        return finding.is_good

    # A directory of the tests' own is closed to others already.
    with tempfile.TemporaryDirectory(prefix="bot3-open-") as made:
        directory, path = Path(made).resolve(), Path(made).resolve() / "secret"
        path.write_text("canary-7")

        assert [is_good(folder=0o755, secret=mode) for mode in (0o644, 0o600)] == [False, True]
        assert is_good(folder=0o700, secret=0o444)


def test_doctor_looks_at_everything_that_can_be_wrong_on_a_machine() -> None:
    subjects = {"settings", "home", "permissions", "servers", "record", "BOT1 store", "fleet", "clock", "candles", "models", "parameters"}

    assert {*_FIRST, *_LOOKS} >= subjects | {"recommendation", "influx", "ports", "execution", "dagster", "ticks"}


def test_doctor_given_a_subject_that_is_none_then_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'wether' is not a subject, valid subjects are settings, home, permissions, servers"):
        found(tmp_path, "wether")


@pytest.mark.slow
def test_doctor_given_only_some_subjects_then_looks_at_nothing_else(tmp_path: Path) -> None:
    ended = bot3("doctor", "--only", "models", "--only", "home", "--json", home=copy_of_home(tmp_path))

    assert (ended.code, [f["subject"] for f in ended.json()["findings"]]) == (0, ["home", "models"])


@pytest.mark.slow
def test_doctor_given_services_should_run_then_every_one_that_does_not_is_found(tmp_path: Path) -> None:
    ended = bot3("doctor", "--served", "--dagster", NOBODY, "--json", home=copy_of_home(tmp_path))

    bad = {f["subject"]: f["remedy"] for f in ended.json()["findings"] if not f["is_good"]}
    assert ended.code == 4
    assert set(bad) >= {"clock", "execution", "dagster", "ticks"}
    assert all(bad.values())


@pytest.mark.postgres
def test_servers_given_a_database_in_local_time_then_names_what_mends_it(tmp_path: Path, unix: dict[str, Any]) -> None:
    with open_platform(load_settings({}, env_file=tmp_path / "no.env", home=tmp_path, **unix)) as opened:
        finding = doctor_stores.servers("servers", patient(opened))

    assert (finding.is_good, "shows times in Asia/Tokyo" in finding.detail) == (False, True)
    assert "SET timezone TO 'UTC'" in finding.remedy


@pytest.fixture
def unix(postgres: PostgresServer) -> dict[str, Any]:
    """Return settings that lead to a new database of the suite's server."""
    database = postgres.new_database().split("/")[3].split("?")[0]
    return {"platform_db_host": str(postgres.directory), "platform_db_name": database, "platform_db_user": "bot3"}
