"""The statements that a flow of several touchpoints needs beside those of a wave.

Each runs on a wave, or on a slice at most, by the index (job_id, slice_number, entity_id) as those do. They are
compare-and-sets on where the recipients are (`p_from`), so that one that is repeated, because nobody knows whether its
commit happened, moves nobody twice.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, String, Table, Uuid, bindparam, func, insert, literal, null, select, update

from engine.delivery.contact import contacted
from engine.delivery.recipient_statements import RecipientStatements
from engine.delivery.statements import NOW
from state.change import sources_of
from state.tables import Execution, Recipient
from state.transitions import AUTOMATION, AutomationStatus
from state.types import UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Insert, Select, Update

__all__ = ["SKIPPED", "StepStatements"]

#: The status, in the history, of an execution that a touchpoint's condition did not let through.
SKIPPED = "skipped"

_recipient = typing.cast("Table", Recipient.__table__)
_execution = typing.cast("Table", Execution.__table__)

_FROM = bindparam("p_from", type_=Uuid())
_TO = bindparam("p_touchpoint_id", type_=Uuid())
_STEP = bindparam("p_step", type_=Integer())
_VARIANT = bindparam("p_variant", type_=String())
_DUE_AT = bindparam("p_due_at", type_=UtcDateTime())


class StepStatements(RecipientStatements):
    """One database's set of them."""

    def __init__(self, *, postgresql: bool) -> None:
        self._postgresql = postgresql
        recipient = _recipient.c
        status = recipient.automation_status
        self._idle = recipient.in_flight.is_(False) & (
            sources_of(AUTOMATION, AutomationStatus.IN_PROGRESS) | (status == AutomationStatus.IN_PROGRESS)
        )
        self._flying = recipient.in_flight.is_(True) & (
            recipient.automation_status == AutomationStatus.IN_PROGRESS
        )
        self._here = self._idle & recipient.touchpoint_id.is_not_distinct_from(_FROM)
        there = self._here | (self._idle & (recipient.touchpoint_id == _TO))
        place: dict[str, ColumnElement[Any]] = {
            "touchpoint_id": _TO,
            "step": _STEP,
            "variant": func.coalesce(recipient.variant, _VARIANT),
        }
        self.load = self._load(
            self._idle,
            recipient.touchpoint_id,
            recipient.variant,
            recipient.attempt,
            recipient.due_at,
            recipient.automation_status,
        )
        self.claim = self._claim(there, place=place)
        self.claim_again = self._claim(there | self._flying, place=place)
        self.keep_delivered = self._keep(
            self._flying, recipient.execution_id, AutomationStatus.SUCCESS, null(), null()
        )
        self.keep_skipped = self._keep(
            self._here,
            func.coalesce(recipient.execution_id, func.gen_random_uuid()),
            SKIPPED,
            null(),
            null(),
        )
        self.keep_left = self._keep(
            self._here & (recipient.attempt > 0),
            recipient.execution_id,
            SKIPPED,
            recipient.error_code,
            recipient.error_text,
        )
        self.place_delivered = self._place(self._flying, **contacted(_recipient))
        self.place = self._place(self._here)
        self.begin = self._begin()
        self.finish = self._finish()
        self.been_through = self._been_through()

    def _keep(
        self,
        which: ColumnElement[bool],
        execution_id: ColumnElement[Any],
        status: str,
        code: ColumnElement[Any],
        text: ColumnElement[Any],
    ) -> Insert:
        """Executions of `p_keys` → the history."""
        recipient = _recipient.c
        columns = {
            "id": execution_id,
            "org_id": recipient.org_id,
            "campaign_id": recipient.campaign_id,
            "entity_id": recipient.entity_id,
            "job_id": recipient.job_id,
            "status": literal(status, String()),
            "attempt": recipient.attempt,
            "error_code": code,
            "error_text": text,
            "ended_at": NOW,
            "touchpoint_id": bindparam("p_at", type_=Uuid()),
            "step": bindparam("p_at_step", type_=Integer()),
            "variant": _VARIANT,
        }
        chosen = select(*columns.values()).where(self._recipients(), which)
        return insert(_execution).from_select(list(columns), chosen)

    def _place(self, which: ColumnElement[bool], **more: ColumnElement[Any]) -> Update:
        """→ in_progress at another touchpoint, not in flight, with an execution of its own."""
        return (
            update(_recipient)
            .where(self._recipients(), which)
            .values(
                automation_status=AutomationStatus.IN_PROGRESS,
                in_flight=False,
                touchpoint_id=_TO,
                step=_STEP,
                due_at=_DUE_AT,
                execution_id=func.gen_random_uuid(),
                attempt=0,
                error_code=None,
                error_text=None,
                updated_at=NOW,
                **more,
            )
        )

    def _begin(self) -> Update:
        """Pending → in_progress, nothing else: what ends must have begun."""
        return (
            update(_recipient)
            .where(self._recipients(), self._here, sources_of(AUTOMATION, AutomationStatus.IN_PROGRESS))
            .values(automation_status=AutomationStatus.IN_PROGRESS, updated_at=NOW)
        )

    def _finish(self) -> Update:
        """In progress, not in flight → success: nothing is left of the flow. The execution is the last there was. Index
        execution (campaign_id, entity_id, ended_at).
        """
        kept = _execution.c
        last = (
            select(kept.id)
            .where(
                kept.campaign_id == _recipient.c.campaign_id,
                kept.entity_id == _recipient.c.entity_id,
            )
            .order_by(kept.ended_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        return (
            update(_recipient)
            .where(self._recipients(), self._here, sources_of(AUTOMATION, AutomationStatus.SUCCESS))
            .values(
                automation_status=AutomationStatus.SUCCESS,
                execution_id=func.coalesce(last, _recipient.c.execution_id),
                due_at=None,
                error_code=None,
                error_text=None,
                updated_at=NOW,
            )
        )

    def _been_through(self) -> Select[Any]:
        """Who of `p_ids` was run through a touchpoint before. Index execution (campaign_id, entity_id, ended_at)."""
        return select(_execution.c.entity_id).where(
            _execution.c.campaign_id == bindparam("p_campaign_id", type_=Uuid()),
            self._among(_execution.c.entity_id),
            _execution.c.touchpoint_id == _TO,
            (_execution.c.status == AutomationStatus.SUCCESS) | (_execution.c.status == SKIPPED),
        )
