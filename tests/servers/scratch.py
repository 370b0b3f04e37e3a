"""Directories for the files of servers: in memory, where there is enough of it, and otherwise in the temporary directory."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

_MEMORY = Path("/dev/shm")  # noqa: S108  # every directory in it is made by mkdtemp
_ROOM_BYTES = 4 * 2**30
"""Free space that memory must have for a server to be put there; a cluster of the tests has less than 1 GiB."""


def scratch_directory(name: str) -> Path:
    """Create a directory, and remove those of processes that were killed before they removed theirs."""
    folder = _folder()
    for left in folder.glob(f"bot3-{name}-*-*"):
        owner = left.name.split("-")[2]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"bot3-{name}-{os.getpid()}-", dir=folder))


def _folder() -> Path:
    """Return the memory file system, if it has room; files on it count as used memory, so both need it."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        room = min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available)
        if room >= _ROOM_BYTES:
            return _MEMORY
    return Path(tempfile.gettempdir())
