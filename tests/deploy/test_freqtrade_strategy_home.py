"""The mixin while it runs: the freqtrade versions that it starts in, and the directories that each loop reads."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot3.usecases.publishing.files import PARAMETERS_FILE, write_published_files
from tests.deploy.test_freqtrade_strategy_callbacks import NOW, a_strategy, enter, write
from tests.deploy.test_freqtrade_strategy_rules import mixin
from tests.journals import OPENED
from tests.learned import a_recommendation, a_row, a_score, a_set

ROOT = Path(__file__).resolve().parents[2]
_listed: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _listed is not None and event in {"os.scandir", "os.listdir"}:
        _listed.append(os.fspath(arguments[0]))


sys.addaudithook(_note)  # it stays for as long as the process lives, and notes nothing outside `listings`


@contextmanager
def listings() -> Iterator[list[str]]:
    """Yield the directories whose content is listed meanwhile."""
    global _listed  # noqa: PLW0603  # an audit hook has no other way to be switched
    _listed = found = []
    try:
        yield found
    finally:
        _listed = None


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a platform's home: published files beside directories with much else in them."""
    write(tmp_path)
    for folder in ("signals/F01", "models", "dagster/storage"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def in_life(directory: Path) -> Any:
    strategy = a_strategy(directory)
    strategy.config["runmode"] = "dry_run"
    return strategy


def test_loop_given_nothing_was_published_then_lists_no_directory(home: Path) -> None:
    strategy = in_life(home)

    with listings() as listed:
        for _ in range(3):
            strategy.bot_loop_start(NOW)
            assert enter(strategy)

    assert listed == []


def test_loop_given_a_publication_then_reads_it_and_lists_the_home_alone(home: Path) -> None:
    strategy = in_life(home)
    write(home, "v2")

    with listings() as listed:
        strategy.bot_loop_start(NOW)

    assert strategy.bot3_source.parameters(as_of=NOW).version == "v2"
    assert set(listed) <= {str(home)}


def test_loop_given_the_first_publication_comes_after_the_start_then_reads_it(tmp_path: Path) -> None:
    strategy = in_life(tmp_path)
    assert not enter(strategy)

    write(tmp_path)
    strategy.bot_loop_start(NOW)

    assert enter(strategy)


def test_source_given_a_version_in_a_new_directory_then_finds_it_in_the_next_search(tmp_path: Path) -> None:
    seconds = [0.0]
    source = mixin.PublishedFiles(tmp_path, clock=lambda: seconds[0])
    source.refresh()
    parameters = a_set("later", a_row(known_at=OPENED), known_at=OPENED)
    write_published_files(tmp_path / "a" / "b", parameters=parameters, scores=[a_score()], recommendation=a_recommendation())

    source.refresh()
    seconds[0] = mixin.PublishedFiles.SEARCH_EVERY_S
    before = source._parameters.as_of(NOW)
    source.refresh()

    assert before is None
    assert source.parameters(as_of=NOW).version == "later"


def test_source_given_a_file_that_was_replaced_within_the_same_instant_then_reads_it(home: Path) -> None:
    source = mixin.PublishedFiles(home)
    source.refresh()
    stamp = (home / PARAMETERS_FILE).stat().st_mtime_ns

    write(home, "v2")
    os.utime(home / PARAMETERS_FILE, ns=(stamp, stamp))
    source.refresh()

    assert source.parameters(as_of=NOW).version == "v2"


def test_source_given_a_path_that_cannot_be_read_any_more_then_reads_the_others_and_drops_it_in_the_next_search(home: Path) -> None:
    seconds = [0.0]
    source = mixin.PublishedFiles(home, clock=lambda: seconds[0])
    other = home / "copy"
    other.mkdir()
    write(other, "v0")
    source.refresh()
    for path in other.iterdir():
        path.unlink()
    other.rmdir()
    other.write_text("a file where the directory was")

    write(home, "v2")
    source.refresh()
    seconds[0] = mixin.PublishedFiles.SEARCH_EVERY_S
    source.refresh()

    assert source._read[home / PARAMETERS_FILE][1].version == "v2"
    assert {path.parent for path in source._kinds} == {home}


def test_source_given_a_search_that_fails_then_searches_again_in_the_next_loop(home: Path) -> None:
    class Vanishing(type(home)):  # type: ignore[misc]  # the class of this machine's paths
        searches = 0

        def rglob(self, pattern: str) -> Any:
            Vanishing.searches += 1
            if Vanishing.searches == 1:
                raise FileNotFoundError(pattern)
            return super().rglob(pattern)

    source = mixin.PublishedFiles(Vanishing(home))

    with pytest.raises(FileNotFoundError):
        source.refresh()
    source.refresh()

    assert source.parameters(as_of=NOW).version == "v1"


# Which freqtrade.


def warnings_of(caplog: pytest.LogCaptureFixture, version: str | None) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        mixin.require_freqtrade(version)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("version", [None, "2026.9", "2026.9.1", "2026.9-dev", "docker-2026.9-0123abcd"])
def test_start_given_a_freqtrade_that_it_was_tested_with_then_logs_nothing(version: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_of(caplog, version) == []


@pytest.mark.parametrize("version", ["2026.10", "2027.1-dev", "2024.3", "2025.12", "develop"])
def test_start_given_another_freqtrade_then_warns_once_and_goes_on(version: str, caplog: pytest.LogCaptureFixture) -> None:
    (said,) = warnings_of(caplog, version)

    assert (version in said, "2026.9" in said) == (True, True)


@pytest.mark.parametrize("version", ["2024.2", "2023.12", "2022.4"])
def test_start_given_a_freqtrade_that_lacks_what_it_needs_then_says_which_it_needs(version: str) -> None:
    with pytest.raises(ValueError, match=rf"freqtrade {version} is too old.*2024\.3 or newer"):
        mixin.require_freqtrade(version)


def test_bot_start_given_a_freqtrade_that_is_too_old_then_ends(home: Path) -> None:
    strategy = mixin.BOT3MetaStrategyAdaptive()
    strategy.bot3_freqtrade = "2024.2"
    strategy.config = {
        "trading_mode": "futures",
        "margin_mode": "isolated",
        "runmode": "dry_run",
        "bot3": {"learning_directory": str(home)},
    }

    with pytest.raises(ValueError, match="too old"):
        strategy.bot_start()


def test_versions_given_the_pinned_environment_then_it_is_declared() -> None:
    pinned = re.search(r"^freqtrade==(\d+)\.(\d+)", (ROOT / "deploy" / "freqtrade" / "requirements.in").read_text(), flags=re.MULTILINE)

    assert pinned is not None
    assert (int(pinned[1]), int(pinned[2])) in mixin.TESTED_WITH
    assert f"freqtrade {pinned[1]}.{pinned[2]}" in (ROOT / "docs" / "freqtrade.md").read_text()
