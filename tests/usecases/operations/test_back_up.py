"""A backup is whole or not there; a restore overwrites nothing and believes no file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot3.errors import DataError, StoreError
from bot3.usecases.operations.back_up import MANIFEST, back_up, read_manifest, restore

NOW, MARKET = datetime(2026, 11, 24, tzinfo=UTC), datetime(2025, 3, 3, tzinfo=UTC)


class Kept:
    """A store that is one text; it tells `log` what is done to it."""

    def __init__(self, name: str, text: str | None = "", *, log: list[str] | None = None) -> None:
        self.name, self.text, self.log = name, text, [] if log is None else log

    @contextmanager
    def hold(self) -> Iterator[Held]:
        self.log.append(f"{self.name} keeps still")
        yield Held(Kept(self.name, self.text, log=self.log))

    def copy(self, target: Path) -> None:
        self.log.append(f"copy {self.name}")
        if self.text is None:
            raise StoreError(f"{self.name} cannot be read")
        (target / "text").write_text(self.text)

    def is_own(self, source: Path) -> bool:
        return (source / "text").is_file()

    def require_empty(self) -> None:
        if self.text:
            raise StoreError(f"{self.name} holds something")

    def restore(self, source: Path) -> None:
        self.text = (source / "text").read_text()


class Unwritable(Kept):
    """A store that can be read but not restored."""

    def restore(self, source: Path) -> None:
        raise StoreError(f"{source}: the disk is full")


class Held:
    """One state of such a store: what is written to it later is not in a copy."""

    def __init__(self, state: Kept) -> None:
        self._state = state

    def go_on(self) -> None:
        self._state.log.append(f"{self._state.name} goes on")

    def copy(self, target: Path) -> None:
        self._state.copy(target)


def taken(folder: Path, *groups: list[Kept]) -> Path:
    back_up(groups, folder, now=lambda: NOW, market_now=lambda: MARKET)
    return folder


def test_back_up_given_stores_then_restore_puts_each_back(tmp_path: Path) -> None:
    folder = taken(tmp_path / "backup", [Kept("record", "trades")], [Kept("BOT1", "fills"), Kept("account", "orders")])
    empty = [Kept("record"), Kept("BOT1"), Kept("account")]
    seen: list[list[str]] = []

    report = restore([empty[:2], empty[2:]], folder, mark=lambda: None, begin=lambda: seen.append([store.text for store in empty]))

    assert [store.text for store in empty] == ["trades", "fills", "orders"]
    # Called before the last group, which marks the home as whole.
    assert seen == [["trades", "fills", ""]]
    assert (report.taken_at, report.market_at, report.files, report.bytes) == (NOW, MARKET, 3, 17)
    assert report == read_manifest(folder)


def test_back_up_given_a_group_then_its_first_keeps_still_while_the_others_are_copied_and_no_longer(tmp_path: Path) -> None:
    log: list[str] = []

    taken(tmp_path / "backup", [Kept("record", log=log)], [Kept("BOT1", log=log), Kept("account", log=log)])

    assert log == ["copy record", "BOT1 keeps still", "copy account", "BOT1 goes on", "copy BOT1"]


def test_back_up_given_a_store_that_cannot_be_read_then_no_backup_is_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="account cannot be read"):
        taken(tmp_path / "backup", [Kept("BOT1"), Kept("account", None)])

    assert not (tmp_path / "backup").exists()
    taken(tmp_path / "backup", [Kept("BOT1")])  # what was left lies in nobody's way


def test_back_up_given_a_directory_that_exists_then_leaves_it(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")

    with pytest.raises(DataError, match="exists: name a directory that does not"):
        taken(tmp_path, [Kept("BOT1")])

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("damage", ["changed", "missing", "more", "no manifest", "later"])
def test_restore_given_a_damaged_backup_then_touches_nothing(tmp_path: Path, damage: str) -> None:
    folder, empty = taken(tmp_path / "backup", [Kept("BOT1", "fills")]), Kept("BOT1")
    text, manifest = folder / "BOT1" / "text", folder / MANIFEST
    {
        "changed": lambda: text.write_text("fillz"),
        "missing": text.unlink,
        "more": lambda: (folder / "BOT1" / "other").write_text("x"),
        "no manifest": manifest.unlink,
        "later": lambda: manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2')),
    }[damage]()

    with pytest.raises(DataError):
        restore([[empty]], folder, mark=lambda: None, begin=lambda: None)

    assert empty.text == ""


def test_restore_given_one_store_that_is_not_empty_then_touches_none(tmp_path: Path) -> None:
    folder = taken(tmp_path / "backup", [Kept("BOT1", "fills"), Kept("BOT2", "fills")])
    empty, full = Kept("BOT1"), Kept("BOT2", "mine")

    with pytest.raises(StoreError, match="BOT2 holds something"):
        restore([[empty, full]], folder, mark=lambda: None, begin=lambda: None)

    assert (empty.text, full.text) == ("", "mine")


def test_restore_given_settings_that_name_other_stores_then_says_which(tmp_path: Path) -> None:
    folder = taken(tmp_path / "backup", [Kept("BOT1", "fills")])

    with pytest.raises(DataError, match="contains other stores than are to be restored"):
        restore([[Kept("BOT1"), Kept("BOT2")]], folder, mark=lambda: None, begin=lambda: None)


def test_restore_given_a_copy_of_another_kind_of_store_then_refuses_before_it_writes(tmp_path: Path) -> None:
    folder = taken(tmp_path / "backup", [Kept("BOT1", "fills"), Kept("BOT2", "fills")])
    (folder / "BOT2" / "text").rename(folder / "BOT2" / "database.dump")
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace("BOT2/text", "BOT2/database.dump"))
    stores, seen = [Kept("BOT1"), Kept("BOT2")], list[str | None]()

    with pytest.raises(DataError, match=r"another kind of copy of BOT2 than the settings name"):
        restore([stores, []], folder, mark=lambda: seen.append(None), begin=lambda: None)

    assert (seen, [store.text for store in stores]) == ([], ["", ""])


def test_restore_given_a_store_that_cannot_be_written_then_was_marked_before_the_first_one(tmp_path: Path) -> None:
    folder = taken(tmp_path / "backup", [Kept("BOT1", "fills"), Kept("BOT2", "fills")])
    stores, seen = [Kept("BOT1"), Unwritable("BOT2")], list[str | None]()

    with pytest.raises(StoreError, match="the disk is full"):
        restore([stores, []], folder, mark=lambda: seen.append(stores[0].text), begin=lambda: None)

    assert (seen, [store.text for store in stores]) == ([""], ["fills", ""])
