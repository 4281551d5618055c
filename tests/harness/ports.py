"""Ports for servers that are stopped and started again on the same one.

They come from below the range the kernel hands to outgoing connections: a client that keeps knocking at a
stopped server's port inside that range may be given the very same port, connect to itself, and keep the
server from coming back.
"""

from __future__ import annotations

import socket
from pathlib import Path
from random import SystemRandom

__all__ = ["free_port"]

_given: set[int] = set()


def _first_outgoing() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except FileNotFoundError:  # not Linux
        return 32768


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on and that this process has not handed out before."""
    numbers = SystemRandom()
    while True:
        port = numbers.randrange(10_000, max(_first_outgoing(), 10_500))
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
