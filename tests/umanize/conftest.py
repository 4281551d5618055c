"""The server of the API's own tests, and a desk whose organization enrols customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, client, stranger
from tests.umanize.desk import TargetDesk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.api.conftest import Api

__all__ = ["api", "client", "desk", "stranger"]


@pytest.fixture
def desk(api: Api, client: httpx.Client) -> Iterator[TargetDesk]:
    """Who asks, and a worker."""
    desk = TargetDesk(api, client)
    yield desk
    desk.close()
