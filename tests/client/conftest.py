"""Both clients over answers that stand in the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client.kit import AwaitedFace, Face, World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[Face, AwaitedFace], ids=["sync", "async"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    for face in world.faces:
        face.close()
