from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import graphql
import pytest
from dagster_graphql.schema import create_schema

from bot3.cli import doctor_services
from bot3.cli.services import RELEASED_INSTANCE_FILES, RUNS_UNDER_WAY, Service, cancel_runs, prepare_dagster_home, services, termination
from bot3.cli.supervisor import Supervisor, is_same_process, process_identity
from bot3.errors import Bot3Error
from tests.seeded import tiny_settings
from tests.servers.status_server import StatusServer

HOSTS = ("-h", "-H", "--server.address")


def test_services_given_nothing_else_was_asked_for_then_all_learn_on_one_thread(tmp_path: Path) -> None:
    made = services(tiny_settings(tmp_path), dagster_home=tmp_path, code_port=1, execution_is_fresh=lambda: True)

    expected = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    assert {service.environment["OPENBLAS_NUM_THREADS"] for service in made} == {expected}


def test_services_given_those_that_listen_then_each_is_bound_to_loopback(tmp_path: Path) -> None:
    made = services(tiny_settings(tmp_path), dagster_home=tmp_path, code_port=1, execution_is_fresh=lambda: True)

    ports = {"-p", "--server.port"}
    listening = {service.name: service.command for service in made if ports & set(service.command)}
    addresses = {name: command[command.index(option) + 1] for name, command in listening.items() for option in command if option in HOSTS}
    assert len(listening) >= 3
    assert addresses == dict.fromkeys(listening, "127.0.0.1")


def test_services_given_a_token_then_telegram_is_one_and_not_needed(tmp_path: Path) -> None:
    def names(**changes: object) -> dict[str, bool]:
        made = services(tiny_settings(tmp_path, **changes), dagster_home=tmp_path, code_port=1, execution_is_fresh=lambda: True)
        return {service.name: service.is_needed for service in made}

    with_token = names(telegram_token="1:canary", telegram_chat_id=77)

    assert {name: with_token[name] for name in with_token.keys() - names().keys()} == {"telegram": False}
    assert set(names().values()) == {True}


def test_cancel_runs_given_runs_under_way_then_cancels_each_and_says_how_many_ended() -> None:
    ended = [{"__typename": "TerminateRunSuccess"}, {"__typename": "TerminateRunFailure"}]
    under_way = {"runsOrError": {"results": [{"runId": "one"}, {"runId": "two"}]}, "terminateRuns": {"terminateRunResults": ended}}
    with StatusServer([200, 200], body=json.dumps({"data": under_way}).encode()) as dagster:
        canceled = cancel_runs(dagster.url)

    asked = [json.loads(body)["query"] for body in dagster.bodies]
    assert (canceled, len(asked)) == (1, 2)
    assert "STARTED" in asked[0]
    assert 'terminateRuns(runIds: ["one", "two"], terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY)' in asked[1]


def test_cancel_runs_given_none_under_way_or_no_answer_then_asks_for_nothing() -> None:
    with StatusServer([200], body=b'{"data": {"runsOrError": {"results": []}}}') as dagster:
        assert (cancel_runs(dagster.url), len(dagster.bodies)) == (0, 1)
    assert cancel_runs("http://127.0.0.1:1") == 0


def test_queries_are_those_of_the_dagster_that_is_installed() -> None:
    schema = create_schema().graphql_schema
    queries = (RUNS_UNDER_WAY, termination(["0123"]), doctor_services.TICKS, doctor_services.RUNS)

    assert [error.message for query in queries for error in graphql.validate(schema, graphql.parse(query))] == []


def a_service(name: str, code: str, *, is_needed: bool) -> Service:
    return Service(name=name, command=(sys.executable, "-c", code), environment=os.environ, is_healthy=lambda: True, is_needed=is_needed)


@contextmanager
def supervised(folder: Path, *made: Service, steady_s: float = 60.0) -> Iterator[Supervisor]:
    """Yield a supervisor of services, started; signals are this process' own again at the end."""
    supervisor = Supervisor(made, run_directory=folder / "run", log_directory=folder / "logs", first_delay_s=0.1, steady_s=steady_s)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        supervisor.start()
        yield supervisor
    finally:
        supervisor.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def test_is_same_process_given_an_end_that_no_parent_waited_for_then_it_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        identity = process_identity(process.pid)
        ran = is_same_process(identity)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        runs_unreaped = is_same_process(identity)
    assert (ran, runs_unreaped, is_same_process(identity)) == (True, False, False)


SLEEPS = "import time; time.sleep(60)"


def count_starts(path: Path) -> str:
    """Return the code of a service that notes its start and ends with 3 four times, then stays."""
    return f"""
import pathlib, time
path = pathlib.Path({str(path)!r})
count = int(path.read_text()) if path.exists() else 0
path.write_text(str(count + 1))
if count < 4:
    raise SystemExit(3)
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_needed", [True, False])
def test_supervisor_given_a_service_that_ends_four_times_then_starts_it_a_fifth_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], is_needed: bool
) -> None:
    failing = a_service("fails", count_starts(tmp_path / "starts"), is_needed=is_needed)
    with supervised(tmp_path, a_service("trades", SLEEPS, is_needed=True), failing) as supervisor:
        late = supervisor.wait_healthy(timeout_s=0.5, tell=lambda *_: None)
        supervisor.supervise(for_s=6.0)
        running = json.loads((tmp_path / "run" / "supervisor.json").read_text())["services"]
        is_alive = is_same_process(running["fails"])

    said = capfd.readouterr().err
    assert (tmp_path / "starts").read_text() == "5"
    assert is_alive
    assert late in ([], ["fails"])
    assert [f"restarting it in {seconds} s" in said for seconds in (0.1, 0.2, 0.4, 0.8)] == [True] * 4


def test_supervisor_given_a_service_that_runs_for_long_before_each_end_then_names_every_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with supervised(tmp_path, a_service("trades", "raise SystemExit(3)", is_needed=True), steady_s=0.0) as supervisor:
        supervisor.supervise(for_s=4.0)

    assert capfd.readouterr().err.count("trades ended with 3: restarting it in 0.1 s") > 1


@pytest.mark.parametrize("code", [2, 6])
def test_wait_healthy_given_a_needed_service_that_a_setting_ends_then_says_what_it_said(tmp_path: Path, code: int) -> None:
    refused = a_service("trades", f"print('BOT3_STOP_LOSS is wrong'); raise SystemExit({code})", is_needed=True)
    never = replace(refused, is_healthy=lambda: False)

    with supervised(tmp_path, never) as supervisor, pytest.raises(Bot3Error, match=rf"trades ended with {code}.*(?s:.)*BOT3_STOP_LOSS"):
        supervisor.wait_healthy(timeout_s=60.0, tell=lambda *_: None)


def test_wait_healthy_given_a_service_that_is_not_healthy_in_time_then_names_it_and_leaves_it_running(tmp_path: Path) -> None:
    waiting = replace(a_service("trades", SLEEPS, is_needed=True), is_healthy=lambda: False)

    with supervised(tmp_path, waiting) as supervisor:
        assert supervisor.wait_healthy(timeout_s=0.5, tell=lambda *_: None) == ["trades"]
        assert is_same_process(json.loads((tmp_path / "run" / "supervisor.json").read_text())["services"]["trades"])


def test_instance_file_given_the_operators_own_then_is_kept_and_one_of_a_release_replaced(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    instance = prepare_dagster_home(settings, code_port=1) / "dagster.yaml"
    released = instance.read_bytes()

    instance.write_bytes(released + b"\n# ours\n")
    prepare_dagster_home(settings, code_port=1)
    edited = instance.read_bytes()
    instance.unlink()
    prepare_dagster_home(settings, code_port=1)

    before = instance.stat().st_ino
    prepare_dagster_home(settings, code_port=1)

    assert edited == released + b"\n# ours\n"
    assert instance.stat().st_ino != before  # a kill in the middle of a copy would leave a part of it, which is nobody's file
    assert instance.read_bytes() == released
    assert hashlib.sha256(released).hexdigest() in RELEASED_INSTANCE_FILES
