"""Start-up: what passes by itself is waited for, what a person must change is said at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from bot3.errors import SettingsError, StoreBusyError, StoreError, StoreFullError
from bot3.wiring import when_available


def outcomes(*found: Exception | str) -> tuple[Iterator[Exception | str], list[float]]:
    return iter(found), []


def test_when_available_given_stores_that_come_later_then_waits_longer_each_time_and_says_so_once() -> None:
    steps, pauses = outcomes(*[StoreBusyError("bot1 cannot be reached")] * 6, StoreFullError("no space"), "opened")

    def step() -> str:
        found = next(steps)
        if isinstance(found, Exception):
            raise found
        return found

    with capture_logs() as logs:
        opened = when_available(step, sleep=pauses.append)

    assert opened == "opened"
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert [(entry["event"], entry.get("error")) for entry in logs] == [
        ("waiting_for_store", "bot1 cannot be reached"),
        ("waiting_for_store", "no space"),
        ("stores_available", None),
    ]


@pytest.mark.parametrize("error", [StoreError("rejects this user"), SettingsError("unknown name")])
def test_when_available_given_what_a_person_must_change_then_raises_it_at_once(error: Exception) -> None:
    def step() -> str:
        raise error

    with pytest.raises(type(error), match=str(error)):
        when_available(step, sleep=lambda _: pytest.fail("waited"))


def test_when_available_given_a_stop_meanwhile_then_returns_nothing() -> None:
    asked = iter([False, False, True])

    def step() -> str:
        raise StoreBusyError("cannot be reached")

    assert when_available(step, should_stop=lambda: next(asked), sleep=lambda _: None) is None
