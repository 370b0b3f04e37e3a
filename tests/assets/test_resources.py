"""The platform as a resource: a store that is unavailable at the first tick is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot3.cli.doctor_services import DELAYED
from bot3.cli.services import free_port
from bot3_assets.resources import PlatformResource, close_platforms


@pytest.fixture
def resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformResource:
    """Return a seeded home whose first bot is on a server that does not run."""
    (tmp_path / "home.json").write_text('{"seeded_until": "2025-03-01T00:00:00+00:00"}')
    monkeypatch.setenv("BOT3_BOT1_DB_HOST", "127.0.0.1")
    monkeypatch.setenv("BOT3_BOT1_DB_PORT", str(free_port()))
    return PlatformResource(home=str(tmp_path))


def test_nothing_to_do_given_a_server_that_does_not_run_then_waits_for_it_in_words_that_the_doctor_knows(
    resource: PlatformResource,
) -> None:
    try:
        reasons = [resource.nothing_to_do(), resource.nothing_to_do()]
    finally:
        close_platforms()

    assert [str(reason).startswith(DELAYED) and "cannot be reached" in str(reason) for reason in reasons] == [True, True]
