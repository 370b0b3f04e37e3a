"""`python -m telegram_bot` as a process, with the real client, against a Bot API on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot3.usecases.fleet.bot_state import LISTENING, TELEGRAM
from bot3.wiring import open_platform
from tests.dashboard.homes import make_home, settings_of
from tests.servers.bot_api import TOKEN, BotApi

pytestmark = pytest.mark.slow  # processes

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_home(tmp_path / "home", beats=False)
    return tmp_path / "home"


def environment(home: Path, api: BotApi, *, token: str = TOKEN) -> dict[str, str]:
    (home / "token").write_text(token)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BOT3_")}
    own = {
        "BOT3_HOME": str(home),
        "BOT3_TELEGRAM_TOKEN_FILE": str(home / "token"),
        "BOT3_TELEGRAM_CHAT_ID": "77",
        "BOT3_TELEGRAM_USERS": "7",
        "BOT3_TELEGRAM_API_URL": api.url,
    }
    return {**plain, **own, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def started(home: Path, api: BotApi, *, token: str = TOKEN) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "telegram_bot"]
    process = subprocess.Popen(command, env=environment(home, api, token=token), cwd=home, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=PATIENCE_S)
    assert TOKEN not in said
    assert "canary" not in said
    return process.returncode, said


def test_process_given_a_listed_user_then_answers_tells_alerts_beats_and_stops_as_asked(home: Path, api: BotApi) -> None:
    with started(home, api) as process:
        # The first leaves out what was written before.
        api.wait_for_requests("getUpdates", 2, patience_s=PATIENCE_S)
        api.say("/stats hunter2", user=99, chat=99)
        api.say("/balance")
        first = api.wait_for(1, patience_s=PATIENCE_S)
        # The home has no daemon: that is an alert.
        both = api.wait_for(2, patience_s=PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        code, said = ended(process)

    assert "Balance: wallets and positions" in first[0]
    assert "The execution daemon never sent a heartbeat" in both[1]
    assert (code, "hunter2" in said, "stranger_ignored" in said) == (0, False, True)
    with open_platform(settings_of(home), read_only=True) as platform:
        (beat,) = [beat for beat in platform.control.heartbeats() if beat.process == TELEGRAM]
    assert (beat.state, beat.detail["answered"]) == (LISTENING, 1)


def test_process_given_another_listens_with_its_token_then_ends_and_says_what_to_do(home: Path, api: BotApi) -> None:
    api.faults["getUpdates"] = [None, 409]

    with started(home, api) as process:
        code, said = ended(process)

    assert code == 6
    assert "only one process may poll with a token: stop the other one" in said


def test_process_given_a_token_that_nobody_knows_then_ends_and_says_what_to_do(home: Path, api: BotApi) -> None:
    with started(home, api, token="9:canary-of-another") as process:
        code, said = ended(process)

    assert (code, "set BOT3_TELEGRAM_TOKEN to the token from @BotFather" in said) == (2, True)


def test_process_given_no_token_then_ends_and_says_what_to_do(home: Path, api: BotApi) -> None:
    with started(home, api, token="") as process:
        code, said = ended(process)

    assert (code, "BOT3_TELEGRAM_TOKEN is not set" in said) == (2, True)
