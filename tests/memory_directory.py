"""A directory in memory for the temporary files of a test run: databases that commit there do not wait for a disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")  # noqa: S108  # every directory in it is made by mkdtemp
ROOM_BYTES = 4 * 2**30
"""Free memory that must remain available: a run uses about 1 GiB, most of it for the PostgreSQL clusters of its processes."""
_PREFIX = "bot3-tests-"


def memory_directory(memory: Path = MEMORY, *, room_bytes: int = ROOM_BYTES) -> Path | None:
    """Create a directory of this process, and remove those that killed processes left; return None if there is no suitable memory."""
    if not _is_suitable(memory, room_bytes=room_bytes):
        return None
    for left in memory.glob(f"{_PREFIX}*"):
        if not psutil.pid_exists(int(left.name.removeprefix(_PREFIX).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=memory))
    directory.chmod(0o1777)  # as /tmp: tests start programs of other users, PostgreSQL for one
    return directory


def _is_suitable(memory: Path, *, room_bytes: int) -> bool:
    """Return whether there is enough memory, and programs of tests may run from it (a container's /dev/shm usually denies both)."""
    if not memory.is_dir() or not os.access(memory, os.W_OK) or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return False
    return min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) >= room_bytes
