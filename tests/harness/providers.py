"""The outside world as processes: a mail server and an HTTP provider, each with a journal."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.harness.child import Server
from tests.harness.journal import Journal
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HttpProvider", "SmtpSink"]


class _Provider(Server):
    MODULE: str

    def __init__(self, directory: Path, name: str, *options: str) -> None:
        port = free_port()
        self.journal = Journal(directory / f"{name}.journal")
        command = [
            sys.executable,
            "-m",
            self.MODULE,
            "--port",
            str(port),
            "--journal",
            str(self.journal.path),
        ]
        super().__init__(name, [*command, *options], directory=directory, port=port)


class SmtpSink(_Provider):
    """`tests.servers.smtp`: takes mail for everybody. `options` are passed on to its command line."""

    MODULE = "tests.servers.smtp"

    def __init__(self, directory: Path, name: str = "smtp", *options: str) -> None:
        super().__init__(directory, name, *options)


class HttpProvider(_Provider):
    """`tests.servers.http`: takes every POST, and fails as it is told.

    Args:
        recognise: It honours idempotency keys: a key seen before is answered and not delivered again.
    """

    MODULE = "tests.servers.http"

    def __init__(self, directory: Path, name: str = "http", *, recognise: bool = False) -> None:
        super().__init__(directory, name, *(["--recognise"] if recognise else []))

    @property
    def url(self) -> str:
        """Where messages are posted."""
        return f"http://127.0.0.1:{self.port}/send"

    def fault(self, kind: str, **options: float | str) -> None:
        """Fail from now on as `tests.servers.http.Fault` says: `fault("status", status=429, times=5)`.

        Raises:
            ValueError: there is no such fault or option.
        """
        try:
            self._control("PUT", "fault", {"kind": kind, **options})
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from None

    def heal(self) -> None:
        """No fault from now on."""
        self._control("DELETE", "fault")

    def stats(self) -> dict[str, int]:
        """What came in: connections, requests, accepted, repeated, faults. What did not happen is absent."""
        return dict(self._control("GET", "stats"))

    def _control(self, method: str, what: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/-/{what}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own server
            return json.load(answer)
