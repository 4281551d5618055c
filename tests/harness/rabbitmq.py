"""The RabbitMQ server that runs on this machine, in a virtual host of a test's own.

A private node would take ten seconds to start; a virtual host is as separate as one, for queues. It is made
with `rabbitmqctl`; where that cannot reach the server, the test is skipped by the service's name.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from uuid import uuid4

from tests.conftest import RABBITMQ
from tests.harness.missing import missing

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RabbitMQ"]


def _control(*words: str) -> None:
    try:
        subprocess.run(
            ["rabbitmqctl", "--quiet", *words], check=True, capture_output=True, text=True, timeout=30
        )
    except subprocess.CalledProcessError as error:
        missing("RabbitMQ", f"rabbitmqctl {words[0]}: {error.stderr.strip()}")
    except subprocess.TimeoutExpired as error:
        missing("RabbitMQ", error)


class RabbitMQ:
    """A virtual host; `url` is for MUSTER_BROKER_URL. Use it as a context manager."""

    def __init__(self) -> None:
        self.vhost = f"muster_test_{uuid4().hex[:12]}"
        self._address = urlsplit(RABBITMQ)

    @property
    def port(self) -> int:
        """The server's."""
        return self._address.port or 5672

    @property
    def url(self) -> str:
        """The virtual host's address."""
        return self.url_on(self.port)

    def url_on(self, port: int) -> str:
        """The same virtual host as seen through a proxy's port."""
        return f"amqp://{self._address.username}:{self._address.password}@127.0.0.1:{port}/{self.vhost}"

    def __enter__(self) -> Self:
        if self._address.hostname not in ("127.0.0.1", "localhost") or not shutil.which("rabbitmqctl"):
            missing("RabbitMQ", f"rabbitmqctl cannot make a virtual host at {self._address.hostname}")
        _control("add_vhost", self.vhost)
        _control("set_permissions", "-p", self.vhost, self._address.username or "guest", ".*", ".*", ".*")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _control("delete_vhost", self.vhost)
