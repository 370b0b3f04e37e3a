"""The code location as Dagster's own command validates it; not slow, so that `make check` runs it too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from bot3.package_files import DAGSTER_CONFIG

WORKSPACE = DAGSTER_CONFIG / "workspace.yaml"


def validated(workspace: Path, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("BOT3_", "DAGSTER_"))}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(workspace)]
    return subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, timeout=120, check=False)


def test_location_given_the_workspace_then_dagster_validates_it_in_any_directory(tmp_path: Path) -> None:
    ended = validated(WORKSPACE, cwd=tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Validation successful for code location bot3" in ended.stdout + ended.stderr


def test_location_given_an_asset_that_rests_on_itself_then_dagster_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import dagster as dg\n"
        "from bot3_assets.definitions import defs as whole\n"
        "circle = [dg.AssetSpec('hen', deps=['egg']), dg.AssetSpec('egg', deps=['hen'])]\n"
        "defs = dg.Definitions.merge(whole, dg.Definitions(assets=circle))\n"
    )
    (entry,) = yaml.safe_load(WORKSPACE.read_text())["load_from"]
    entry["python_module"] |= {"module_name": "broken", "working_directory": str(tmp_path)}
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(yaml.safe_dump({"load_from": [entry]}))

    ended = validated(workspace, cwd=tmp_path)

    assert ended.returncode == 1
    assert "Validation failed for code location bot3" in ended.stdout + ended.stderr
