"""Run the `bot3` command as a process of its own and collect its output."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.command_server import ROOT, command_server
from tests.seeded import tiny_environment


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Parse the JSON object on standard output; any other output there is an error."""
        found: dict[str, Any] = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def said(self) -> str:
        """Return the whole output, without the line breaks of a narrow terminal."""
        return " ".join((self.out + " " + self.err).split())


def environment(home: Path, **changes: str) -> dict[str, str]:
    """Return an environment without the machine's own settings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("BOT3_")}
    return {**own, **tiny_environment(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}


def bot3(*arguments: str, home: Path, cwd: Path | None = None, given: str | None = None, **changes: str) -> Ended:
    """Run a command to its end in a directory without `.env`."""
    done = command_server().run(arguments, environment=environment(home, **changes), directory=cwd or home.parent, given=given or "")
    ended = Ended(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in ended.err, ended.err
    return ended
