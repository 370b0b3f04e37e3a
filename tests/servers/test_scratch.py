"""Directories for the files of servers: those of killed processes are removed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.scratch import scratch_directory

ROOT = Path(__file__).resolve().parents[2]
DIES = """
import os, signal
from tests.servers.scratch import scratch_directory
print(scratch_directory("test"), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def left() -> Path:
    """Return the directory of a process that was killed."""
    ended = subprocess.run([sys.executable, "-c", DIES], cwd=ROOT, capture_output=True, text=True, check=False)
    return Path(ended.stdout.strip())


def test_scratch_directory_given_one_of_a_killed_process_then_removes_it_and_leaves_those_in_use(left: Path) -> None:
    assert left.is_dir()

    mine = [scratch_directory("test") for _ in range(2)]

    assert not left.exists()
    assert [directory.is_dir() for directory in mine] == [True, True]
    for directory in mine:
        shutil.rmtree(directory)
