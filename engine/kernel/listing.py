"""Rows of one organization: find one, list many by keyset.

A cursor says behind which row the next page begins. Rows that come or go meanwhile neither repeat nor hide
others, which an offset cannot promise.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import and_, func, or_, select

from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean
from state.change import clock_of
from state.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = [
    "LOOKED_AT",
    "MAX_LIMIT",
    "Found",
    "Page",
    "check_limit",
    "decode_cursor",
    "encode_cursor",
    "find",
    "held",
    "kept",
    "page",
    "page_by_offset",
    "search",
    "stamp",
]

MAX_LIMIT = 1000
#: Rows that one page of a search looks at.
LOOKED_AT = 5_000
#: What every database takes.
_MAX_OFFSET = 2**31 - 1

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some of the rows, how many there are, and where the next ones begin."""

    results: list[Row]
    next: str | None
    """Opaque; None on the last page."""
    total: int


@dataclass(frozen=True, slots=True)
class Found(Generic[Row]):
    """A page of a search: what it found among the rows that it looked at."""

    results: list[Row]
    next: str | None
    """Where to search on; None: it has looked at all."""
    looked_at: int
    """Rows, with those of the pages before."""


def find(session: Session, table: type[Row], org_id: UUID, row_id: UUID, *, lock: bool = False) -> Row:
    """The organization's row. `lock` keeps others from changing it until the transaction ends.

    Raises:
        NotFound: there is none, or it is another organization's.
    """
    wanted: Any = table
    statement = select(table).where(wanted.id == row_id, wanted.org_id == org_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    row = session.execute(statement).scalar_one_or_none()
    if row is None:
        raise NotFound(wanted.__tablename__, row_id)
    return row


def held(session: Session, table: type[Row], org_id: UUID, row_id: UUID) -> Row | None:
    """The organization's row, locked for changing it; rows that refer to it may come and go meanwhile. None: it is not
    there.
    """
    wanted: Any = table
    return session.execute(
        select(table)
        .where(wanted.id == row_id, wanted.org_id == org_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def kept(session: Session, table: type[Row], org_id: UUID, row_id: UUID) -> bool:
    """Whether the organization has the row; if so it is locked as a foreign key would, and is not deleted before the
    transaction ends.
    """
    wanted: Any = table
    known = select(wanted.id).where(wanted.id == row_id, wanted.org_id == org_id)
    return session.execute(known.with_for_update(read=True, key_share=True)).first() is not None


def stamp(session: Session, row: Any) -> None:
    """Set `updated_at`, always later than it was: workers keep what they built while it stays the same."""
    row.updated_at = max(clock_of(session).now(), row.updated_at + timedelta(microseconds=1))


def page(
    session: Session,
    table: type[Row],
    org_id: UUID,
    *where: ColumnElement[bool],
    limit: int = 25,
    next: str | None = None,  # noqa: A002 - the word of the contract
) -> Page[Row]:
    """The organization's rows, newest first.

    Raises:
        Invalid: `limit` is outside 1..1000, or `next` is no cursor of such a list.
    """
    check_limit(limit)
    listed: Any = table
    conditions = [listed.org_id == org_id, *where]
    total = session.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
    if next is not None:
        created_at, row_id = _position(next)
        conditions.append(
            or_(listed.created_at < created_at, and_(listed.created_at == created_at, listed.id < row_id))
        )
    statement = select(table).where(*conditions).order_by(listed.created_at.desc(), listed.id.desc())
    found: list[Any] = list(session.execute(statement.limit(limit + 1)).scalars())
    more = len(found) > limit
    results = found[:limit]
    last = results[-1] if more else None
    cursor = encode_cursor([last.created_at.isoformat(), str(last.id)]) if last is not None else None
    return Page(results, cursor, total)


def search(
    session: Session,
    table: type[Row],
    key: Any,
    within: Sequence[ColumnElement[bool]],
    where: Sequence[ColumnElement[bool]],
    *,
    limit: int,
    next: str | None = None,  # noqa: A002 - the word of the contract
    most: int = LOOKED_AT,
) -> Found[Row]:
    """Rows that no index finds: at most `most` of a range that an index has in order are looked at, so that a page
    takes the same time whatever is searched for.

    Args:
        session: A reading one.
        table: Whose rows.
        key: A UUID by which the rows of the range are ordered, and which is theirs alone.
        within: The range.
        where: What is searched for.
        limit: Rows of a page.
        next: The cursor of an earlier page of the same search.
        most: Rows that are looked at.

    Raises:
        Invalid: `limit` is outside 1..1000, or `next` is no cursor of such a search.
    """
    check_limit(limit)
    after, looked_at = _searched_to(next)
    behind = [] if after is None else [key > after]
    window = select(key.label("key")).where(*within, *behind).order_by(key).limit(most).subquery()
    last = session.execute(
        select(window.c.key, func.count().over()).order_by(window.c.key.desc()).limit(1)
    ).first()
    if last is None:
        return Found([], None, looked_at)
    end, in_window = last
    rows = list(
        session.scalars(select(table).where(*within, *where, *behind, key <= end).order_by(key).limit(limit))
    )
    is_full = len(rows) == limit
    if is_full:
        end = getattr(rows[-1], key.key)
    passed = select(func.count()).select_from(table).where(*within, *behind, key <= end)
    looked_at += int(session.execute(passed).scalar_one())
    more = is_full or in_window == most
    return Found(rows, encode_cursor([str(end), looked_at]) if more else None, looked_at)


def _searched_to(cursor: str | None) -> tuple[UUID | None, int]:
    """Where a search goes on, and how many rows it has looked at."""
    if cursor is None:
        return None, 0
    try:
        key, looked_at = decode_cursor(cursor)
        found = UUID(key), int(looked_at)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise Invalid("next", "is not a cursor that this list gave out") from None
    return found


def page_by_offset(
    session: Session,
    table: type[Row],
    org_id: UUID,
    *where: ColumnElement[bool],
    sort: str,
    sortable: Collection[str],
    limit: int,
    offset: int,
) -> Page[Row]:
    """The organization's rows from `offset` on, for dialects whose lists are read so; `next` stays None.

    Args:
        sort: One of `sortable`, after a `-` where the largest is to come first.

    Raises:
        Invalid: `limit`, `offset` or `sort` cannot be used.
    """
    check_limit(limit)
    if not 0 <= offset <= _MAX_OFFSET:
        raise Invalid("offset", f"must be between 0 and {_MAX_OFFSET}")
    field = sort.removeprefix("-")
    if field not in sortable:
        known = ", ".join(sortable)
        raise Invalid("sort", f"{field[:64]!r} is none of {known}{did_you_mean(field, sortable)}")
    listed: Any = table
    conditions = [listed.org_id == org_id, *where]
    total = session.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
    columns = (getattr(listed, field), listed.id)
    order = [column.desc() for column in columns] if sort.startswith("-") else columns
    statement = select(table).where(*conditions).order_by(*order).limit(limit).offset(offset)
    return Page(list(session.execute(statement).scalars()), None, total)


def check_limit(limit: int) -> None:
    """Raise Invalid unless 1..1000 rows are asked for."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be between 1 and {MAX_LIMIT}")


def encode_cursor(position: list[Any]) -> str:
    """An opaque text for a position."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """The position in a cursor.

    Raises:
        Invalid: it is none of ours.
    """
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        position = None
    if not isinstance(position, list):
        raise Invalid("next", "is not a cursor that this list gave out")
    return position


def _position(cursor: str) -> tuple[datetime, UUID]:
    try:
        created_at, row_id = decode_cursor(cursor)
        instant = datetime.fromisoformat(created_at)
        return instant.astimezone(UTC), UUID(row_id)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise Invalid("next", "is not a cursor that this list gave out") from None
