"""A real Prometheus (Debian: `prometheus`) that scrapes processes of a test once a second."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.harness.child import Server
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["PROMTOOL", "Prometheus", "is_installed"]

_BINARY = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")


def is_installed() -> bool:
    """Whether there is a Prometheus to start, and its tool."""
    return _BINARY is not None and PROMTOOL is not None


class Prometheus(Server):
    """One server on 127.0.0.1.

    Args:
        directory: For its configuration, data and log.
        targets: Name of a job → port of 127.0.0.1 whose `/metrics` is scraped.
    """

    def __init__(self, directory: Path, targets: Mapping[str, int]) -> None:
        jobs = [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for name, port in targets.items()
        ]
        file = directory / "prometheus.yaml"
        interval = {"scrape_interval": "1s"}
        file.write_text(json.dumps({"global": interval, "scrape_configs": jobs}))  # JSON is YAML
        port = free_port()
        command = [
            str(_BINARY),
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        super().__init__("prometheus", command, directory=directory, port=port)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now.

        Raises:
            urllib.error.HTTPError: it is no expression.
        """
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/api/v1/query?{asked}", timeout=30
        ) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found
