"""Commands while `bot3 up` seeds a home, and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot3.cli.supervisor_lock import is_being_seeded, only_supervisor
from bot3.errors import AlreadyRunningError
from bot3.settings import load_settings
from tests.cli.commands import bot3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("down",), "has started no service yet: stop it with Ctrl-C"),
        (("status",), "wait until it prints the addresses"),
        (("doctor",), "wait until it prints the addresses"),
    ],
)
def test_command_given_a_seed_that_runs_then_fails_and_says_so(tmp_path: Path, words: tuple[str, ...], text: str) -> None:
    with only_supervisor(load_settings({}, home=tmp_path)):
        found = bot3(*words, home=tmp_path)

    assert found.code != 0
    assert "is seeding" in found.said
    assert text in found.said


def test_lock_given_a_supervisor_then_a_second_one_is_refused_and_the_lock_is_free_afterwards(tmp_path: Path) -> None:
    settings = load_settings({}, home=tmp_path)

    with only_supervisor(settings), pytest.raises(AlreadyRunningError, match="is already served"):
        only_supervisor(settings)

    assert not is_being_seeded(settings)
    with only_supervisor(settings):
        assert is_being_seeded(settings)
