"""The server of the API's own tests, and a desk with people, segments, templates and a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, client, stranger
from tests.campaigns_api.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.api.conftest import Api

__all__ = ["api", "client", "desk", "stranger"]


@pytest.fixture
def desk(api: Api, client: httpx.Client) -> Iterator[Desk]:
    """Who asks, and everything that the examples of the contract name."""
    desk = Desk(api, client)
    yield desk
    desk.close()
