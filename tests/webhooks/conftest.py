"""A desk, and a receiver that it may reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.webhooks.desk import Desk
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from state.database import Database


@pytest.fixture
def desk(database: Database, org_id: UUID, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(database, org_id, tmp_path)
    yield desk
    desk.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
