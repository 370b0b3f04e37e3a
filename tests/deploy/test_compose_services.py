"""Every service of docker-compose.yml, run as compose would: on PostgreSQL and InfluxDB, in its own role, to a materialization."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from bot3.cli.services import free_port
from bot3.market.weeks import week_start
from bot3.ports.notices import Notice
from bot3.ports.notifier import Message
from bot3.usecases.operations.back_up import read_manifest
from bot3.wiring import open_platform
from bot3_assets.assets.synced_trades import synced_trades_verdict
from tests.deploy.composed import SERVICES, Place
from tests.deploy.load import load
from tests.deploy.production import Production, production
from tests.deploy.stack import ENDED, ONCE, SERVED, Stack, a_place, composed, stop
from tests.servers.bot_api import TOKEN, BotApi
from tests.servers.hostile_pages import Sent, foreign_requests
from tests.servers.influx import InfluxProgram

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.influx]

WORKERS = ("redis", "worker")  # run by test_compose_workers.py


@pytest.fixture(scope="module")
def api() -> Iterator[BotApi]:
    with BotApi() as server:
        yield server


@pytest.fixture(scope="module")
def stack(influx: InfluxProgram, api: BotApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with composed(tmp_path_factory.mktemp("compose"), influx, api) as made:
        yield made


@pytest.mark.parametrize("name", [name for name in SERVED if name != "viewer"])
def test_service_given_compose_started_it_then_its_health_check_says_so(stack: Stack, name: str) -> None:
    assert stack.wait(f"{name} is healthy", lambda: stack.place.is_healthy(name))


def test_stack_given_a_run_from_the_web_then_the_daemon_starts_it_and_it_materialises(stack: Stack) -> None:
    launched = stack.launch("synced_trades", "BOT3")
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    status = stack.wait("the run has ended", lambda: (s := stack.run_status(run_id)) in ENDED and s)

    found = stack.graphql(
        '{ assetOrError(assetKey: {path: ["synced_trades"]}) { ... on Asset { assetMaterializations(limit: 100) { runId } } } }'
    )
    # A run is the code server's child: what it does is in that one's log.
    assert run_id in (stack.place.folder / "code.log").read_text(errors="replace")
    # The sensor reports the same asset, without a run.
    assert (status, {"runId": run_id} in found["assetOrError"]["assetMaterializations"]) == ("SUCCESS", True)


def test_stack_given_the_waiting_sensor_then_its_ticks_are_kept_on_the_server(stack: Stack) -> None:
    query = "SELECT count(*) FROM job_ticks WHERE status <> 'FAILURE'"

    assert stack.wait("the sensor ticked", lambda: stack.server.execute("dagster", "dagster", query)[0][0])
    assert stack.server.execute("dagster", "dagster", "SELECT count(*) FROM job_ticks WHERE status = 'FAILURE'") == [(0,)]


def test_stack_given_the_daemon_reads_influx_then_the_parameters_of_the_record_are_in_force(stack: Stack) -> None:
    def in_force() -> Any:
        (row,) = stack.server.execute("bot3_reader", "bot3", "SELECT detail FROM heartbeats WHERE process = 'execution'")
        return json.loads(str(row[0]))["parameters_version"]

    assert stack.place.environment("execution")["BOT3_PARAMETERS_FROM"] == "influx"
    assert stack.wait("the daemon has parameters", in_force)


def test_stack_given_a_doctor_then_all_is_well(stack: Stack) -> None:
    command = [*stack.place.command("webserver")[:2], "bot3.cli.main", "doctor", "--served", "--json"]

    def bad() -> Any:
        ended = stack.place.execute("webserver", command)
        return [finding for finding in json.loads(ended.stdout)["findings"] if not finding["is_good"]]

    assert stack.wait("the doctor finds nothing", lambda: bad() == [])


def test_stack_given_a_question_in_the_chat_then_it_is_answered_from_the_servers(stack: Stack, api: BotApi) -> None:
    query = "SELECT count(*) FROM heartbeats WHERE process = 'telegram'"
    assert stack.wait("telegram listens", lambda: stack.server.execute("bot3_reader", "bot3", query)[0][0])
    before = len(api.texts)
    api.say("/stats hunter2", user=8, chat=8)
    api.say("/profit backtest")

    answers = stack.wait("the answer came", lambda: [text for text in api.texts[before:] if "Profit: backtest closes" in text])

    assert "the record (BOT3)" in answers[0]
    assert TOKEN not in str(stack.logs())


def test_stack_given_a_notice_of_dagsters_then_the_service_with_the_token_tells_it(stack: Stack, api: BotApi) -> None:
    # What the sensor run_failed does in the code server, which reaches nothing outside.
    with open_platform(stack.place.settings("code")) as platform:
        assert platform.notifier is None
        message = Message(title="Run failed: meta_learner", lines=("run 1",))
        platform.notices.queue(Notice(key="run_failed|meta_learner", message=message, at=platform.wall_now(), quiet=timedelta(0)))

    assert stack.wait("it was told", lambda: [text for text in api.texts if "Run failed: meta_learner" in text])


def test_stack_given_prometheus_asks_then_the_numbers_are_the_servers(stack: Stack) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.place.ports['9310']}/metrics", timeout=30) as answer:
        page = answer.read().decode()

    (row,) = stack.server.execute("bot3_reader", "bot3", "SELECT count(*) FROM synced_trades WHERE bot = 'BOT3' AND run_mode = 'backtest'")
    assert f'bot3_closed_trades{{bot="BOT3",run_mode="backtest"}} {float(str(row[0]))}' in page
    assert 'bot3_heartbeat_age_seconds{process="execution"}' in page
    assert [line for line in page.splitlines() if line.startswith("bot3_scrape_errors_total") and not line.endswith(" 0.0")] == []


@pytest.mark.parametrize(("port", "path"), [("3000", "/server_info"), ("8501", "/"), ("9310", "/metrics")])
def test_stack_given_a_page_of_another_site_then_no_published_port_answers_it(stack: Stack, port: str, path: str) -> None:
    own = Sent(path=path).answer(stack.place.ports[port])[0]
    foreign = {what: sent.answer(stack.place.ports[port])[0] for what, sent in foreign_requests(path).items()}

    assert (own, set(foreign.values())) == (200, {403})


def test_stack_given_a_backup_while_it_runs_then_every_database_is_in_it(stack: Stack) -> None:
    ended = stack.place.run("backup")

    folder = stack.place.folder / "backups" / "first"
    assert ended.returncode == 0, ended.stderr[-2_000:]
    assert set(read_manifest(folder).stores) >= {"platform", "BOT1", "BOT2", "BOT3", "dagster"}
    assert {path.parent.name for path in folder.glob("*/database.dump")} == {"platform", "BOT1", "BOT2", "BOT3", "dagster"}


BOTS = ["BOT1", "BOT2", "BOT3"]
WEEKS = ["2025-01-27", "2025-02-03", "2025-02-10"]  # of the seeded market; its own models begin with the last
OWNERS = {"BOT1": ("bot1", "bot1"), "BOT2": ("bot2", "bot2"), "BOT3": ("bot3", "bot33")}


@pytest.fixture(scope="module")
def backfills(stack: Stack) -> dict[str, str]:
    """Return the ids of two backfills that were launched together: the daemon looks for such every half minute."""
    for week in WEEKS:
        stack.add_week(week)
    return {
        "bots": stack.launch_backfill("synced_trades", "trade_replays", partitions=BOTS),
        "weeks": stack.launch_backfill("feeder_models", partitions=[f"F03|{week}" for week in WEEKS]),
    }


def test_stack_given_a_backfill_by_bot_from_the_web_then_every_bots_partitions_are_made(stack: Stack, backfills: dict[str, str]) -> None:
    ended = stack.ended_backfill(backfills["bots"])

    assert (ended["status"], ended["error"]) == ("COMPLETED_SUCCESS", None)
    assert [stack.made_by(asset, backfills["bots"]) for asset in ("synced_trades", "trade_replays")] == [set(BOTS)] * 2


def test_stack_given_a_backfill_of_a_feeder_over_weeks_then_each_week_has_its_model(stack: Stack, backfills: dict[str, str]) -> None:
    ended = stack.ended_backfill(backfills["weeks"])

    assert (ended["status"], ended["error"]) == ("COMPLETED_SUCCESS", None)
    assert stack.made_by("feeder_models", backfills["weeks"]) == {f"F03|{week}" for week in WEEKS}
    with open_platform(stack.place.settings("code"), read_only=True) as platform:
        models = platform.record.models.frame()
    assert set(models.loc[models["feeder_id"] == "F03", "trained_until"]) >= {week_start(week) for week in WEEKS}


def test_stack_given_a_backup_under_load_then_new_servers_hold_one_state_of_it_and_the_doctor_finds_nothing(
    stack: Stack, influx: InfluxProgram, tmp_path: Path
) -> None:
    with load(stack.place.settings("seed")) as trading:
        before = trading.ids()
        taken = stack.place.bot3("backup", "backup", "/backups/loaded")
    assert taken.returncode == 0, taken.stderr[-2_000:]

    with restored(stack, influx, tmp_path) as (place, server):
        for bot in BOTS:
            kept = closed_ids(server, bot)
            # Two trades a transaction: one state never holds one of them.
            assert before[bot] <= kept <= trading.ids()[bot]
            assert len(kept) % 2 == 0
        assert succeeded(place.bot3("seed", "publish", "run", "--all"))
        assert json.loads(place.bot3("seed", "publish", "check", "--json").stdout)["is_equal"] is True
        doctor = json.loads(place.bot3("seed", "doctor", "--json").stdout)
        assert [finding for finding in doctor["findings"] if not finding["is_good"]] == []
        # What the bots did while the record was copied already is synced to it, and every count agrees.
        assert succeeded(place.bot3("seed", "learn", "run"))
        with open_platform(place.settings("seed")) as platform:
            assert synced_trades_verdict(platform).passed
            recorded = platform.record.trades.counts().query("run_mode == 'paper'").set_index("bot")["trades"].to_dict()
        assert recorded == {bot: count_closed(server, bot) for bot in BOTS}
        assert server.execute("bot3_reader", "bot33", "SELECT count(*) > 0 FROM trades") == [(True,)]
        told = "SELECT count(*) > 0 FROM event_logs WHERE asset_key IS NOT NULL"
        assert server.execute("dagster", "dagster", told) == [(True,)]
        assert succeeded(place.execute("execution", [*place.command("execution"), "--once"], timeout_s=120))


@contextmanager
def restored(stack: Stack, influx: InfluxProgram, folder: Path) -> Iterator[tuple[Place, Production]]:
    """Put the backup of the stack back on a new PostgreSQL server, beside buckets that nobody wrote to."""
    names = {"BOT3_INFLUX_BUCKET": "bot3_learning", **{f"BOT3_{bot}_INFLUX_BUCKET": f"{bot}_trades" for bot in BOTS}}
    prefix = influx.new_prefix()
    (folder / "place").mkdir()
    with production(folder / "server") as server:
        buckets = {name: prefix + bucket for name, bucket in names.items()}
        place = a_place(folder / "place", server, influx, ports={name: free_port() for name in ("3000", "4000", "8501")}, **buckets)
        shutil.copytree(stack.place.folder / "backups" / "loaded", place.folder / "backups" / "loaded")
        assert succeeded(place.bot3("backup", "restore", "/backups/loaded"))
        yield place, server


def succeeded(ended: subprocess.CompletedProcess[str]) -> bool:
    assert ended.returncode == 0, (ended.args, ended.stdout[-2_000:], ended.stderr[-2_000:])
    return True


def closed_ids(server: Production, bot: str) -> set[int]:
    """Return the ids of the load's trades; the daemon's own are below."""
    return {int(str(number)) for (number,) in server.execute(*OWNERS[bot], "SELECT id FROM trades WHERE id > 1000000")}


def count_closed(server: Production, bot: str) -> int:
    ((count,),) = server.execute(*OWNERS[bot], "SELECT count(*) FROM trades WHERE is_open=false")
    return int(str(count))


def test_stack_given_it_runs_then_nothing_is_written_beside_its_volumes(stack: Stack) -> None:
    made = {path.name for path in stack.place.folder.iterdir()}

    assert {name for name in made if not name.endswith(".log")} == {"backups", "data", "tmp", "workspace-compose.yaml"}
    assert list((stack.place.folder / "data" / "home" / "bots").glob("*.sqlite")) == []
    assert not (stack.place.folder / "data" / "home" / "platform.sqlite").exists()


def test_viewer_given_a_mutation_then_refuses_it(stack: Stack) -> None:
    port = free_port()
    command = [str(port) if word == str(stack.place.ports["3000"]) else word for word in stack.place.command("viewer")]
    place = Place(
        folder=stack.place.folder, secrets=stack.place.secrets, ports={**stack.place.ports, "3001": port}, extra=stack.place.extra
    )
    with (place.folder / "viewer.log").open("ab") as log:
        process = psutil.Popen(command, env=place.environment("viewer"), cwd=place.folder, stdout=log, stderr=log)
    viewer = Stack(place, stack.server)
    try:
        stack.wait("the viewer answers", lambda: _answers(port))
        answer = viewer.launch("synced_trades", "BOT3", service="3001")
    finally:
        stop(process)

    assert answer["__typename"] == "UnauthorizedError"


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5):
            return True
    except OSError:
        return False


def test_served_given_the_file_then_no_service_is_left_out() -> None:
    assert {*ONCE, *SERVED, *WORKERS, "backup", "postgres", "influxdb"} == set(SERVICES)
