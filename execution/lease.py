"""One daemon a home: the lease that a second one does not get."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bot3.errors import AlreadyRunningError


@contextmanager
def lease(home: Path) -> Iterator[None]:
    """Hold a home's lease; the operating system frees it when the process ends, however it ends.

    Raises
    ------
    AlreadyRunningError
        If another daemon holds it; the text names its process.
    """
    holder = home / "execution.pid"
    lock = FileLock(home / "execution.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise AlreadyRunningError(
            f"{home} is traded by process {_pid(holder)} already: stop it first, one account has one trader"
        ) from error
    try:
        # Beside the lock, not in it: who asks for a lock may truncate its file.
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
