"""A PostgreSQL server as in production: databases and roles of deploy/postgres/roles.sql, passwords in files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bot3.cli.services import free_port
from tests.servers.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Production:
    """The server, its port on 127.0.0.1, and the directory of the secrets."""

    server: PostgresServer
    port: int
    secrets: Path

    def url(self, role: str, database: str) -> str:
        """Return the URL with which a role logs in with its password."""
        file = "reader_db_password" if role == "bot3_reader" else f"{role}_db_password"
        return f"postgresql+psycopg://{role}:{(self.secrets / file).read_text()}@127.0.0.1:{self.port}/{database}"

    def execute(self, role: str, database: str, text: str) -> list[tuple[object, ...]]:
        """Run a statement as a role, and return its rows."""
        engine = sa.create_engine(self.url(role, database), poolclass=sa.NullPool)
        with engine.begin() as connection:
            ran = connection.exec_driver_sql(text)
            return [tuple(row) for row in ran.all()] if ran.returns_rows else []

    def set_up(self) -> None:
        """Run the script as the superuser."""
        command = ["psql", "-X", "-q", "-h", str(self.server.directory), "-p", str(self.port), "-U", "postgres", "-d", "postgres"]
        script = ROOT / "deploy" / "postgres" / "roles.sql"
        environment = {**os.environ, "BOT3_SECRETS": str(self.secrets)}
        subprocess.run([*command, "-f", script], env=environment, check=True, capture_output=True, text=True, timeout=60)


@contextmanager
def production(folder: Path, *, is_durable: bool = False, data: Path | None = None) -> Iterator[Production]:
    """Yield a running server with the databases and roles created."""
    secrets = folder / "secrets"
    subprocess.run(["bash", ROOT / "deploy" / "make-secrets.sh", secrets], check=True, timeout=30)
    port = free_port()
    with PostgresServer(superuser="postgres", port=port, is_durable=is_durable, folder=data) as server:
        made = Production(server, port, secrets)
        made.set_up()
        yield made
