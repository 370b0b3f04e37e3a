"""Starts a module in a container: `entrypoint.py MODULE ARGUMENTS`.

Dagster takes the password of its database from the environment alone: DAGSTER_PG_PASSWORD_FILE names the file that holds it. It also writes
into DAGSTER_HOME, which therefore lies on a temporary file system here: DAGSTER_INSTANCE_FILE is copied there. The platform's own secrets
need nothing of this, their settings read files (docs/settings.md).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

SECRET = "DAGSTER_PG_PASSWORD"  # noqa: S105  # a name


def with_secret(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Dagster finds its password."""
    path = environment.get(f"{SECRET}_FILE")
    if path is None:
        return dict(environment)
    try:
        return {**environment, SECRET: Path(path).read_text(encoding="utf-8").strip()}
    except OSError as error:
        sys.exit(f"{SECRET}_FILE names {path}, which cannot be read: {error.strerror}")


def make_dagster_home(environment: Mapping[str, str]) -> None:
    """Put the instance's file where Dagster looks for it."""
    source = environment.get("DAGSTER_INSTANCE_FILE")
    if source is None:
        return
    target = Path(environment["DAGSTER_HOME"]) / "dagster.yaml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}")
        shutil.copyfile(source, fresh)
        # A health check starts beside the service: neither may see half a file.
        fresh.replace(target)
    except OSError as error:
        sys.exit(f"DAGSTER_INSTANCE_FILE {source} cannot be copied to {target}: {error.strerror}")


if __name__ == "__main__":
    make_dagster_home(os.environ)
    os.execve(sys.executable, [sys.executable, "-m", *sys.argv[1:]], with_secret(os.environ))  # noqa: S606  # nothing but this module runs
