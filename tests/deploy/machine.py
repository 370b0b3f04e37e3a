"""A machine to install on: a mount namespace whose /etc, /opt and /var/lib are separate from this machine's.

`unshare --mount python -m tests.deploy.machine` reads one JSON object (`Order`) from standard input and prints one. It runs as root.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

WRITTEN = ("/etc", "/opt", "/var/lib")
SHIMS = {
    # The working tree, not the last commit.
    "git": 'test "$1" = clone; mkdir -p "$3"; cd "$SOURCE"; /usr/bin/git ls-files -coz --exclude-standard | xargs -0 cp --parents -t "$3"',
    # The environment that runs the tests, because installing one takes minutes.
    "make": 'test "$*" = .venv/.ready; mkdir .venv; mount --bind "$VENV" .venv',
    # No systemd runs there: units are enabled but not started.
    "systemctl": (
        'test "$1" = daemon-reload && exit 0\ntest "$1 $2" = "enable --now"; shift 2; exec /usr/bin/systemctl --root=/ enable "$@"'
    ),
    "sudo": 'test "$1" = -u; user=$2; shift 2; exec setpriv --reuid "$user" --regid "$user" --clear-groups "$@"',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Instructions for the machine.

    Parameters
    ----------
    blocks : list of str
        Shell blocks of the runbook, in order.
    settings : str
        Lines appended to /etc/bot3/bot3.env after the blocks.
    commands : dict of str
        Commands to run afterwards like a unit's own: unit name, and replacements of the words after `python` of its first start command.
    environment : dict of str
        Environment variables of the blocks.
    """

    source: str
    venv: str
    folder: str
    blocks: list[str]
    settings: str
    commands: dict[str, list[str]]
    environment: dict[str, str]

    def text(self) -> str:
        """Return the instructions as one JSON object."""
        return json.dumps(asdict(self))


def main() -> None:
    """Run the instructions; print the result of each block and command, and the modes of the created files."""
    order = Order(**json.load(sys.stdin))
    folder = Path(order.folder)
    _mount(folder / "overlays")
    _open_to_users([Path(sys.base_prefix), Path(order.venv), Path(order.source)], hold=folder / "overlays")
    shims = folder / "shims"
    shims.mkdir()
    for name, body in SHIMS.items():
        (shims / name).write_text(f"#!/bin/bash\nset -e\n{body}\n")
        (shims / name).chmod(0o755)
    given = {**os.environ, **order.environment, "SOURCE": order.source, "VENV": order.venv, "PATH": f"{shims}:{os.environ['PATH']}"}
    script = "\n".join(["set -e", "umask 022", *order.blocks])
    installed = subprocess.run(["bash", "-c", script], env=given, capture_output=True, text=True, check=False, timeout=120)
    with Path("/etc/bot3/bot3.env").open("a", encoding="utf-8") as env:
        env.write(order.settings)
    ran = {unit: _run_as(unit, words) for unit, words in order.commands.items()} if installed.returncode == 0 else {}
    modes = {
        str(path): [oct(path.stat().st_mode & 0o777), path.owner(), path.group()]
        for top in ("/etc/bot3", "/var/lib/bot3")
        for path in [Path(top), *Path(top).rglob("*")]
        if path.exists()
    }
    enabled = sorted(link.name for link in Path("/etc/systemd/system").glob("*.wants/bot3*"))
    print(json.dumps({"installed": _ended(installed), "ran": ran, "modes": modes, "enabled": enabled}))  # noqa: T201


def _mount(folder: Path) -> None:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    for top in WRITTEN:
        upper, work = folder / f"upper{top.replace('/', '-')}", folder / f"work{top.replace('/', '-')}"
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={top},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, top], check=True)


def _open_to_users(places: list[Path], *, hold: Path) -> None:
    """Make directories accessible to every user though a parent is closed: mount each again below an empty directory."""
    closed = {above for place in places for above in place.resolve().parents if not above.stat().st_mode & 0o001}
    highest = [above for above in closed if not closed & set(above.parents)]
    below = [place.resolve() for place in places if set(place.resolve().parents) & set(highest)]
    for number, place in enumerate(below):
        (hold / f"held-{number}").mkdir()
        subprocess.run(["mount", "--bind", place, hold / f"held-{number}"], check=True)
    for above in highest:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", above], check=True)
    for number, place in enumerate(below):
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", hold / f"held-{number}", place], check=True)


def _run_as(unit: str, words: list[str]) -> dict[str, object]:
    """Run a command with the user, the environment, the umask and the directory of a unit."""
    text = Path(f"/etc/systemd/system/{unit}.service").read_text(encoding="utf-8")

    def value(key: str) -> str:
        (found,) = re.findall(rf"^{key}=(.*)$", text, flags=re.MULTILINE)
        return str(found)

    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": value("WorkingDirectory")}
    lines = [word for line in re.findall(r"^Environment=(.*)$", text, flags=re.MULTILINE) for word in shlex.split(line)]
    env_file = Path(value("EnvironmentFile").removeprefix("-"))
    lines += [line for line in env_file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    environment |= dict(line.split("=", 1) for line in lines)
    state = Path("/var/lib") / value("StateDirectory")
    state.mkdir(mode=int(value("StateDirectoryMode"), 8), exist_ok=True)
    user = value("User")
    subprocess.run(["chown", f"{user}:{value('Group')}", state], check=True)
    python = value("ExecStart").split()[0] if text.count("\nExecStart=") == 1 else "/opt/bot3/.venv/bin/python"
    command = [
        "setpriv",
        "--reuid",
        user,
        "--regid",
        value("Group"),
        "--clear-groups",
        "sh",
        "-c",
        f'umask {value("UMask")}; exec "$@"',
        "sh",
    ]
    ended = subprocess.run(
        [*command, python, *words], env=environment, cwd=value("WorkingDirectory"), capture_output=True, text=True, check=False, timeout=120
    )
    return _ended(ended)


def _ended(ended: subprocess.CompletedProcess[str]) -> dict[str, object]:
    return {"code": ended.returncode, "out": ended.stdout[-4_000:], "err": ended.stderr[-4_000:]}


if __name__ == "__main__":
    main()
