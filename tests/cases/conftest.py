"""What public reports of other systems' users came down to: the API and the command line, over both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, client
from tests.cases.house import House
from tests.cli.conftest import (
    _environment,
    acme,
    embedded,
    migrated,
    migrated_postgresql,
    muster,
    sqlite_template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.api.conftest import Api

__all__ = [
    "_environment",
    "acme",
    "api",
    "client",
    "embedded",
    "house",
    "migrated",
    "migrated_postgresql",
    "muster",
    "sqlite_template",
]


@pytest.fixture
def house(api: Api, client: httpx.Client) -> Iterator[House]:
    """An organization and a worker that sends through real channels."""
    house = House(api, client)
    yield house
    house.close()
