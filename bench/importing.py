"""Importing customers from CSV: rows a second, new and again, on both databases."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from bench.ground import Ground
from bench.results import Result
from engine.audience.importing import import_entities
from state.change import clock_of
from state.database import Database
from state.migrate import upgrade
from state.tables import Organization

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from bench.scale import Scale

__all__ = ["run"]

_HEAD = "Index,Customer Id,First Name,Last Name,Company,City,Country,Phone 1,Phone 2,Email,Subscription Date,Website\n"


def run(scale: Scale, directory: Path) -> list[Result]:
    """Rows a second of a file with twelve columns."""
    results = []
    with Ground(directory) as ground:
        for name, url in (
            ("postgresql", ground.create_seed()),
            ("sqlite", f"sqlite:///{directory / 'import.db'}"),
        ):
            upgrade(url)
            database = Database(url)
            rounds = [_rates(database, scale.rows) for _ in range(scale.repeats)]
            database.close()
            results += [
                Result.alone(f"import.new.{name}", median(new for new, _ in rounds), "rows/s"),
                Result.alone(f"import.unchanged.{name}", median(again for _, again in rounds), "rows/s"),
            ]
    return results


def _rates(database: Database, rows: int) -> tuple[float, float]:
    """The same file twice into a new organization: everything is new, then nothing is."""
    with database.begin() as session:
        organization = Organization(id=uuid4(), name=f"import-{uuid4()}", created_at=clock_of(session).now())
        session.add(organization)
    return _rate(database, organization.id, rows), _rate(database, organization.id, rows)


def _rate(database: Database, org_id: UUID, rows: int) -> float:
    started = time.monotonic()
    result = import_entities(
        database.begin,
        org_id,
        "contact",
        _file(rows),
        content_type="text/csv",
        external_id="Customer Id",
        title="{First Name} {Last Name}",
    )
    seconds = time.monotonic() - started
    if result.created + result.skipped != rows:
        raise RuntimeError(f"{rows} rows became {result}")
    return rows / seconds


def _file(rows: int) -> Iterator[bytes]:
    """In pieces, as a request's body comes."""
    yield _HEAD.encode()
    for start in range(0, rows, 500):
        yield "".join(_line(number) for number in range(start, min(start + 500, rows))).encode()


def _line(number: int) -> str:
    return (
        f'{number},{number:015X},Heather,Callahan,"Mosley, David and Sons",Lake Jeffborough,Norway,'
        f"043-797-5229,915.112.1727,person{number}@example.com,{2020 + number % 5}-08-26,http://www.example.org/\n"
    )
