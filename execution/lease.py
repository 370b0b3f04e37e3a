"""Allow one daemon per home by a file lock that a second daemon cannot acquire."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bot3.errors import AlreadyRunningError


@contextmanager
def lease(home: Path) -> Iterator[None]:
    """Lock a home until the block ends; if the process is killed, the operating system releases the lock.

    Raises
    ------
    AlreadyRunningError
        If another daemon has locked the home; the message contains its process id.
    """
    holder = home / "execution.pid"
    lock = FileLock(home / "execution.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise AlreadyRunningError(
            f"{home} is already traded by process {_pid(holder)}: stop that process first, only one daemon may trade an account"
        ) from error
    try:
        # In its own file: another process that tries to acquire the lock may truncate the lock file.
        holder.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _pid(holder: Path) -> str:
    try:
        return holder.read_text(encoding="ascii").strip() or "unknown"
    except OSError:
        return "unknown"
