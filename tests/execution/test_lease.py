"""One daemon a home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot3.errors import AlreadyRunningError
from execution.lease import lease


def test_lease_given_a_holder_then_refuses_a_second_and_names_the_first(tmp_path: Path) -> None:
    refused = pytest.raises(AlreadyRunningError, match=rf"is traded by process {os.getpid()} already: stop it first")

    with lease(tmp_path), refused as caught, lease(tmp_path):
        pass

    assert caught.value.exit_code == 6


def test_lease_given_a_holder_that_ended_then_is_free(tmp_path: Path) -> None:
    with lease(tmp_path):
        pass

    with lease(tmp_path):
        assert (tmp_path / "execution.pid").read_text() == str(os.getpid())
