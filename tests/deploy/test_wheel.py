"""The wheel: it holds what runs and nothing else, and `bot3 up` and `bot3 down` work from it in any directory."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from bot3.cli.services import free_port
from bot3.wiring import open_platform
from tests.seeded import TINY, tiny_settings

pytestmark = pytest.mark.slow  # builds, installs and seeds

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bot3", "bot3_assets", "dashboard", "execution", "telegram_bot")
SERVICES = ("execution", "code", "dashboard", "dagster-web", "dagster-daemon")
READY = "Ctrl-C stops everything."
MODULES = (*PACKAGES, "dagster", "streamlit", "yaml")
STEADY_S = 10.0
LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv*", ".bot3*", "*_cache", ".hypothesis", "__pycache__", "build", "dist", "*.egg-info")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy: setuptools leaves a build directory behind, and packs what an earlier build left there."""
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT, folder / "source", ignore=LEFT_BEHIND)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)]
    subprocess.run(command, check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


def names_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_wheel_given_the_packages_then_holds_each_of_their_files_and_nothing_else(wheel: Path) -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]

    assert names_of(wheel) == {path.relative_to(ROOT).as_posix() for path in files}


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and a directory to work in."""

    command: Path
    directory: Path
    environment: Mapping[str, str]
    dashboard_port: int

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, *arguments],
            env=self.environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel alone; its dependencies are those of the running environment, on a path after its own."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    command = [sys.executable, "-m", "pip", "-q", "--python", str(folder / "venv"), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, timeout=300)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    # The editable installation of the checkout is found through a .pth file: those of a directory that a .pth file names are not read.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    directory, person = folder / "anywhere", folder / "person"
    directory.mkdir()
    person.mkdir()
    ports = free_port(), free_port()
    settings = {f"BOT3_{name.upper()}": str(value) for name, value in TINY.items()}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("BOT3_", "DAGSTER_", "PYTHON"))},
        **settings,
        "HOME": str(person),
        "OMP_NUM_THREADS": "1",
        "BOT3_DAGSTER_PORT": str(ports[0]),
        "BOT3_DASHBOARD_PORT": str(ports[1]),
    }
    return Installed(folder / "venv" / "bin" / "bot3", directory, environment, ports[1])


@dataclass(frozen=True)
class Ran:
    """What `bot3 up` said until it was ready and afterwards, the theme of its dashboard, and how `bot3 down` and it ended."""

    said: str
    later: str
    theme: str
    is_quiet: bool
    down: subprocess.CompletedProcess[str]
    code: int


@pytest.fixture(scope="module")
def ran(installed: Installed) -> Ran:
    """Run `bot3 up` in a directory with modules and settings of the names that it imports and reads, and end it with `bot3 down`."""
    for name in MODULES:
        (installed.directory / f"{name}.py").write_text(f"raise SystemExit('{name} of the working directory was imported')\n")
    for name in ("dagster.yaml", "workspace.yaml"):
        (installed.directory / name).write_text("not: [what is wanted\n")
    (installed.directory / ".streamlit").mkdir()
    (installed.directory / ".streamlit" / "config.toml").write_text('[theme]\nbase = "dark"\nprimaryColor = "#ff0000"\n')
    with running(installed) as (process, said):
        assert READY in said, said
        assert process.stdout is not None
        is_quiet = select.select([process.stdout], [], [], STEADY_S)[0] == []
        theme = asyncio.run(theme_of(f"ws://127.0.0.1:{installed.dashboard_port}/_stcore/stream"))
        down = installed.run("down")
        code = process.wait(60)
        return Ran(said, process.stdout.read(), theme, is_quiet, down, code)


@contextmanager
def running(installed: Installed) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the process of `bot3 up` and what it said until all was ready; kill it if it still runs at the end."""
    process = subprocess.Popen(
        [installed.command, "up"],
        env=installed.environment,
        cwd=installed.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if READY in line:
                break
        yield process, said
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            child.kill()
        process.kill()
        process.communicate()


def test_up_given_a_wheel_and_a_directory_without_a_home_then_every_service_is_healthy_and_stays_so(ran: Ran, installed: Installed) -> None:
    assert [name for name in SERVICES if f"  {name} " not in ran.said] == []
    assert (ran.said.count("healthy after"), ran.is_quiet, "starting it again" in ran.said + ran.later) == (len(SERVICES), True, False)
    written = {*(f"{name}.py" for name in MODULES), "dagster.yaml", "workspace.yaml", ".streamlit"}
    assert {path.name for path in installed.directory.iterdir()} == {".bot3", *written}


def test_up_given_a_directory_with_modules_and_settings_of_the_same_names_then_reads_none_of_them(ran: Ran) -> None:
    assert "of the working directory was imported" not in ran.said + ran.later
    assert ran.theme == "#2f6fb5"


def test_down_given_an_up_then_ends_it_and_the_market_stands_still_where_the_daemon_left_it(ran: Ran, installed: Installed) -> None:
    home = installed.directory / ".bot3"
    with open_platform(tiny_settings(home), read_only=True) as platform:
        anchor, beats = platform.control.anchor(), platform.control.heartbeats()

    assert (ran.down.returncode, ran.code) == (0, 0), ran.down.stdout + ran.later
    assert not (home / "run" / "supervisor.json").exists()
    assert anchor is not None
    assert not anchor.is_running
    assert [beat.state for beat in beats if beat.process == "execution"] == ["stopped"]


async def theme_of(address: str) -> str:
    """Return the primary colour that a dashboard gives the browser."""
    rerun = BackMsg()
    rerun.rerun_script.query_string = ""
    async with aiohttp.ClientSession() as session, session.ws_connect(address, timeout=aiohttp.ClientWSTimeout(ws_receive=60)) as socket:
        await socket.send_bytes(rerun.SerializeToString())
        async for message in socket:
            forwarded = ForwardMsg.FromString(message.data)
            if forwarded.WhichOneof("type") == "new_session":
                return forwarded.new_session.custom_theme.primary_color
    raise AssertionError("the dashboard began no session")
