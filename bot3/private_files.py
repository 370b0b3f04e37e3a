"""Restrict access to the files of a home to this user, because they contain trades and balances."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bot3.errors import SettingsError

_OTHERS = 0o077


def create_private_files() -> None:
    """Make this process and its children create files as 0600 and directories as 0700, whatever the umask was."""
    os.umask(_OTHERS)


def close_to_others(directory: Path) -> int:
    """Remove the rights of group and others from a directory and everything in it; return the number of paths changed.

    Symbolic links are not followed. A path that belongs to another user is not changed.

    Raises
    ------
    SettingsError
        If the directory is the root, or above this user's home directory, such as /home: it contains other programs' files.
    """
    if _is_above_home(directory.resolve()):
        raise SettingsError(f"BOT3_HOME {directory} contains more than this platform's files: set a directory of its own, such as .bot3")
    closed = 0
    for folder, folders, files in os.walk(directory, followlinks=False):
        for path in (Path(folder), *(Path(folder, name) for name in (*folders, *files))):
            closed += _close(path)
    return closed


def _is_above_home(directory: Path) -> bool:
    # The user's own directory is allowed: that of a service user is the platform's home (`deploy/systemd`).
    try:
        above = {Path(directory.anchor), *Path.home().resolve().parents}
    except RuntimeError:
        above = {Path(directory.anchor)}  # a user id without an account, as in a container, has no home directory
    return directory in above


def _close(path: Path) -> bool:
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or not found.st_mode & _OTHERS or found.st_uid != os.getuid():
            return False
        path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except FileNotFoundError:
        # Another process removed it in the meantime.
        return False
    return True
