"""The lock of a home that `bot3 up` holds from before it seeds the home until its services have stopped."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from bot3.errors import AlreadyRunningError
from bot3.settings import Settings
from bot3.wiring import is_seeded


def only_supervisor(settings: Settings) -> FileLock:
    """Take the lock of a home; it is released at the end of a `with` block. Raises AlreadyRunningError if another process has it."""
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = _taken(settings)
    if lock is None:
        raise AlreadyRunningError(f"{settings.home} is already served: `bot3 status` shows its services, `bot3 down` stops them")
    return lock


def is_being_seeded(settings: Settings) -> bool:
    """Return whether a `bot3 up` is seeding a home at this time."""
    if is_seeded(settings) or not _path(settings).exists():
        return False
    lock = _taken(settings)
    if lock is None:
        return True
    lock.release()
    return False


def _taken(settings: Settings) -> FileLock | None:
    """Take the lock; return None if another process has it."""
    lock = FileLock(_path(settings))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _path(settings: Settings) -> Path:
    return settings.home / "supervisor.lock"
