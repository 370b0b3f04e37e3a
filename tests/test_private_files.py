"""Files of a home are accessible only to this user."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bot3.errors import SettingsError
from bot3.private_files import close_to_others
from tests.cli.commands import bot3
from tests.deploy.test_systemd import UNITS
from tests.seeded import copy_of_home

ROOT = Path(__file__).resolve().parents[1]


def is_open_to_others(path: Path) -> bool:
    return bool(path.lstat().st_mode & 0o077) and not path.is_symlink()


def modes(directory: Path) -> dict[str, str]:
    """Return the modes of files that other users can access, by path."""
    found = [directory, *directory.rglob("*")]
    return {str(path): oct(stat.S_IMODE(path.lstat().st_mode)) for path in found if not path.is_symlink() and is_open_to_others(path)}


def test_close_to_others_given_open_files_then_closes_them_and_keeps_the_owners_rights(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "program").write_text("x")
    (tmp_path / "a" / "program").chmod(0o755)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text("x")
    outside.chmod(0o644)
    (tmp_path / "link").symlink_to(outside)

    closed = close_to_others(tmp_path)

    assert closed >= 1
    assert modes(tmp_path) == {}
    assert stat.S_IMODE((tmp_path / "a" / "program").stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
    assert close_to_others(tmp_path) == 0


def test_close_to_others_given_no_directory_then_does_nothing(tmp_path: Path) -> None:
    assert close_to_others(tmp_path / "missing") == 0


@pytest.mark.parametrize("directory", [Path.home().parent, Path("/")])
def test_close_to_others_given_more_than_a_home_of_ours_then_refuses_and_changes_nothing(directory: Path) -> None:
    before = directory.stat().st_mode

    with pytest.raises(SettingsError, match="set a directory of its own"):
        close_to_others(directory)

    assert directory.stat().st_mode == before


def test_close_to_others_given_the_home_of_a_service_user_then_closes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "control.sqlite").write_text("x")
    monkeypatch.setenv("HOME", str(tmp_path))

    close_to_others(tmp_path)

    assert modes(tmp_path) == {}


def test_command_given_an_open_umask_then_what_it_makes_is_private_and_an_older_home_is_closed(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)
    for path in home.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    home.chmod(0o755)

    before = os.umask(0o022)
    try:
        ended = bot3("init", home=home)
        told = bot3("clock", "start", home=home)
    finally:
        os.umask(before)

    assert (ended.code, told.code) == (0, 0)
    assert modes(home) == {}


def test_entry_points_given_any_umask_then_make_private_files(tmp_path: Path) -> None:
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path / "dagster"), "DAGSTER_INSTANCE_FILE": "dagster.yaml"}
    command = [sys.executable, "-m", "bot3.entrypoint", "zipfile", "-c", str(tmp_path / "made.zip"), "README.md"]

    subprocess.run(["bash", "-c", 'umask 0022; exec "$@"', "bash", *command], cwd=ROOT, env=environment, check=True, timeout=60)

    assert modes(tmp_path / "dagster") == {}
    assert not is_open_to_others(tmp_path / "made.zip")


def test_units_given_they_write_then_make_private_files() -> None:
    texts = {unit.name: unit.read_text() for unit in UNITS.glob("*.service")}

    assert [name for name, text in texts.items() if "UMask=0077\n" not in text or "StateDirectoryMode=0700\n" not in text] == []
