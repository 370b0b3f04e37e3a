"""Run the `bot3` command: JSON on standard output with `--json`, messages on standard error, an exit code for each outcome.

Exit codes: 0 done; 1 a step failed, or a bug; 2 invalid usage or settings; 3 data missing, invalid or unavailable; 4 unhealthy services, or
a copy that differs from the record; 5 not confirmed; 6 already running.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence

from bot3.cli.commands import COMMANDS, command_app
from bot3.errors import Bot3Error, DataError
from bot3.logs import redacted
from bot3.private_files import create_private_files
from bot3.usecases.foreign_text import visible


def main() -> None:
    """Run the command of the process' arguments and exit with its exit code."""
    create_private_files()
    try:
        # Typer's own exits (usage, --help, Exit, Ctrl-C) carry their code in SystemExit.
        command_app(_names_to_load(sys.argv[1:]))()
    except Bot3Error as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is None:
            raise
        _say(f"{error.filename}: {error.strerror}; fix this, or set BOT3_HOME to a directory that is writable for this user")
        sys.exit(DataError.exit_code)


def _names_to_load(words: Sequence[str]) -> Collection[str]:
    """Return the requested command, which is the first word that is no option; none without one; all if a shell requests completions."""
    if any(name.startswith("_") and name.endswith("_COMPLETE") for name in os.environ):
        return COMMANDS
    return [word for word in words if not word.startswith("-")][:1]


def _say(text: str) -> None:
    print(f"bot3: {visible(redacted(text), keep=chr(10))}", file=sys.stderr)  # noqa: T201  # the only place that prints errors for the user


if __name__ == "__main__":
    main()
