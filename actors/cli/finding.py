"""Rows by what a person calls them: a name that only one has, an id, or the beginning of one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from actors.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["find_by_id", "find_campaign", "find_named"]

Row = TypeVar("Row")

#: Of an id, without hyphens: enough digits that nobody means a word.
_BEGINNING = re.compile("[0-9a-f]{4,32}")


def find_campaign(session: Session, org_id: UUID, wanted: str) -> Campaign:
    """The campaign of that id or name.

    Raises:
        Failure: there is none, or several share the name.
    """
    from state.tables import Campaign

    return find_named(session, Campaign, org_id, wanted)


def find_named(session: Session, table: type[Row], org_id: UUID, wanted: str) -> Row:
    """The organization's row of that name, or else of an id that begins so.

    Raises:
        Failure: there is none, or several share the name.
    """
    from sqlalchemy import select

    from engine.suggestions import did_you_mean

    named: Any = table
    kind = named.__tablename__
    ours = select(table).where(named.org_id == org_id)
    found = list(session.scalars(ours.where(named.name == wanted).order_by(named.created_at.desc()).limit(5)))
    if not found:
        found = list(session.scalars(ours.where(_id_begins(named.id, wanted)).order_by(named.id).limit(5)))
    if len(found) == 1:
        return found[0]
    if found:
        ids: list[Any] = found
        raise Failure(
            f"several {kind}s are called {wanted!r}, or have an id that begins so",
            f"use the id: {', '.join(str(one.id) for one in ids)}",
            code=Exit.USAGE,
        )
    names = session.execute(select(named.name).where(named.org_id == org_id).limit(1000)).scalars()
    raise Failure(f"there is no {kind} {wanted!r}{did_you_mean(wanted, names)}")


def find_by_id(session: Session, table: type[Row], org_id: UUID, wanted: str) -> Row:
    """The organization's only row of an id that begins so.

    Raises:
        Failure: there is none, or there are several.
    """
    from sqlalchemy import select

    named: Any = table
    statement = select(table).where(named.org_id == org_id, _id_begins(named.id, wanted))
    found = list(session.scalars(statement.limit(2)))
    if len(found) == 1:
        return found[0]
    many = "several ids begin with" if found else f"there is no {named.__tablename__}"
    raise Failure(f"{many} {wanted!r}")


def _id_begins(column: Any, text: str) -> Any:
    """The condition for an id whose first digits these are: a range of the primary key. At least four digits."""
    from uuid import UUID

    from sqlalchemy import false

    digits = text.replace("-", "").lower()
    if not _BEGINNING.fullmatch(digits):
        return false()
    return column.between(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")))
