"""A language model, a voice provider, and a desk at which targets are called and verified."""

from __future__ import annotations

import pytest

from tests.api.conftest import api, client, stranger
from tests.channels.conftest import _providers, provider
from tests.goals.desk import Desk

__all__ = ["_providers", "api", "client", "provider", "stranger"]


@pytest.fixture
def desk(api, client) -> Desk:
    """A campaign with a voice channel."""
    return Desk(api, client)
