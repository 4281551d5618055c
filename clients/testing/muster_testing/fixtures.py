"""The fixture `muster`, which pytest has once the kit is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from muster_testing.server import Muster

__all__ = ["muster"]


@pytest.fixture
def muster(tmp_path: Path) -> Iterator[Muster]:
    """A server of the test's own (`muster_testing.server.Muster`)."""
    from muster_testing.server import running  # noqa: PLC0415 - what it imports takes a second, and most tests need none

    with running(tmp_path / "muster") as server:
        yield server
