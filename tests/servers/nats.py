"""A real NATS server with JetStream (Debian: `nats-server`)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.harness.child import Server
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NatsServer", "is_installed"]

_BINARY = shutil.which("nats-server")


def is_installed() -> bool:
    """Whether there is one to start."""
    return _BINARY is not None


class NatsServer(Server):
    """One server on 127.0.0.1, whose streams survive its restart."""

    def __init__(self, directory: Path) -> None:
        port = free_port()
        command = [str(_BINARY), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(directory / "streams")]
        super().__init__("nats", command, directory=directory, port=port)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"
