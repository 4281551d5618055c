"""The dialect over HTTP; `tests.api.conftest` serves it over both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from state.tables import Channel
from tests.api.conftest import Api, api, client, stranger
from tests.harness.waiting import patience

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["api", "client", "stranger"]

BASE = "/channel-service/v1"


@pytest.fixture
def imbrace(api: Api) -> Iterator[httpx.Client]:
    """An operator who speaks the dialect."""
    headers = {"x-api-key": api.keys["operator"]}
    with httpx.Client(base_url=api.url + BASE, headers=headers, timeout=patience(60)) as client:
        yield client


def add_channel(api: Api, kind: str, **values: object) -> str:
    now = api.database.clock.now()
    with api.database.begin() as session:
        channel = Channel(
            id=uuid4(), org_id=api.org_id, name=kind, kind=kind, settings={}, doubt_policy="resend",
            created_at=now, updated_at=now, **values,
        )  # fmt: skip
        session.add(channel)
        return str(channel.id)
