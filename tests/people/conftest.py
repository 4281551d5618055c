"""The bench of delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.delivery.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from state.database import Database


@pytest.fixture
def bench(database: Database, org_id: UUID) -> Iterator[Bench]:
    bench = Bench(database, org_id)
    yield bench
    bench.close()
