"""`bot3 metrics`: the page once, and as a process that listens on this machine only."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.commands import bot3, environment

pytestmark = pytest.mark.slow  # processes on a seeded home


def test_metrics_given_once_then_prints_the_page(seeded: Path) -> None:
    ended = bot3("metrics", "--once", home=seeded)

    assert ended.code == 0
    assert 'bot3_closed_trades{bot="BOT3",run_mode="backtest"}' in ended.out
    assert 'bot3_learning_expiry_seconds{noun="parameters"}' in ended.out
    assert [line for line in ended.out.splitlines() if line.startswith("bot3_scrape_errors_total") and not line.endswith(" 0.0")] == []


def test_metrics_given_no_home_then_says_what_to_do(nowhere: Path) -> None:
    ended = bot3("metrics", "--once", home=nowhere)

    assert (ended.code, "bot3 init" in ended.said, ended.out) == (3, True, "")


def test_metrics_given_it_serves_then_answers_on_loopback_and_ends_when_asked(seeded: Path) -> None:
    command = [sys.executable, "-m", "bot3.cli.main", "metrics", "--port", "0"]
    with subprocess.Popen(command, env=environment(seeded), cwd=seeded.parent, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert found is not None
        for path in ("metrics", "livez", "readyz"):
            with urllib.request.urlopen(f"{found[0]}/{path}", timeout=30) as answer:  # noqa: S310  # 127.0.0.1
                assert answer.status == 200
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) == 0
