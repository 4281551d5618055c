"""A provider's API as a process of the test run, and how a test tells it what to do."""

from __future__ import annotations

import http.client
import json
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tests.harness.child import Server
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ApiProvider"]


class ApiProvider(Server):
    """`tests.servers.api`, speaking a dialect."""

    def __init__(self, directory: Path, dialect: str) -> None:
        port, self.control_port = free_port(), free_port()
        command = [sys.executable, "-m", "tests.servers.api", "--speak", dialect]
        command += ["--port", str(port), "--control", str(self.control_port)]
        super().__init__(f"{dialect}-api", command, directory=directory, port=port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arrange(self, scenario: str, **options: float) -> None:
        """Behave so from now on; `down` is a port that nobody listens on."""
        if scenario == "down":
            self._control("PUT", "/open", {"open": False})
            return
        self._control("PUT", "/open", {"open": True})
        self._control("PUT", "/scenario", {"name": scenario, **options})

    def forget(self) -> None:
        """An empty journal, and healthy."""
        self._control("POST", "/forget")

    def drop_connections(self) -> None:
        self._control("POST", "/drop")

    def wait_for_requests(self, number: int) -> None:
        """Return as soon as so many messages have been asked for since `forget`."""
        self._control("GET", f"/wait?requests={number}")

    @property
    def taken(self) -> list[dict[str, Any]]:
        return list(self._control("GET", "/taken"))

    @property
    def stats(self) -> dict[str, int]:
        return dict(self._control("GET", "/stats"))

    def accepted(self) -> list[UUID]:
        """The execution ids of what it took, in order."""
        return [UUID(entry["key"]) for entry in self.taken]

    def _control(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            said = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(said["message"])
        return said
