"""Replace a file as a whole: readers find the old content or the new one, never a part, also after a power failure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file beside a path, which replaces it after the block; if the block raises, the path is unchanged.

    The directory is created if it is missing. The new file is readable for this user only, unless the block changes its mode.

    Raises
    ------
    OSError
        If the directory or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    fresh = Path(name)
    try:
        yield fresh
        _sync(fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    # The replacement is a change of the directory, which must be written to disk too.
    _sync(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Replace the content of a file. Raises OSError if it cannot be written."""
    with replacing(path) as fresh:
        fresh.write_bytes(content)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
