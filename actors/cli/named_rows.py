"""Rows by what a person calls them: a name that only one has, an id, or the beginning of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from actors.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["find_by_id", "find_campaign", "find_named"]

Row = TypeVar("Row")


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
    from engine.kernel.lookup import names, rows_by_id, rows_by_name
    from engine.kernel.suggestions import did_you_mean

    kind = _kind(table)
    found = rows_by_name(session, table, org_id, wanted, limit=5)
    found = found or rows_by_id(session, table, org_id, wanted, limit=5)
    if len(found) == 1:
        return found[0]
    if found:
        ids: Any = found
        raise Failure(
            f"several {kind}s are called {wanted!r}, or have an id that begins so",
            f"use the id: {', '.join(str(one.id) for one in ids)}",
            code=Exit.USAGE,
        )
    raise Failure(f"there is no {kind} {wanted!r}{did_you_mean(wanted, names(session, table, org_id))}")


def find_by_id(session: Session, table: type[Row], org_id: UUID, wanted: str) -> Row:
    """The organization's only row of an id that begins so.

    Raises:
        Failure: there is none, or there are several.
    """
    from engine.kernel.lookup import rows_by_id

    found = rows_by_id(session, table, org_id, wanted, limit=2)
    if len(found) == 1:
        return found[0]
    many = "several ids begin with" if found else f"there is no {_kind(table)}"
    raise Failure(f"{many} {wanted!r}")


def _kind(table: Any) -> str:
    return str(table.__tablename__)
