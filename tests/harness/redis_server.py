"""A Redis server of a test's own, with or without an append-only file."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.harness.child import Server
from tests.harness.missing import missing
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RedisServer"]


class RedisServer(Server):
    """One server on 127.0.0.1. Without `aof` a kill loses everything, and so does an orderly stop.

    Args:
        directory: An empty folder of its own; survives restarts.
    """

    def __init__(self, directory: Path, name: str = "redis", *, aof: bool = True) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            missing("Redis", "there is no redis-server on the path")
        port = free_port()
        command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
        command += ["--appendonly", "yes" if aof else "no", "--appendfsync", "everysec"]
        command += ["--maxmemory-policy", "noeviction"]
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(name, command, directory=directory, port=port)

    @property
    def url(self) -> str:
        """For MUSTER_REDIS_URL."""
        return self.url_on(self.port)

    def url_on(self, port: int) -> str:
        """The same database as seen through a proxy's port."""
        return f"redis://127.0.0.1:{port}/0"

    def client(self, *, port: int | None = None, timeout: float = 2.0) -> redis.Redis:
        """A client that fails after `timeout` seconds instead of trying again. Close it (a context manager).

        Args:
            port: A proxy's; absent: the server's own.
            timeout: Seconds.
        """
        return redis.Redis.from_url(
            self.url_on(port or self.port),
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def execute(self, *words: str | int) -> Any:
        """One command and its answer: `execute("CONFIG", "SET", "maxmemory", "20mb")`."""
        with self.client() as client:
            return client.execute_command(*words)

    def is_ready(self) -> bool:
        """Whether it answers (while it loads its file it does not)."""
        try:
            return bool(self.execute("PING"))
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def flushall(self) -> None:
        """Wipe it: every queued wake-up is gone."""
        self.execute("FLUSHALL")
