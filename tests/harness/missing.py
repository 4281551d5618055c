"""What happens when a server that the harness starts is not installed."""

from __future__ import annotations

from typing import NoReturn

from tests.conftest import missing_service

__all__ = ["missing"]


def missing(name: str, why: object) -> NoReturn:
    """Skip by the service's name, or fail where services are required (MUSTER_REQUIRE_SERVICES=1)."""
    missing_service(name, why)
    raise AssertionError("a missing service neither skipped nor failed")
