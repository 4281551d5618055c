"""The port of a worker or scheduler where monitoring looks: `/metrics` and `/health/live`.

`/health/live` answers 200 while the service does its work and 503 once it is stuck or its threads are gone, so that a
supervisor (Kubernetes, systemd) restarts it. It touches neither the database nor the broker: an outage of those is
waited for, and a restart would not end it.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["PortTaken", "monitored"]


class PortTaken(MusterError, OSError):
    """Another process listens on the port, or it cannot be bound."""

    def __init__(self, port: int, why: OSError) -> None:
        super().__init__(f"port {port} for metrics cannot be used: {why.strerror or why}")
        self.port = port


class _Quiet(WSGIRequestHandler):
    """No line for each scrape."""

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@contextmanager
def monitored(port: int | None, is_alive: Callable[[], bool]) -> Iterator[None]:
    """Serve the port on every address while the block runs.

    Args:
        port: None serves nothing.
        is_alive: What `/health/live` answers.

    Raises:
        PortTaken: the port cannot be bound.
    """
    if port is None:
        yield
        return
    try:
        server = make_server("0.0.0.0", port, _application(is_alive), ThreadingWSGIServer, _Quiet)  # noqa: S104 - scraped from elsewhere
    except OSError as error:
        raise PortTaken(port, error) from error
    thread = Thread(target=server.serve_forever, name="monitoring", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(is_alive: Callable[[], bool]) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    metrics: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]] = make_wsgi_app()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start_response)
        if path == "/health/live":
            status, document = ("200 OK", "live") if is_alive() else ("503 Service Unavailable", "stuck")
            body = orjson.dumps({"status": document})
        else:
            status, body = "404 Not Found", orjson.dumps({"error": "there are /metrics and /health/live"})
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [body]

    return answer
