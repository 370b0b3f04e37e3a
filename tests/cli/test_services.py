from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from bot3.cli.services import Service, services
from bot3.cli.supervisor import Supervisor
from tests.seeded import tiny_settings


def test_services_given_nothing_else_was_asked_for_then_all_learn_on_one_thread(tmp_path: Path) -> None:
    made = services(tiny_settings(tmp_path), dagster_home=tmp_path, code_port=1, execution_is_fresh=lambda: True)

    expected = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    assert {service.environment["OPENBLAS_NUM_THREADS"] for service in made} == {expected}


def test_services_given_a_token_then_telegram_is_one_and_not_needed(tmp_path: Path) -> None:
    def names(**changes: object) -> dict[str, bool]:
        made = services(tiny_settings(tmp_path, **changes), dagster_home=tmp_path, code_port=1, execution_is_fresh=lambda: True)
        return {service.name: service.is_needed for service in made}

    with_token = names(telegram_token="1:canary", telegram_chat_id=77)

    assert {name: with_token[name] for name in with_token.keys() - names().keys()} == {"telegram": False}
    assert set(names().values()) == {True}


def a_service(name: str, code: str, *, is_needed: bool) -> Service:
    return Service(name=name, command=(sys.executable, "-c", code), environment=os.environ, is_healthy=lambda: True, is_needed=is_needed)


@pytest.mark.slow
def test_supervisor_given_a_service_that_is_not_needed_keeps_dying_then_the_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = [a_service("trades", "import time; time.sleep(60)", is_needed=True), a_service("tells", "raise SystemExit(2)", is_needed=False)]
    supervisor = Supervisor(made, run_directory=tmp_path / "run", log_directory=tmp_path / "logs")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        supervisor.start()
        supervisor.wait_healthy(timeout_s=30.0, tell=lambda *_: None)
        supervisor.supervise(for_s=5.0)
        running = json.loads((tmp_path / "run" / "supervisor.json").read_text())["services"]
    finally:
        supervisor.stop()
        for number, handler in before.items():
            signal.signal(number, handler)

    assert set(running) == {"trades"}
    assert "tells ended with 2 again and is left out" in capfd.readouterr().err
