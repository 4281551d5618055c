"""A real PgBouncer in transaction mode, before a PostgreSQL of the test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path

import psycopg

from tests.harness.child import Server
from tests.harness.ports import free_port

__all__ = ["PgBouncer", "is_installed"]

_BINARY = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 200
default_pool_size = {connections}
logfile =
admin_users = postgres
"""


def is_installed() -> bool:
    """Whether there is a PgBouncer to start."""
    return _BINARY is not None


class PgBouncer(Server):
    """One pooler on 127.0.0.1.

    Args:
        server: The port of PostgreSQL.
        connections: To the server, for all clients together.
    """

    def __init__(self, server: int, *, connections: int = 8) -> None:
        folder = Path(tempfile.mkdtemp(prefix="muster-pgbouncer-"))
        port = free_port()
        file = folder / "pgbouncer.ini"
        text = _CONFIGURATION.format(server=server, port=port, connections=connections)
        user = "" if os.geteuid() else "postgres"
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        file.write_text(text)
        file.chmod(0o644)
        super().__init__("pgbouncer", [str(_BINARY), str(file)], directory=folder, port=port, user=user)

    def close(self) -> None:
        """End it, and remove its folder."""
        super().close()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def url(self) -> str:
        """For MUSTER_DATABASE_URL."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?pooler=transaction"

    def is_ready(self) -> bool:
        """Whether a query goes through it."""
        try:
            with psycopg.connect(
                host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", prepare_threshold=None
            ) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
