"""A campaign's recipients as others report them: added, changed, and what they did on a portal
(docs/contract/targeting.md).

- Creating and updating write attributes: they say what happened elsewhere and never make Muster send. A
  recipient that is reported to be pending or in progress elsewhere leaves the job that would have delivered to
  it; one that is reported as done stays in its job, whose counters move with it (state/tables/delivery.py).
- The portal's status follows its table (`change_portal_status`): of two reports at once one is in time.
- Every change of a portal status is in the engagement log, in the same transaction.

Locks are taken in the order campaign, slice, recipient, job, sums: deleting a campaign, settling a wave and these
never wait for each other in a circle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

from pydantic import ConfigDict, StringConstraints
from sqlalchemy import ColumnElement, delete, select, update

from engine import audit
from engine.campaigns.absent import NeverNull
from engine.delivery.cancel_codes import JOB_CANCELLED
from engine.delivery.counters import Place, lock_slices, move
from engine.delivery.history import sum_outcomes
from engine.engagement.engagement import Engaged, Kind, Medium, note
from engine.filters.schema_names import check_schema
from engine.kernel import listing
from engine.kernel.inputs import Invalid
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.change import change_status, clock_of
from state.errors import NotFound
from state.sets import insert_into
from state.tables import Campaign, Entity, Recipient
from state.transitions import PORTAL, AutomationStatus, PortalStatus

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.campaigns.matching import EntityRef

__all__ = [
    "RecipientChange",
    "RecipientInput",
    "add_recipient",
    "change_portal_status",
    "create_recipient",
    "delete_recipient",
    "hold_campaign",
    "one_recipient",
    "recipient_rows",
    "update_recipient",
]

#: Outcomes; a recipient reported to be without one goes on elsewhere.
_OUTCOMES = (AutomationStatus.SUCCESS, AutomationStatus.FAILED, AutomationStatus.CANCELLED)
_ExecutionId = Annotated[str, StringConstraints(max_length=1024)]


class RecipientChange(NeverNull):
    """What is to be different. `portal_state` is merged by name."""

    # Upstream leaves this open: what is not known is passed over.
    model_config = ConfigDict(extra="ignore", frozen=True)

    automation_status: AutomationStatus | None = None
    automation_execution_id: _ExecutionId | None = None
    portal_status: PortalStatus | None = None
    portal_state: dict[str, Any] | None = None


class RecipientInput(RecipientChange):
    """A new recipient: its automation, its portal, or both (docs/contract/targeting.md)."""

    entity_id: UUID
    entity_schema: str


def create_recipient(session: Session, org_id: UUID, campaign_id: UUID, given: RecipientInput) -> Recipient:
    """Make an entity a recipient. The entity need not be known here; if it is, the recipient has its title.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
        Invalid: neither part was given, or half of one; the entity is of another schema; it is a recipient
            already. Nothing was changed.
    """
    wanted = given.model_dump(exclude_unset=True)
    for part, other in (
        ("automation_status", "automation_execution_id"),
        ("automation_execution_id", "automation_status"),
        ("portal_state", "portal_status"),
    ):
        if part in wanted and other not in wanted:
            raise Invalid(other, f"is required with {part}")
    if "automation_status" not in wanted and "portal_status" not in wanted:
        raise Invalid(
            "automation_status", "with automation_execution_id is required, or portal_status, or all of them"
        )
    hold_campaign(session, org_id, campaign_id)
    values: dict[str, Any] = {
        name: wanted[name]
        for name in ("automation_status", "portal_status", "portal_state")
        if name in wanted
    }
    if "automation_execution_id" in wanted:
        values |= _called(uuid4(), wanted["automation_execution_id"])
    if "portal_status" in wanted:
        values["portal_status_updated_at"] = clock_of(session).now()
    if not add_recipient(session, org_id, campaign_id, (given.entity_id, given.entity_schema), values):
        raise Invalid("entity_id", f"{given.entity_id} is a recipient of this campaign already")
    if "portal_status" in wanted:
        _note_portal(session, org_id, campaign_id, given.entity_id, wanted["portal_status"])
    audit.note(session, "recipient", "create", given.entity_id, campaign_id=str(campaign_id))
    return one_recipient(session, org_id, campaign_id, given.entity_id)


def update_recipient(
    session: Session, org_id: UUID, campaign_id: UUID, entity_id: UUID, given: RecipientChange
) -> Recipient:
    """Write attributes of a recipient, whatever they were. What is not given stays.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
        NotFound: there is no such recipient.
    """
    hold_campaign(session, org_id, campaign_id)
    wanted = given.model_dump(exclude_unset=True)
    if "automation_status" in wanted:
        lock_slices(session, *recipient_rows(org_id, campaign_id, entity_id))
    row = one_recipient(session, org_id, campaign_id, entity_id, lock=True)
    now = clock_of(session).now()
    values: dict[str, Any] = {}
    if wanted.get("automation_status", row.status) != row.status:
        values |= _reported(row, wanted["automation_status"])
    if "automation_execution_id" in wanted:
        values |= _called(row.current_execution_id or uuid4(), wanted["automation_execution_id"])
    shown = wanted.get("portal_status", row.portal_status)
    if shown != row.portal_status:
        values |= {"portal_status": shown, "portal_status_updated_at": now}
    if "portal_state" in wanted:
        values["portal_state"] = {**(row.portal_state or {}), **wanted["portal_state"]}
    if not values:
        return row
    ours = recipient_rows(org_id, campaign_id, entity_id)
    place, old = _place(row), row.status
    if "automation_status" in values:
        sum_outcomes(session, campaign_id, *ours, sign=-1)
    session.execute(
        update(Recipient)
        .where(*ours)
        .values(**values, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    if "automation_status" in values and place is not None:
        move(session, place, old, None if "job_id" in values else values["automation_status"])
        sum_outcomes(session, campaign_id, *ours, sign=1)
    if "portal_status" in values:
        _note_portal(session, org_id, campaign_id, entity_id, values["portal_status"])
    return one_recipient(session, org_id, campaign_id, entity_id)


def change_portal_status(
    session: Session, org_id: UUID, campaign_id: UUID, entity_id: UUID, wanted: PortalStatus
) -> Recipient:
    """Move a recipient's portal status by its table; the first one may be any.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
        NotFound: there is no such recipient.
        IllegalTransition: the table does not allow the move; staying is none. Nothing was changed.
    """
    hold_campaign(session, org_id, campaign_id)
    now = clock_of(session).now()
    rows = recipient_rows(org_id, campaign_id, entity_id)
    stamps = {"portal_status_updated_at": now, "updated_at": now}
    first = session.execute(
        update(Recipient)
        .where(*rows, Recipient.portal_status.is_(None))
        .values(portal_status=wanted.value, **stamps)
        .execution_options(synchronize_session=False)
    )
    if first.rowcount == 0:  # type: ignore[attr-defined]
        change_status(session, PORTAL, wanted, *rows, key=entity_id, **stamps)
    _note_portal(session, org_id, campaign_id, entity_id, wanted)
    return one_recipient(session, org_id, campaign_id, entity_id)


def delete_recipient(session: Session, row: Recipient) -> Recipient | None:
    """Delete a recipient's row, whatever becomes of it meanwhile: its job counts one less of what it was by then, and a
    worker that has it in flight finds nothing to settle.

    The caller holds the campaign. Returns the row as it was deleted; None: somebody else deleted it.
    """
    ours = (Recipient.campaign_id == row.campaign_id, Recipient.entity_id == row.entity_id)
    lock_slices(session, *ours)
    known = select(Recipient).where(*ours).with_for_update().execution_options(populate_existing=True)
    last = session.execute(known).scalar_one_or_none()
    if last is None:
        return None
    sum_outcomes(session, row.campaign_id, *ours, sign=-1)
    session.execute(delete(Recipient).where(*ours).execution_options(synchronize_session=False))
    if (place := _place(last)) is not None:
        move(session, place, last.status, None)
    session.expunge(last)
    return last


def hold_campaign(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Keep the campaign from being deleted until the transaction ends, as a foreign key would.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
    """
    if not listing.kept(session, Campaign, org_id, campaign_id):
        raise RuleViolation(RuleCode.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")


def recipient_rows(org_id: UUID, campaign_id: UUID, entity_id: UUID) -> tuple[ColumnElement[bool], ...]:
    """The condition for one recipient's row; a soft-deleted target is none. Primary key."""
    return (
        Recipient.campaign_id == campaign_id,
        Recipient.entity_id == entity_id,
        Recipient.org_id == org_id,
        Recipient.deleted_at.is_(None),
    )


def one_recipient(
    session: Session, org_id: UUID, campaign_id: UUID, entity_id: UUID, *, lock: bool = False
) -> Recipient:
    """The recipient as it is now.

    Raises:
        NotFound: there is none.
    """
    statement = select(Recipient).where(*recipient_rows(org_id, campaign_id, entity_id))
    if lock:
        statement = statement.with_for_update()
    row = session.execute(statement.execution_options(populate_existing=True)).scalar_one_or_none()
    if row is None:
        raise NotFound("recipient", entity_id)
    return row


def add_recipient(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    ref: EntityRef | tuple[UUID, str],
    values: dict[str, Any],
) -> bool:
    """Insert a recipient that no job counts, with the title of its entity; False when there is one.

    Raises:
        Invalid: the schema is none, or the entity is of another.
    """
    entity_id, schema = ref
    try:
        check_schema(schema)
    except Invalid as error:
        raise Invalid("entity_schema", error.message) from None
    entity = session.execute(
        select(Entity.schema, Entity.title).where(Entity.id == entity_id, Entity.org_id == org_id)
    ).one_or_none()
    if entity is not None and entity.schema != schema:
        raise Invalid("entity_schema", f"{entity_id} is of the schema {entity.schema}")
    now = clock_of(session).now()
    row = {
        "org_id": org_id,
        "campaign_id": campaign_id,
        "entity_id": entity_id,
        "entity_schema": schema,
        "title": "" if entity is None else entity.title,
        "created_at": now,
        "updated_at": now,
        **values,
    }
    statement = insert_into(session, Recipient).values(row).on_conflict_do_nothing()
    return session.execute(statement.returning(Recipient.entity_id)).first() is not None


def _called(execution_id: UUID, alias: str) -> dict[str, Any]:
    """The columns of an execution that somebody else has a name for."""
    return {"execution_id": execution_id, "execution_alias": alias, "execution_alias_of": execution_id}


def _reported(row: Recipient, wanted: AutomationStatus) -> dict[str, Any]:
    """The columns of a recipient whose automation somebody else reports on."""
    values: dict[str, Any] = {
        "automation_status": wanted,
        "error_code": None,
        "error_text": None,
        "due_at": None,
    }
    if wanted not in _OUTCOMES and row.job_id is not None:
        # It goes on elsewhere. Left in its slice it would be sent to from here as well, or wait for ever.
        values |= {"job_id": None, "slice_number": None}
    return values


def _place(row: Recipient) -> Place | None:
    """Who counts a recipient; None: no job does."""
    if row.job_id is None:
        return None
    return Place(row.job_id, row.slice_number, unreached=row.error_code == JOB_CANCELLED)


def _note_portal(session: Session, org_id: UUID, campaign_id: UUID, entity_id: UUID, status: str) -> None:
    now = clock_of(session).now()
    note(session, org_id, [Engaged(campaign_id, entity_id, Medium.PORTAL, Kind(status), now)])
