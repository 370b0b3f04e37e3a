"""Starts a module: `python -m bot3.entrypoint MODULE ARGUMENTS`; every service of a container, and each Dagster process everywhere.

Dagster takes the password of its database from the environment alone: DAGSTER_PG_PASSWORD_FILE names the file that holds it. So does Celery
with the address of its broker: DAGSTER_REDIS_PASSWORD_FILE is put into it. Dagster also writes into DAGSTER_HOME, which in containers lies
on a temporary file system: where DAGSTER_INSTANCE_FILE names an instance file (a path from the root, or a file of `bot3_assets/config`), it
is copied there. The platform's own secrets need nothing of this: their settings read files (docs/settings.md).
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from bot3.package_files import DAGSTER_CONFIG

PG, REDIS = "DAGSTER_PG_PASSWORD", "DAGSTER_REDIS_PASSWORD"
BROKER = "DAGSTER_CELERY_BROKER"


def with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Dagster finds its password, and Celery its broker."""
    found = {name: secret for name in (PG, REDIS) if (secret := _secret(environment, name)) is not None}
    password = found.pop(REDIS, None)
    if password is not None:
        address = f"{environment['DAGSTER_REDIS_HOST']}:{environment.get('DAGSTER_REDIS_PORT', '6379')}"
        found[BROKER] = f"redis://:{quote(password, safe='')}@{address}/0"
    return {**environment, **found}


def _secret(environment: Mapping[str, str], name: str) -> str | None:
    path = environment.get(f"{name}_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        sys.exit(f"{name}_FILE names {path}, which cannot be read: {error.strerror}")


def make_dagster_home(environment: Mapping[str, str]) -> None:
    """Put the instance's file where Dagster looks for it."""
    source = environment.get("DAGSTER_INSTANCE_FILE")
    if source is None:
        return
    path = DAGSTER_CONFIG / source  # an absolute path stays as it is
    target = Path(environment["DAGSTER_HOME"]) / "dagster.yaml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}")
        shutil.copyfile(path, fresh)
        # A health check starts beside the service: neither may see half a file.
        fresh.replace(target)
    except OSError as error:
        sys.exit(f"DAGSTER_INSTANCE_FILE {path} cannot be copied to {target}: {error.strerror}")


if __name__ == "__main__":
    os.umask(0o077)
    make_dagster_home(os.environ)
    # Where a shell started this in the background SIGINT is ignored, and Dagster, which takes SIGTERM for it, would never stop.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execve(sys.executable, [sys.executable, "-m", *sys.argv[1:]], with_secrets(os.environ))  # noqa: S606  # nothing but this module runs
