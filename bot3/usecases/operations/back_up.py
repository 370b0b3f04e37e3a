"""Back up every store of a running home into a directory with a manifest of digests, and restore such a backup."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bot3.errors import DataError, file_error_kind
from bot3.ports.backup import StoreBackup

MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """Contents of a backup.

    Parameters
    ----------
    taken_at, market_at : datetime
        Wall time and market time when the last store was copied: nothing in the backup is newer.
    stores : tuple of str
        Names, in the order in which they were copied.
    files, bytes : int
        Number and size of all files except the manifest.
    """

    taken_at: datetime
    market_at: datetime
    stores: tuple[str, ...]
    files: int
    bytes: int


def back_up(
    groups: Sequence[Sequence[StoreBackup]], folder: Path, *, now: Callable[[], datetime], market_now: Callable[[], datetime]
) -> BackupReport:
    """Copy every store into a new directory, which exists only once the backup is complete.

    A failure leaves a directory `.NAME.partial`, which the next attempt replaces.

    Parameters
    ----------
    groups : sequence of sequences
        Stores of one group are copied as of one instant: writers to the first store wait until the others are copied.
    now, market_now : callable
        Return the wall time and the market time.

    Raises
    ------
    DataError
        If the directory exists.
    StoreError
        If a store cannot be copied, or the copy cannot be written.
    """
    if folder.exists():
        raise DataError(f"{folder} exists: name a directory that does not exist")
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        for group in groups:
            _copy_group(group, partial)
        report = _write_manifest(partial, [store.name for group in groups for store in group], taken_at=now(), market_at=market_now())
        partial.replace(folder)
    except OSError as error:
        kind = file_error_kind(error)
        raise kind(f"{partial} cannot be written ({error.strerror}): free space, or name another directory") from error
    return report


def read_manifest(folder: Path) -> BackupReport:
    """Return the contents of a backup, after every file was compared with its digest in the manifest.

    Raises
    ------
    DataError
        If the directory has no valid manifest, its format is unknown, or a file is missing, changed or not in the manifest.
    """
    manifest = _manifest(folder)
    wanted: Mapping[str, Any] = manifest["files"]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    wrong = sorted(found ^ set(wanted)) or [name for name in sorted(wanted) if _digest(folder / name) != wanted[name]["sha256"]]
    if wrong:
        raise DataError(
            f"{folder} is damaged: {', '.join(wrong[:5])} ({len(wrong)} in all) missing, changed or unexpected; use another backup"
        )
    return BackupReport(
        taken_at=datetime.fromisoformat(manifest["taken_at"]),
        market_at=datetime.fromisoformat(manifest["market_at"]),
        stores=tuple(manifest["stores"]),
        files=len(wanted),
        bytes=sum(entry["bytes"] for entry in wanted.values()),
    )


def restore(groups: Sequence[Sequence[StoreBackup]], folder: Path, *, mark: Callable[[], None], begin: Callable[[], None]) -> BackupReport:
    """Restore every store of a backup, after the backup was verified and every store was found empty.

    Parameters
    ----------
    groups : sequence of sequences
        The stores as in `back_up`; those of the last group are restored last.
    mark : callable
        Called before the first store is written, to mark the home as incompletely restored: a failure or a kill leaves some stores empty.
    begin : callable
        Called once all groups but the last are restored. The last one makes the home complete, so no process uses the stores before that.

    Raises
    ------
    DataError
        As `read_manifest`, or if the names or kinds of the stores in the backup and in `groups` differ; nothing was changed.
    StoreError
        If a store is not empty (nothing was changed), or cannot be written (stores before it are restored).
    """
    report = read_manifest(folder)
    stores = [store for group in groups for store in group]
    if {store.name for store in stores} != set(report.stores):
        other = ", ".join(sorted({store.name for store in stores} ^ set(report.stores)))
        raise DataError(f"{folder} contains other stores than are to be restored ({other}): use the release and settings it was made with")
    foreign = [store.name for store in stores if not store.is_own(folder / store.name)]
    if foreign:
        raise DataError(
            f"{folder} has another kind of copy of {', '.join(foreign)} than the settings name (a SQLite file, or a dump of PostgreSQL): "
            "use the settings it was made with"
        )
    for store in stores:
        store.require_empty()
    mark()
    *before, last = groups
    for store in (store for group in before for store in group):
        store.restore(folder / store.name)
    begin()
    for store in last:
        store.restore(folder / store.name)
    return report


def _copy_group(group: Sequence[StoreBackup], partial: Path) -> None:
    for store in group:
        (partial / store.name).mkdir()
    first, *others = group
    if not others:
        first.copy(partial / first.name)
        return
    with first.hold() as held:
        for store in others:
            store.copy(partial / store.name)
        held.go_on()
        held.copy(partial / first.name)


def _write_manifest(partial: Path, stores: Sequence[str], *, taken_at: datetime, market_at: datetime) -> BackupReport:
    paths = sorted(path for path in partial.rglob("*") if path.is_file())
    files = {path.relative_to(partial).as_posix(): {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in paths}
    size = sum(int(path.stat().st_size) for path in paths)
    report = BackupReport(taken_at=taken_at, market_at=market_at, stores=tuple(stores), files=len(files), bytes=size)
    facts = {**asdict(report), "taken_at": taken_at.isoformat(), "market_at": market_at.isoformat(), "format": FORMAT, "files": files}
    with (partial / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return report


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        known = manifest["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is not a backup: its {MANIFEST} cannot be read ({type(error).__name__})") from error
    if not known:
        raise DataError(f"{folder} has the format {manifest['format']}, this release supports {FORMAT}: use the release that made it")
    return manifest


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
