"""The one way to change a status: a compare-and-set built from the transition table.

`UPDATE … SET status = wanted WHERE id = … AND status IN (sources of wanted)`. Of any number of concurrent
attempts at one move exactly one succeeds; the others are told what the status is by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, false, or_, select, update

from state.errors import IllegalTransition, NotFound
from state.tables import Campaign, Job, Recipient, Slice
from state.transitions import AUTOMATION, CAMPAIGN, ENTITY_UI, JOB, PORTAL, SLICE, STAGE, Machine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import InstrumentedAttribute, Session

__all__ = ["change_status", "clock_of", "sources_of"]

_COLUMNS: dict[str, InstrumentedAttribute[Any]] = {
    CAMPAIGN.entity: Campaign.status,
    JOB.entity: Job.status,
    AUTOMATION.entity: Recipient.automation_status,
    PORTAL.entity: Recipient.portal_status,
    ENTITY_UI.entity: Recipient.entity_ui_status,
    STAGE.entity: Recipient.stage,
    SLICE.entity: Slice.state,
}


def clock_of(session: Session) -> Any:
    """The clock of the database that a session belongs to (a `state.database.Clock`)."""
    return session.info["clock"]


def sources_of(
    machine: Machine,
    wanted: str,
    *,
    only_from: Iterable[str] | None = None,
    column: ColumnElement[Any] | None = None,
) -> ColumnElement[bool]:
    """The table's condition for a move to `wanted`, for statements that move many rows at once: where the table has no
    such move, it holds for no row.

    Args:
        only_from: Narrows the sources, where a rule allows a move only on one way.
        column: What holds the status; None: the machine's own column.
    """
    sources = machine.sources(wanted)
    if only_from is not None:
        sources &= frozenset(only_from)
    current: ColumnElement[Any] = _COLUMNS[machine.entity].expression if column is None else column
    # Not IN: statements that are compiled once have no lists that expand.
    return or_(false(), *(current == source for source in sorted(sources)))


def change_status(
    session: Session,
    machine: Machine,
    wanted: str,
    *where: ColumnElement[bool],
    key: object,
    only_from: Iterable[str] | None = None,
    **values: Any,
) -> None:
    """Move one row to `wanted`, setting `values` in the same statement.

    Args:
        machine: The table that allows the move.
        where: Which row; must name one row of one organization.
        key: How the row is called in the error.
        only_from: Narrows the sources, where a rule allows a move only on one way.

    Raises:
        NotFound: no row fits `where`.
        IllegalTransition: its status is not a source of `wanted`. Nothing was changed.
    """
    column = _COLUMNS[machine.entity]
    sources = machine.sources(wanted)
    if only_from is not None:
        sources &= frozenset(only_from)
    table = column.class_
    statement = (
        update(table)
        .where(*where, column.in_(sorted(sources)))
        .values({column.key: wanted, **values})
        .execution_options(synchronize_session=False)
    )
    if session.execute(statement).rowcount == 1:  # type: ignore[attr-defined]
        return
    current = session.execute(select(column).where(*where)).first()
    if current is None:
        raise NotFound(machine.entity, key)
    raise IllegalTransition(machine.entity, key, str(current[0]), wanted)
