"""The suppression list as people keep it: look, add, remove, import, export.

Adding what is there changes nothing, so importing a list again is safe. E-mail addresses are normalised as
channels do it; other addresses are taken as they are, without white space around them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from uuid import UUID  # noqa: TC003 - pydantic reads it

from pydantic import Field, ValidationError, field_validator, model_validator
from sqlalchemy import select, tuple_

from engine import listing
from engine.audience.lines import ImportRefused, numbered_lines
from engine.audience.suppression import Barred, bar
from engine.channels import registry
from engine.channels.addresses import normalise_email
from engine.inputs import Input, Invalid, explain
from engine.suggestions import did_you_mean
from state.tables import Campaign, Suppression
from state.tables.audience import EVERY_CAMPAIGN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.orm import Session

    from state.database import Database

__all__ = [
    "COLUMNS",
    "Imported",
    "SuppressionInput",
    "export_suppressions",
    "import_suppressions",
    "list_suppressions",
    "remove_suppression",
    "suppress",
]

#: Of the CSV form, in and out.
COLUMNS = ("channel_kind", "address", "reason", "campaign_id")
#: Rows of one transaction of an import, and of one read of an export.
_BATCH = 1_000
_MAX_ERRORS = 1_000


class SuppressionInput(Input):
    """An address, and why it must not be used."""

    channel_kind: str = Field(max_length=32)
    address: str = Field(min_length=1, max_length=320)
    reason: Literal["unsubscribe", "hard_bounce", "complaint", "manual"] = "manual"
    campaign_id: UUID = EVERY_CAMPAIGN
    """The one campaign that must not use it; absent: none of the organization may."""

    @field_validator("channel_kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        known = registry.kinds()
        if kind not in known:
            raise ValueError(f"{kind!r} is none of {', '.join(known)}{did_you_mean(kind, known)}")
        return kind

    @model_validator(mode="before")
    @classmethod
    def _normal(cls, given: object) -> object:
        if isinstance(given, dict) and isinstance(address := given.get("address"), str):
            plain = address.strip()
            normal = normalise_email(plain) if "@" in plain else plain
            if normal is None:
                raise ValueError(f"address: {plain[:320]!r} is not an e-mail address")
            return {**given, "address": normal}
        return given


@dataclass(slots=True)
class Imported:
    """What became of a file's lines."""

    created: int = 0
    skipped: int = 0
    """On the list already."""
    rejected: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    """Line and message of the first 1,000 rejected."""

    def reject(self, line: int, message: str) -> None:
        """Count a trouble."""
        self.rejected += 1
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append((line, message))


def list_suppressions(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
    channel_kind: str | None = None,
    address: str | None = None,
) -> listing.Page[Suppression]:
    """Newest first; of one channel kind, or of one address, if asked for."""
    conditions = []
    if channel_kind is not None:
        conditions.append(Suppression.channel_kind == channel_kind)
    if address is not None:
        conditions.append(Suppression.address == (normalise_email(address) or address.strip()))
    return listing.page(session, Suppression, org_id, *conditions, limit=limit, next=next)


def suppress(session: Session, org_id: UUID, given: SuppressionInput) -> tuple[Suppression, bool]:
    """Put an address on the list; returns its row and whether it is new. The first reason stays.

    Raises:
        Invalid: the campaign does not exist.
    """
    if given.campaign_id != EVERY_CAMPAIGN:
        known = select(Campaign.id).where(Campaign.id == given.campaign_id, Campaign.org_id == org_id)
        if session.execute(known).first() is None:
            raise Invalid("campaign_id", f"campaign {given.campaign_id} does not exist")
    created = _write(session, org_id, [given])
    row = session.execute(
        select(Suppression).where(
            Suppression.org_id == org_id,
            Suppression.channel_kind == given.channel_kind,
            Suppression.address == given.address,
            Suppression.campaign_id == given.campaign_id,
        )
    ).scalar_one()
    return row, bool(created)


def remove_suppression(session: Session, org_id: UUID, suppression_id: UUID) -> None:
    """Take an address off the list. Raises NotFound."""
    session.delete(listing.find(session, Suppression, org_id, suppression_id, lock=True))
    session.flush()


def import_suppressions(database: Database, org_id: UUID, chunks: Iterable[bytes]) -> Imported:
    """Add a CSV file's addresses, in constant memory; each 1,000 lines are a transaction.

    The header names `channel_kind`, `address` and, if they are there, `reason` and `campaign_id`, in any order. A
    campaign may be gone: a list that was exported can be imported. A bad line is reported and never stops the good
    ones.

    Raises:
        ImportRefused: the file is no UTF-8 text, or lacks a column. Nothing was written.
        sqlalchemy.exc.DBAPIError: the database went away; what was added until then stays.
    """
    result = Imported()
    batch: dict[tuple[str, str, UUID], SuppressionInput] = {}
    taken = 0

    def flush() -> None:
        if batch:
            with database.begin() as session:
                result.created += _write(session, org_id, list(batch.values()))
            batch.clear()

    for number, cells in _records(chunks, result):
        try:
            given = SuppressionInput.model_validate(cells)
        except ValidationError as error:
            result.reject(number, str(explain(error.errors(), SuppressionInput)))
            continue
        taken += 1
        batch.setdefault((given.channel_kind, given.address, given.campaign_id), given)
        if len(batch) >= _BATCH:
            flush()
    flush()
    result.skipped = taken - result.created
    return result


def export_suppressions(database: Database, org_id: UUID) -> Iterator[list[Suppression]]:
    """The whole list by its key, 1,000 rows at a time, each read in a transaction of its own."""
    key = (Suppression.channel_kind, Suppression.address, Suppression.campaign_id)
    after: tuple[str, str, UUID] | None = None
    while True:
        statement = select(Suppression).where(Suppression.org_id == org_id)
        if after is not None:
            statement = statement.where(tuple_(*key) > after)
        statement = statement.order_by(*key).limit(_BATCH)
        with database.read() as session:
            rows = list(session.execute(statement).scalars())
        if not rows:
            return
        yield rows
        after = (rows[-1].channel_kind, rows[-1].address, rows[-1].campaign_id)


def _records(chunks: Iterable[bytes], result: Imported) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column; an address never spans lines, so a line is a record."""
    names: list[str] | None = None
    for line in numbered_lines(chunks):
        if line.trouble is not None:
            result.reject(line.number, line.trouble)
            continue
        text = line.text.rstrip("\r")
        if not text.strip():
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([text], strict=True))]
        except csv.Error as error:
            result.reject(line.number, f"is not CSV: {error}")
            continue
        if names is None:
            names = _header(cells)
        elif len(cells) != len(names):
            result.reject(line.number, f"has {len(cells)} cells; the header has {len(names)}")
        else:
            yield line.number, {name: cell for name, cell in zip(names, cells, strict=True) if cell}
    if names is None:
        raise ImportRefused("file", f"is empty; its first line names the columns {', '.join(COLUMNS)}")


def _header(cells: list[str]) -> list[str]:
    names = [cell.lower() for cell in cells]
    for wanted in COLUMNS[:2]:
        if wanted not in names:
            raise ImportRefused("file", f"has no column {wanted!r}; its header is {', '.join(cells)[:200]}")
    for name in names:
        if name not in COLUMNS or names.count(name) > 1:
            known = ", ".join(COLUMNS)
            raise ImportRefused("file", f"column {name[:64]!r} is not one of {known}, each once")
    return names


def _write(session: Session, org_id: UUID, given: Iterable[SuppressionInput]) -> int:
    """Insert what is not there; returns how many were."""
    return len(bar(session, org_id, [Barred(**one.model_dump()) for one in given]))
