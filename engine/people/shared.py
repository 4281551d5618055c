"""Rows that are about others too, and may hold a person's texts: where they are, and taking the person out of them.

Every column of the database that can hold a text is accounted for: cleared with the person's own rows
(engine.people.erase), redacted here, or among `SAYS_NOTHING` with the reason why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import BigInteger, Integer, LargeBinary, Text, and_, cast, func, inspect, or_, select, tuple_

from engine.people.redact import Redaction
from state.tables import (
    AuditRecord,
    Campaign,
    Channel,
    DomainThrottle,
    DryRun,
    Event,
    IdempotencyKey,
    Job,
    ScheduledRun,
    Target,
    Touchpoint,
    Webhook,
    WebhookDelivery,
)

if TYPE_CHECKING:
    from collections import Counter
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from engine.people.person import Person

__all__ = ["SHARED", "SharedColumns", "redact_slice"]

#: Ids that one slice of a table with running numbers looks at, and rows that one of another table changes.
_NUMBERS = 10_000
_ROWS = 200


class SharedColumns(NamedTuple):
    """Columns of one table."""

    table: Any
    columns: tuple[str, ...]
    chosen: str | None = None
    """Its clients' own key: a row whose key names the person goes."""


SHARED = (
    SharedColumns(Event, ("data",)),
    SharedColumns(WebhookDelivery, ("error",)),
    SharedColumns(AuditRecord, ("changes",)),
    SharedColumns(IdempotencyKey, ("answer",), chosen="key"),
    SharedColumns(Campaign, ("audience",)),
    SharedColumns(Channel, ("blocked_reason",)),
    SharedColumns(DomainThrottle, ("reason",)),
    SharedColumns(DryRun, ("findings", "error")),
    SharedColumns(Job, ("waits_reason", "error", "report")),
    SharedColumns(ScheduledRun, ("reason",)),
    SharedColumns(Target, ("entity_filters", "extras")),
    SharedColumns(Touchpoint, ("condition",)),
    SharedColumns(Webhook, ("disabled_reason",)),
)


def redact_slice(
    session: Session, org_id: UUID, person: Person, after: dict[str, Any] | None, counts: Counter[str]
) -> dict[str, Any] | None:
    """Take the person out of one slice of one table.

    Args:
        session: A writing transaction.
        org_id: Whose rows.
        person: Who is erased.
        after: Where the slice before ended; None: this is the first.
        counts: Gets how many rows were changed, by table.

    Returns:
        Where this slice ended; None: it was the last.
    """
    place = after or {"table": 0}
    number = place["table"]
    shared = SHARED[number]
    key = inspect(shared.table).primary_key
    numbered = len(key) == 1 and isinstance(key[0].type, BigInteger | Integer)
    step = _numbered if numbered else _keyed
    reached = step(session, org_id, shared, key, person, place.get("after"), counts)
    if reached is not None:
        return {"table": number, "after": reached}
    return {"table": number + 1} if number + 1 < len(SHARED) else None


def _numbered(
    session: Session,
    org_id: UUID,
    shared: SharedColumns,
    key: Any,
    person: Person,
    after: int | None,
    counts: Counter[str],
) -> int | None:
    """A range of a table's running numbers. Primary key."""
    begins = after
    if begins is None:
        begins = (session.scalar(select(func.min(key[0]))) or 1) - 1
    ends = begins + _NUMBERS
    within = and_(key[0] > begins, key[0] <= ends, shared.table.org_id == org_id)
    rows = session.scalars(select(shared.table).where(within, _holds(shared, person)))
    counts[shared.table.__tablename__] += sum(_redact(session, row, shared, person) for row in rows)
    session.flush()
    following = session.scalar(select(func.min(key[0])).where(key[0] > ends))
    return None if following is None else following - 1


def _keyed(
    session: Session,
    org_id: UUID,
    shared: SharedColumns,
    key: Any,
    person: Person,
    after: list[Any] | None,
    counts: Counter[str],
) -> list[str] | None:
    """Some rows that hold a text of the person, by their key."""
    wanted = select(shared.table).where(shared.table.org_id == org_id, _holds(shared, person))
    if after is not None:
        wanted = wanted.where(
            tuple_(*key) > tuple(_typed(column, one) for column, one in zip(key, after, strict=True))
        )
    rows = session.scalars(wanted.order_by(*key).limit(_ROWS)).all()
    counts[shared.table.__tablename__] += sum(_redact(session, row, shared, person) for row in rows)
    session.flush()
    if len(rows) < _ROWS:
        return None
    return [str(getattr(rows[-1], column.key)) for column in key]


def _typed(column: Any, text: str) -> Any:
    return column.type.python_type(text)


def _holds(shared: SharedColumns, person: Person) -> ColumnElement[bool]:
    """Whether one of the columns holds one of the person's texts, or their id. JSON is looked through as its text."""
    texts = {str(person.entity_id), *person.texts}
    texts |= {orjson.dumps(text).decode()[1:-1] for text in texts}
    conditions: list[ColumnElement[bool]] = []
    for name in (*shared.columns, *([] if shared.chosen is None else [shared.chosen])):
        column = getattr(shared.table, name)
        if isinstance(column.type, LargeBinary):  # as long as it is kept: a day
            conditions.append(column.is_not(None))
            continue
        plain = cast(column, Text)
        for text in sorted(texts):
            conditions += [
                plain.contains(text, autoescape=True),
                func.lower(plain).contains(text.lower(), autoescape=True),
            ]
    return or_(*conditions)


def _redact(session: Session, row: Any, shared: SharedColumns, person: Person) -> bool:
    redaction = Redaction(person)
    chosen = None if shared.chosen is None else getattr(row, shared.chosen)
    if chosen is not None and redaction.text(chosen) != chosen:
        session.delete(row)
        return True
    changed = False
    for name in shared.columns:
        before = getattr(row, name)
        if before is None:
            continue
        after = (
            _kept_answer(before, redaction, person) if isinstance(before, bytes) else redaction.value(before)
        )
        if after != before:
            setattr(row, name, after)
            changed = True
    return changed


def _kept_answer(answer: bytes, redaction: Redaction, person: Person) -> bytes:
    """An answer to a request without the person. One that is no JSON and holds them is emptied."""
    text = answer.decode("utf-8", "replace")
    if str(person.entity_id) not in text and redaction.text(text) == text:
        return answer
    try:
        return orjson.dumps(redaction.value(orjson.loads(answer)))
    except orjson.JSONDecodeError:
        return b""
