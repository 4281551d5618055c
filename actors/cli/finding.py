"""Rows by what a person calls them: an id, or a name that only one has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from actors.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["find_campaign", "find_named"]

Row = TypeVar("Row")


def find_campaign(session: Session, org_id: UUID, wanted: str) -> Campaign:
    """The campaign of that id or name.

    Raises:
        Failure: there is none, or several share the name.
    """
    from state.tables import Campaign

    return find_named(session, Campaign, org_id, wanted)


def find_named(session: Session, table: type[Row], org_id: UUID, wanted: str) -> Row:
    """The organization's row of that id or name.

    Raises:
        Failure: there is none, or several share the name.
    """
    from sqlalchemy import or_, select

    from engine.suggestions import did_you_mean

    named: Any = table
    kind = named.__tablename__
    statement = select(table).where(
        named.org_id == org_id, or_(named.name == wanted, named.id == _uuid(wanted))
    )
    found = list(session.execute(statement.order_by(named.created_at.desc()).limit(2)).scalars())
    if len(found) == 1:
        return found[0]
    if found:
        ids = session.execute(
            select(named.id).where(named.org_id == org_id, named.name == wanted).limit(5)
        ).scalars()
        raise Failure(
            f"several {kind}s are called {wanted!r}",
            f"use the id: {', '.join(str(one) for one in ids)}",
            code=Exit.USAGE,
        )
    names = session.execute(select(named.name).where(named.org_id == org_id).limit(1000)).scalars()
    raise Failure(f"there is no {kind} {wanted!r}{did_you_mean(wanted, names)}")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
