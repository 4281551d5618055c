"""A real server over each database, and a world of sent mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, client, stranger
from tests.tracking.world import Mailing

if TYPE_CHECKING:
    from uuid import UUID

    import httpx

    from tests.api.conftest import Api

__all__ = ["api", "client", "stranger"]


@pytest.fixture
def world(api: Api, client: httpx.Client) -> Mailing:
    """An organization whose default channel is a mail server."""
    world = Mailing(api, client)
    world.channel("smtp", is_default=True)
    return world


@pytest.fixture
def campaign_id(world: Mailing) -> UUID:
    """A campaign of one message."""
    return world.campaign()
