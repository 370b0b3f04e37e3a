"""Start a module with secrets from files: `python -m bot3.entrypoint MODULE ARGUMENTS`.

It starts every service in a container, and Dagster's processes also without containers.

Dagster reads the password of its database only from the environment: DAGSTER_PG_PASSWORD_FILE names the file that contains it. Celery
reads the address of its broker the same way: the password in DAGSTER_REDIS_PASSWORD_FILE becomes part of it. Dagster also writes to
DAGSTER_HOME, which in containers is on a temporary file system: if DAGSTER_INSTANCE_FILE names an instance file (an absolute path, or a
file of `bot3_assets/config`), it is copied there. The platform's own secrets need none of this: their settings read files
(docs/settings.md).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from bot3.file_replacement import replace_file
from bot3.package_files import DAGSTER_CONFIG

PG, REDIS = "DAGSTER_PG_PASSWORD", "DAGSTER_REDIS_PASSWORD"
BROKER = "DAGSTER_CELERY_BROKER"


def with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment, with Dagster's database password and the address of Celery's broker if it names their password files.

    Exits with a message if a password file cannot be read, or the broker's host is not set.
    """
    found = {name: secret for name in (PG, REDIS) if (secret := _secret(environment, name)) is not None}
    password = found.pop(REDIS, None)
    if password is not None:
        host = _required(environment, "DAGSTER_REDIS_HOST", by=f"{REDIS}_FILE")
        address = f"{host}:{environment.get('DAGSTER_REDIS_PORT', '6379')}"
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


def _required(environment: Mapping[str, str], name: str, *, by: str) -> str:
    value = environment.get(name)
    if not value:
        sys.exit(f"{by} is set, which requires {name}: set both or neither")
    return value


def make_dagster_home(environment: Mapping[str, str]) -> None:
    """Copy the instance file to DAGSTER_HOME if DAGSTER_INSTANCE_FILE names one.

    Exits with a message if DAGSTER_HOME is not set or the file cannot be copied.
    """
    source = environment.get("DAGSTER_INSTANCE_FILE")
    if source is None:
        return
    path = DAGSTER_CONFIG / source  # an absolute path stays as it is
    target = Path(_required(environment, "DAGSTER_HOME", by="DAGSTER_INSTANCE_FILE")) / "dagster.yaml"
    try:
        # A health check starts in parallel with the service: neither may read an incomplete file.
        replace_file(target, path.read_bytes())
    except OSError as error:
        sys.exit(f"DAGSTER_INSTANCE_FILE {path} cannot be copied to {target}: {error.strerror}")


if __name__ == "__main__":
    os.umask(0o077)
    make_dagster_home(os.environ)
    # If a shell started this in the background, SIGINT is ignored, and Dagster, which handles SIGTERM as SIGINT, would never stop.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execve(sys.executable, [sys.executable, "-m", *sys.argv[1:]], with_secrets(os.environ))  # noqa: S606  # only the given module runs
