from __future__ import annotations

import os
from pathlib import Path

from bot3.cli.services import services
from tests.seeded import tiny_settings


def test_services_given_nothing_else_was_asked_for_then_all_learn_on_one_thread(tmp_path: Path) -> None:
    made = services(tiny_settings(tmp_path), dagster_home=tmp_path, code_port=1, execution_is_fresh=lambda: True)

    expected = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    assert {service.environment["OPENBLAS_NUM_THREADS"] for service in made} == {expected}
