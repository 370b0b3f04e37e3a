"""The directory of a test run in memory: removed after a kill, and not used where there is too little of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.memory_directory import memory_directory

ROOT = Path(__file__).resolve().parents[1]
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.memory_directory import memory_directory
print(memory_directory(Path(sys.argv[1]), room_bytes=0), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Return the directory of a process that was killed."""
    ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    return Path(ended.stdout.strip())


def test_memory_directory_given_one_of_a_killed_process_then_removes_it_and_leaves_those_in_use(left: Path, tmp_path: Path) -> None:
    assert left.is_dir()

    mine = [memory_directory(tmp_path, room_bytes=0) for _ in range(2)]

    assert sorted(tmp_path.iterdir()) == sorted(path for path in mine if path is not None)
    assert len(set(mine)) == 2


def test_memory_directory_given_too_little_memory_then_there_is_none(tmp_path: Path) -> None:
    assert memory_directory(tmp_path, room_bytes=2**60) is None
    assert list(tmp_path.iterdir()) == []
