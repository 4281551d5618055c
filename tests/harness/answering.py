"""A provider in a process of its own that answers as it is told (tests.servers.provider)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Self

from tests.harness.child import ROOT

__all__ = ["AnsweringProvider"]


class AnsweringProvider:
    """Runs until it is closed; a context manager.

    Args:
        rules: See `tests.servers.provider`.
    """

    def __init__(self, **rules: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.provider", json.dumps(rules)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def told(self) -> dict[str, Any]:
        """What it took, and how often it refused."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        return dict(json.loads(process.stdout.readline()))

    def close(self) -> None:
        """End it. Safe to call twice."""
        if self._process.poll() is None:
            self._process.communicate(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
