"""Another host, which may be cut off without a good-bye: no FIN, no RST, no acknowledgement, from one moment to the
next.

It is a network namespace with a cable (veth) to this one, in which a proxy listens that leads back here. Linux, and
somebody who may make one; else the test is skipped by name.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Self

from tests.harness.missing import missing
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["FarHost"]

_NETWORK = 0x40000000  # CLONE_NEWNET


class FarHost:
    """A context manager: `address` and `port` there lead to 127.0.0.1:`upstream` here."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._name = f"muster-{os.getpid()}"
        network = f"10.213.{os.getpid() % 250}"
        self._here, self.address = f"{network}.1", f"{network}.2"

    def __enter__(self) -> Self:
        if shutil.which("ip") is None:
            missing("network namespaces", "there is no `ip` (iproute2)")
        try:
            _ip("netns", "add", self._name)
        except subprocess.CalledProcessError as error:
            missing("network namespaces", error.stderr.strip())
        try:
            cable = f"m{os.getpid()}"
            _ip("link", "add", f"{cable}a", "type", "veth", "peer", "name", f"{cable}b", "netns", self._name)
            _ip("address", "add", f"{self._here}/30", "dev", f"{cable}a")
            _ip("link", "set", f"{cable}a", "up")
            self._there("address", "add", f"{self.address}/30", "dev", f"{cable}b")
            self._there("link", "set", f"{cable}b", "up")
            self._proxy = Proxy(self._upstream, listening=self._listen()).__enter__()
        except BaseException:
            self._remove()
            raise
        self.port = self._proxy.port
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._proxy.__exit__(kind, error, trace)
        self._remove()

    def cut(self) -> None:
        """Nothing leaves the host any more."""
        self._there("route", "add", "blackhole", f"{self._here}/32")

    def heal(self) -> None:
        """It is there again."""
        self._there("route", "del", "blackhole", f"{self._here}/32")

    def _there(self, *command: str) -> None:
        _ip("-n", self._name, *command)

    def _remove(self) -> None:
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "del", self._name)  # and the cable with it

    def _listen(self) -> socket.socket:
        """A socket that listens there. A thread may be in another namespace than its process."""
        made: list[socket.socket] = []

        def listen() -> None:
            with Path("/run/netns", self._name).open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NETWORK):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server((self.address, 0), backlog=100))

        thread = Thread(target=listen)
        thread.start()
        thread.join()
        return made[0]


def _ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True, capture_output=True, text=True)
