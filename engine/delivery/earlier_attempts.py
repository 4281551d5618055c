"""Attempts that did not succeed and are made again: kept for the recipient's timeline in the transaction that puts the
recipient back, because the next attempt overwrites what the recipient's row says.

Promises:
- Whatever a provider answered, or a worker that was lost left in doubt, is kept with its instant, code and text. The
  last attempt of an execution stands on the recipient's row, or in the history of executions.
- A message that is taken at once costs nothing: a row is written only for an attempt that failed.
- The rows of an execution are no more than the channel's attempts. A refusal that costs no attempt (throttled, the
  provider down) is made again under the same number: its row holds the latest answer, and how many there were.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, Uuid, bindparam, literal, select

from engine.delivery.lease_statements import UNSETTLED, RecipientStatements
from engine.kernel.prepared import execute
from engine.kernel.statements import NOW
from state.sets import insert_into
from state.tables import Attempt, Recipient

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, FromClause, Select
    from sqlalchemy.orm import Session

    from engine.delivery.outcomes import Settlement
    from engine.delivery.slices import Lease
    from state.dialects import Dialect

__all__ = ["keep_answers", "keep_doubt"]

_attempt = typing.cast("Table", Attempt.__table__)
_recipient = typing.cast("Table", Recipient.__table__)


def keep_answers(
    session: Session,
    lease: Lease,
    settled: Iterable[Settlement],
    *,
    touchpoint_id: UUID | None,
    now: datetime,
) -> None:
    """Keep what was answered about those of `settled`, claimed and not written yet, that are tried again. One
    statement, if there are any.

    Args:
        touchpoint_id: Of a flow of several, where it was answered.
    """
    answered = [item for item in settled if item.answered]
    if not answered:
        return
    execute(
        session,
        _AttemptStatements.of(session).keep,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_keys=[item.entity_id for item in answered],
        p_codes=[item.error_code for item in answered],
        p_texts=[item.error_text for item in answered],
        p_touchpoint_id=touchpoint_id,
        p_now=now,
    )


def keep_doubt(
    session: Session,
    which: Sequence[ColumnElement[bool]],
    execution_id: ColumnElement[Any],
    *,
    touchpoint_id: UUID | None,
    code: str,
    text: str,
    now: datetime,
) -> None:
    """Keep that the attempts that some recipients are at ended in doubt. The caller holds their slice, and counts the
    attempt afterwards.

    Args:
        which: Conditions on Recipient.
        execution_id: What they are at.
    """
    chosen = _chosen(
        _recipient, execution_id, literal(touchpoint_id, Uuid()), literal(now), literal(code), literal(text)
    ).where(*which)
    session.execute(_counted(insert_into(session, Attempt), chosen))


class _AttemptStatements(RecipientStatements):
    """One database's set of them."""

    def __init__(self, dialect: Dialect) -> None:
        super(RecipientStatements, self).__init__(dialect)  # none of the others are wanted
        given = self._given()
        source = _recipient.join(given, _recipient.c.entity_id == given.c.key)
        at = bindparam("p_touchpoint_id", type_=Uuid())
        execution_id = self.current_execution_id(at)
        chosen = _chosen(source, execution_id, at, NOW, given.c.code, given.c.text).where(
            *self._between(), UNSETTLED
        )
        self.keep = _counted(dialect.insert(_attempt), chosen)


def _chosen(
    source: FromClause,
    execution_id: ColumnElement[Any],
    touchpoint_id: ColumnElement[Any],
    at: ColumnElement[Any],
    code: ColumnElement[Any],
    text: ColumnElement[Any],
) -> Select[Any]:
    """The attempts that recipients are at, in the order of `_COLUMNS`."""
    recipient = _recipient.c
    return select(
        recipient.campaign_id,
        recipient.entity_id,
        execution_id,
        recipient.attempt + 1,
        recipient.org_id,
        touchpoint_id,
        at,
        code,
        text,
        literal(1),
    ).select_from(source)


_KEY = ("campaign_id", "entity_id", "execution_id", "number")
_COLUMNS = (*_KEY, "org_id", "touchpoint_id", "answered_at", "error_code", "error_text", "times")


def _counted(insert: Any, chosen: Select[Any]) -> Any:
    """Insert `chosen`; a number that is there already has one more answer, the latest."""
    statement = insert.from_select(list(_COLUMNS), chosen)
    latest = {name: statement.excluded[name] for name in ("answered_at", "error_code", "error_text")}
    return statement.on_conflict_do_update(
        index_elements=list(_KEY), set_={**latest, "times": _attempt.c.times + 1}
    )
