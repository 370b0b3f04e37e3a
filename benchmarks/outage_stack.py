"""Services for benchmarks/outage.py: the compose file's, under the supervisor of `bot3 up`, on servers that fail on demand."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

import psutil

from benchmarks.outage_servers import Server, small_disk
from benchmarks.output import tell
from bot3.cli.services import Service, free_port
from bot3.cli.supervisor import Supervisor
from bot3.settings import PREFIX, Settings
from tests.deploy.composed import Place
from tests.deploy.production import production
from tests.seeded import TINY
from tests.servers.cut_proxy import CutProxy
from tests.servers.influx import InfluxProgram

_SERVED = ("code", "dagster-daemon", "execution")
_ONCE = ("seed", "lineage", "clock")
_SEED_S = 900.0
_STORES = ("BOT1", "BOT2", "BOT3", "PLATFORM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outages:
    """Running services, and their servers, which can be made to fail.

    Parameters
    ----------
    settings : Settings
        Settings of an observer that bypasses the proxies.
    """

    settings: Settings
    servers: dict[str, Server]
    run_directory: Path
    log_directory: Path


@contextmanager
def outage_stack(folder: Path) -> Iterator[Outages]:
    """Yield a seeded home on both servers, with its services started and supervised.

    The services connect to the platform's stores and InfluxDB through proxies, but to Dagster's own storage directly: its driver has no
    timeout for a statement that a stalled proxy accepted (its keepalives and `tcp_user_timeout` are for networks that drop packets).
    """
    with ExitStack() as closing:
        disks = {name: closing.enter_context(small_disk(folder, name)) for name in ("postgres", "influx")}
        postgres = closing.enter_context(production(folder, is_durable=True, data=disks["postgres"]))
        influx = closing.enter_context(InfluxProgram(folder=disks["influx"]))
        address = influx.address()
        proxies = {
            "postgres": closing.enter_context(CutProxy(postgres.port)),
            "influx": closing.enter_context(CutProxy(int(address.url.rpartition(":")[2]))),
        }
        servers = {
            "postgres": Server(name="postgres", program=postgres.server, proxy=proxies["postgres"], disk=disks["postgres"]),
            "influx": Server(name="influx", program=influx, proxy=proxies["influx"], disk=disks["influx"]),
        }
        for name in ("data", "tmp"):
            (folder / name).mkdir()
        token = postgres.secrets / "influx_token"
        token.chmod(0o600)
        token.write_text(address.token, encoding="utf-8")
        code_port = free_port()
        served = _place(folder, postgres.secrets, code_port, databases=proxies["postgres"].port, influx=proxies["influx"].port)
        direct = _place(folder, postgres.secrets, code_port, databases=postgres.port, influx=int(address.url.rpartition(":")[2]))
        served = replace(served, ports={**served.ports, "postgres:5432": postgres.port})  # Dagster's own storage, without the proxy
        for name in _ONCE:
            tell(f"{name} ...")
            ended = served.run(name, timeout_s=_SEED_S)
            if ended.returncode:
                raise SystemExit(f"{name} ended with {ended.returncode}:\n{ended.stderr[-2_000:]}")
        supervisor = Supervisor(_services(served), run_directory=folder / "run", log_directory=folder / "logs")
        closing.callback(supervisor.stop)
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        supervisor.start()
        for number, handler in before.items():
            signal.signal(number, handler)  # a signal must end the benchmark, not only the services
        Thread(target=supervisor.supervise, name="supervisor", daemon=True).start()
        yield Outages(settings=direct.settings("seed"), servers=servers, run_directory=folder / "run", log_directory=folder / "logs")


def service_processes(folder: Path) -> dict[str, bool]:
    """Return whether the process of each supervised service exists now, by the supervisor's state in a directory."""
    state = json.loads((folder / "supervisor.json").read_text(encoding="utf-8"))
    return {name: psutil.pid_exists(int(pid)) for name, (pid, _) in state["services"].items()}


def _place(folder: Path, secrets: Path, code_port: int, *, databases: int, influx: int) -> Place:
    ports = {"postgres:5432": databases, "influxdb:8086": influx, "4000": code_port}
    tiny = {f"{PREFIX}{name.upper()}": str(value) for name, value in TINY.items()}
    stores = {f"{PREFIX}{name}_DB_PORT": str(databases) for name in _STORES}
    given = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    # The longest interval: the meta-learner runs only at full hours. BOT3 settings of the environment override these.
    beats = {f"{PREFIX}META_LEARNER_INTERVAL_S": "3600", f"{PREFIX}RECOMMENDATIONS_LIFE_S": "7200"}
    return Place(folder=folder, secrets=secrets, ports=ports, extra={**tiny, **beats, **given, **stores})


def _services(place: Place) -> list[Service]:
    return [
        Service(name=name, command=tuple(place.command(name)), environment=place.environment(name), is_healthy=lambda: True)
        for name in _SERVED
    ]
