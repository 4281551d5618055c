"""A PostgreSQL server of a test's own: real files, real fsync, and it may be killed.

The cluster is made by `initdb` once per test run and copied for every server. PostgreSQL refuses to run as
root, so root starts it as `postgres` or `nobody`. Without the binaries the test is skipped by the service's
name.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from tests.harness.child import Child, Server
from tests.harness.missing import missing
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Postgres", "binaries"]

_STOP = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


@cache
def binaries() -> Path:
    """The folder with `initdb` and `postgres`, the newest of what is installed."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if config := shutil.which("pg_config"):
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout
        candidates.append(Path(told.strip()))
    complete = [
        folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]
    if not complete:
        missing("PostgreSQL", "neither pg_config nor /usr/lib/postgresql leads to initdb and postgres")
    return complete[-1]


@cache
def _user() -> str:
    """Whom to run it as: nobody else, unless we are root."""
    if os.geteuid() != 0:
        return ""
    known = {account.pw_name for account in pwd.getpwall()}
    name = next((name for name in ("postgres", "nobody") if name in known), None)
    if name is None:
        missing("PostgreSQL", "it refuses to run as root, and there is neither a user postgres nor nobody")
    return name


def _own_directory() -> Path:
    """A new folder that the server's user owns; pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="muster-postgres-"))
    if _user():
        os.chown(folder, pwd.getpwnam(_user()).pw_uid, -1)
    return folder


@cache
def _template() -> Path:
    """An initialised cluster to copy, removed when the test run ends."""
    folder = _own_directory()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [str(binaries() / "initdb"), "-D", str(folder / "data"), "--no-sync", "--auth=trust"]
    command += ["--username=postgres", "--encoding=UTF8", "--locale=C"]
    initdb = Child("initdb", command, directory=folder, user=_user()).start()
    if initdb.wait(60) != 0:
        raise RuntimeError(initdb.tail())
    return folder / "data"


class Postgres(Server):
    """One server on 127.0.0.1.

    Args:
        settings: Of postgresql.conf, over the harness's own: `{"fsync": "off", "max_connections": "20"}`.
    """

    def __init__(self, name: str = "postgres", *, settings: Mapping[str, str] | None = None) -> None:
        self._home = _own_directory()
        subprocess.run(["cp", "-a", str(_template()), str(self._home / "data")], check=True)
        port = free_port()
        options = {
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            **(settings or {}),
        }
        command = [str(binaries() / "postgres"), "-D", str(self._home / "data")]
        for key, value in options.items():
            command += ["-c", f"{key}={value}"]
        super().__init__(
            name,
            command,
            directory=self._home,
            port=port,
            user=_user(),
            death_signal=signal.SIGQUIT,  # SIGKILL would leave its shared memory behind
        )

    @property
    def url(self) -> str:
        """For SQLAlchemy and MUSTER_DATABASE_URL."""
        return self.url_on(self.port)

    def url_on(self, port: int) -> str:
        """The same database as seen through a proxy's port."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"

    def connect(self) -> psycopg.Connection[Any]:
        """A plain connection in autocommit, for locks and administration."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname="postgres",
            connect_timeout=2,
            autocommit=True,
        )

    def is_ready(self) -> bool:
        """Whether it answers a query (it takes connections earlier, while it recovers)."""
        try:
            with self.connect() as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, deadline: float = 30.0, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop it: `fast` rolls back and checkpoints, `immediate` leaves recovery to the next start."""
        self.signal(_STOP[mode], alone=True)
        self.wait(deadline)

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> Postgres:
        """Stop it in this mode, and start it again on the same port."""
        self.stop(mode=mode)
        return self.start()

    def close(self) -> None:
        """End it and remove its files."""
        super().close()
        shutil.rmtree(self._home, ignore_errors=True)
