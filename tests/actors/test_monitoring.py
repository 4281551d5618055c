"""The port of workers and schedulers: figures, and whether the process does its work."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest

from actors.monitoring import PortTaken, monitored


def _get(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_liveness_follows_the_service(port: int) -> None:
    alive = [True]
    with monitored(port, lambda: alive[0]):
        assert _get(port, "/health/live") == (200, b'{"status":"live"}')
        alive[0] = False
        assert _get(port, "/health/live") == (503, b'{"status":"stuck"}')
        status, figures = _get(port, "/metrics")
        assert (status, b"python_info" in figures) == (200, True)
        assert _get(port, "/elsewhere")[0] == 404


def test_the_port_is_free_afterwards_and_a_taken_one_is_refused(port: int) -> None:
    for _ in range(2):
        with monitored(port, lambda: True), pytest.raises(PortTaken, match=str(port)):  # noqa: SIM117
            with monitored(port, lambda: True):
                pass


def test_without_a_port_nothing_is_served() -> None:
    with monitored(None, lambda: True):
        pass
