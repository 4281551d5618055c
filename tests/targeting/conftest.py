"""The server of the API's own tests, and the documents of the dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, client, stranger
from tests.targeting.world import World

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

__all__ = ["api", "client", "stranger", "world"]


@pytest.fixture
def world(api: Api, client: httpx.Client) -> World:
    """What a test talks about, and an admin who asks."""
    return World(api, client)
