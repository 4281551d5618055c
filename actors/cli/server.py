"""The control API as a service: `start` returns when it serves, `stop` when the last answer is out.

It runs beside whatever else the process does, so signals are not its business; its socket is bound before it
starts, so a port that is taken is an error of `start`, in words.
"""

from __future__ import annotations

import os
import socket
import sys
from threading import Thread
from typing import TYPE_CHECKING

import structlog
import uvicorn

from actors.cli.failure import Failure
from engine.api.app import create_app
from engine.api.connections import LimitedConnection, allow_connections
from engine.kernel.heartbeat import Heartbeat
from state.tables import ProcessKind

if TYPE_CHECKING:
    from engine.kernel.runtime import Runtime

__all__ = ["ApiService"]

log = structlog.get_logger(__name__)


#: Seconds between two looks at whether it serves yet.
_LOOK = 0.01
#: Seconds after which a thread must let another run. The interpreter's own, 5 ms, would let each of a few that compute
#: keep the event loop waiting as long, several times in every request.
_SWITCH = 0.001


class ApiService:
    """The control API of one process."""

    def __init__(self, runtime: Runtime, *, host: str, port: int) -> None:
        self.runtime = runtime
        self.host = host
        self.port = port
        """0: any free one; what it became is known after `start`."""
        self._listener: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None
        self._heartbeat = Heartbeat(runtime, ProcessKind.API, self.is_alive)

    @property
    def url(self) -> str:
        """Where a program on this machine reaches it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def start(self) -> None:
        """See `actors.services.Service.start`.

        Raises:
            Failure: the port cannot be had, or the application does not come up.
        """
        if self._thread is not None:
            return
        listener = self.bind()
        allow_connections()
        sys.setswitchinterval(_SWITCH)
        grace = int(self.runtime.settings.shutdown_grace.total_seconds())
        self._app = create_app(self.runtime)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=grace,
            server_header=False,
            http=LimitedConnection,
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, args=([listener],), name="api", daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(_LOOK)
            if not self._thread.is_alive():
                raise Failure("the API ended while it was starting; its log says why")
        self._heartbeat.start()
        log.info("api.started", url=self.url, pid=os.getpid())

    def bind(self) -> socket.socket:
        """Take the port, before anything else is begun that a port in use would undo. Safe to call twice.

        Raises:
            Failure: the port cannot be had.
        """
        if self._listener is not None:
            return self._listener
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            # Connections that come before the event loop runs wait in the socket's queue.
            listener = socket.create_server((self.host, self.port), family=family, backlog=2048)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
            raise Failure(
                f"port {self.port} on {self.host} cannot be had: {reason}",
                "choose another with --port, or end what holds it",
            ) from None
        self.port = listener.getsockname()[1]
        self._listener = listener
        return listener

    def is_alive(self) -> bool:
        """See `actors.services.Service.is_alive`."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """See `actors.services.Service.stop`."""
        if self._server is None or self._thread is None:
            return
        self._heartbeat.stop()
        self._app.state.hub.stop()  # live streams end by themselves, or the server would wait for them
        self._app.state.live.stop()
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = self._listener = None
        log.info("api.stopped")
