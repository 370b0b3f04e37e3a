"""Every step of the runbook: blocks that install, on a machine of their own; commands, on a seeded home; the rest in tests named here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot3.cli.services import free_port
from tests.cli.commands import bot3
from tests.deploy.machine import Order
from tests.seeded import copy_of_home
from tests.servers.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")

STATUS = "sudo -u bot3 sh -c 'set -a; . /etc/bot3/bot3.env; BOT3_HOME=/var/lib/bot3 exec /opt/bot3/.venv/bin/bot3 status'"
SEEDED: dict[str, tuple[int, str]] = {
    "bot3 status": (0, "paper on the simulated market"),
    "bot3 doctor": (0, "execution"),
    "bot3 doctor --served": (4, "execution"),
    "bot3 doctor --only telegram": (0, "telegram"),
    "bot3 params": (0, "stop"),
    "bot3 params --pair BTC/USDT:USDT": (0, "Ratios of"),
    "bot3 feeders": (0, "F01"),
    "bot3 regime": (0, "open bins"),
    "bot3 trades --bot BOT3": (0, "BOT3"),
    "bot3 skipped": (0, ""),
    "bot3 halt BOT": (0, "queued"),
    "bot3 resume BOT": (5, "--yes"),
    "bot3 learn run": (0, ""),
    "bot3 clock start": (0, ""),
    "bot3 publish check": (2, "BOT3_INFLUX_URL"),
    "touch HOME/HALT": (0, ""),
    "python3 -m json.tool .bot3/meta_learner_recommendations.json": (0, "top_feeders"),
}
"""Commands that are run on a copy of a seeded home, with their exit codes and a word that they print."""
ELSEWHERE = {
    "make run": "tests/cli/test_up.py",
    "bot3 up": "tests/cli/test_up.py",
    "bot3 down": "tests/deploy/test_wheel.py",
    "bot3 init": "tests/test_private_files.py",
    "bot3 backup": "tests/cli/test_backup.py",
    "bot3 restore": "tests/cli/test_backup.py",
    "bot3 publish run": "tests/deploy/test_compose_services.py",
    "bot3 metrics": "tests/deploy/test_compose_services.py",
    "docker compose": "tests/deploy/test_compose_services.py",
    "deploy/make-secrets.sh": "tests/deploy/test_roles.py",
    "deploy/postgres/roles.sql": "tests/deploy/test_roles.py",
    "psql": "tests/deploy/test_roles.py",
    "journalctl": "tests/deploy/test_operators.py",
    "systemctl": "tests/deploy/test_operators.py",
    "python -m benchmarks.kill_lineage": "tests/assets/test_lineage_kills.py",
}
"""Commands that a test elsewhere runs by the closest means there are, by how they begin."""
PROGRAMS = ("bot3 ", "make ", "docker ", "psql ", "journalctl ", "systemctl ", "python", "deploy/", "touch ", "ssh ", "sudo ")
TUNNEL = "ssh -L 3000:127.0.0.1:3000 -L 8501:127.0.0.1:8501 HOST"


def blocks() -> list[str]:
    """Return the shell blocks of the page, in their order."""
    return re.findall(r"^```sh\n(.*?)^```", RUNBOOK, flags=re.MULTILINE | re.DOTALL)


def spans() -> list[str]:
    """Return the commands in code spans, without the blocks."""
    prose = re.sub(r"^```sh\n.*?^```", "", RUNBOOK, flags=re.MULTILINE | re.DOTALL)
    return [span for span in re.findall(r"`([^`\n]+)`", prose) if span.startswith(PROGRAMS)]


def test_runbook_given_its_commands_then_a_test_runs_each() -> None:
    def is_run(command: str) -> bool:
        return command in SEEDED or command == TUNNEL or any(command.startswith(start) for start in ELSEWHERE)

    lines = [line.split("#")[0].strip() for line in blocks()[-1].splitlines()]

    assert [command for command in [*spans(), *lines] if not is_run(command)] == []
    assert [command for command in SEEDED if command not in {*spans(), "bot3 doctor --served"}] == []
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).exists()] == []


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_home(tmp_path_factory.mktemp("runbook"))


@pytest.mark.slow
@pytest.mark.parametrize("command", SEEDED)
def test_command_given_a_seeded_home_then_ends_as_the_page_says(command: str, home: Path) -> None:
    code, word = SEEDED[command]
    typed = command.replace("HOME", str(home)).replace(".bot3/", f"{home}/").replace(" BOT", " BOT3") if " BOT3" not in command else command

    if typed.startswith("bot3 "):
        ended = bot3(*shlex.split(typed)[1:], home=home)
        found = ended.code, ended.said
    else:
        ran = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=False, timeout=60)
        found = ran.returncode, ran.stdout

    assert (found[0], word in found[1]) == (code, True), found


def _require_namespaces() -> None:
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    is_able = (
        os.geteuid() == 0
        and shutil.which("unshare")
        and subprocess.run(probe, check=False, capture_output=True, timeout=30).returncode == 0
    )
    if not is_able:
        pytest.skip("installing is tried in a mount namespace, which takes root")


@pytest.mark.slow
@pytest.mark.postgres
def test_installing_given_the_blocks_of_the_page_then_services_reach_the_servers_with_their_secrets(tmp_path: Path) -> None:
    _require_namespaces()
    install, servers, status = blocks()[:3]
    *before, enable, optional = install.strip().splitlines()
    port = free_port()
    ports = "".join(f"BOT3_{name}_DB_PORT={port}\n" for name in ("BOT1", "BOT2", "BOT3", "PLATFORM"))
    with PostgresServer(superuser="postgres", port=port) as server:
        server.directory.chmod(0o711)  # its socket is another user's
        order = Order(
            source=str(ROOT),
            venv=sys.prefix,
            folder=str(tmp_path),
            blocks=["\n".join(before).replace("REPOSITORY", "-"), servers, enable, optional],
            settings=f"{ports}DAGSTER_PG_PORT={port}\n",
            commands={
                "bot3-home": ["-c", OPEN_STORES],
                "bot3-meta-learner": ["-m", "bot3.entrypoint", "dagster", "instance", "info"],
                "bot3-web": ["-c", status_of(status)],
            },
            environment={"PGHOST": str(server.directory), "PGPORT": str(port)},
        )
        done = install_on_a_machine(order)

    assert done["installed"]["code"] == 0, done["installed"]["err"]
    assert {name: ran["code"] for name, ran in done["ran"].items()} == dict.fromkeys(order.commands, 0), done["ran"]
    assert "PostgresRunStorage" in done["ran"]["bot3-meta-learner"]["out"]
    assert "contains no seeded home" in done["ran"]["bot3-web"]["out"]
    assert {"bot3-strategy.service", "bot3-home.service", "bot3-monitor.service"} <= set(done["enabled"])
    secrets = {path: found for path, found in done["modes"].items() if path.startswith("/etc/bot3/secrets")}
    assert {tuple(found) for path, found in secrets.items() if path != "/etc/bot3/secrets" and ".git" not in path} == {
        ("0o440", "root", "bot3")
    }
    assert secrets["/etc/bot3/secrets"] == ["0o750", "root", "bot3"]
    state = {path: found for path, found in done["modes"].items() if path.startswith("/var/lib/bot3")}
    assert [path for path, (mode, owner, _) in state.items() if owner != "bot3" or int(mode, 8) & 0o077] == []


OPEN_STORES = """
from bot3.settings import load_settings
from bot3.wiring import open_platform
settings = load_settings()
with open_platform(settings) as platform:
    print(platform.record.store_id, [platform.bot_store(name).count_closed(closed_since=None) for name in platform.bot_names])
"""


def status_of(block: str) -> str:
    """Return a program that runs the block's command as the service's user and prints what it says."""
    typed = block.strip()
    assert typed == STATUS
    inner = shlex.split(typed)[3:]
    return f"import subprocess; ended = subprocess.run({inner!r}, capture_output=True, text=True); print(ended.stdout, ended.stderr)"


def install_on_a_machine(order: Order) -> dict[str, Any]:
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.deploy.machine"]
    ended = subprocess.run(command, cwd=ROOT, input=order.text(), capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3_000:]
    found: dict[str, Any] = json.loads(ended.stdout)
    return found
