"""One recipient's story in one campaign: its timeline (engine.insight.timeline), and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import or_, select

from actors.cli.failure import Failure
from actors.cli.watching import waiting
from engine.audience.targets import audience
from engine.insight.progress import campaign_progress
from engine.insight.timeline import timeline
from engine.listing import MAX_LIMIT
from state.change import clock_of
from state.tables import Entity, Execution, Recipient, Target
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["story"]


def story(session: Session, org_id: UUID, campaign: Campaign, wanted: str) -> dict[str, Any]:
    """What happened to an entity (its id, external id or e-mail address) in a campaign.

    Raises:
        Failure: there is no such entity, or several have that external id or address.
    """
    entity = _entity(session, org_id, wanted)
    recipient = session.execute(
        select(Recipient).where(
            Recipient.campaign_id == campaign.id,
            Recipient.org_id == org_id,
            Recipient.entity_id == entity.id,
        )
    ).scalar_one_or_none()
    told = {
        "entity_id": str(entity.id),
        "title": entity.title,
        "campaign": campaign.name,
        "campaign_status": campaign.status,
        "executions": _executions(session, org_id, campaign, entity.id, recipient),
    }
    if recipient is None:
        return told | {"verdict": _absent(session, org_id, campaign, entity), "timeline": []}
    entries = timeline(session, org_id, campaign.id, entity.id, limit=MAX_LIMIT).results
    return told | {
        "verdict": _verdict(session, org_id, campaign, recipient),
        "timeline": [
            {"at": f"{one.at:%Y-%m-%dT%H:%M:%SZ}", "what": one.what, "data": one.data} for one in entries
        ],
    }


def _entity(session: Session, org_id: UUID, wanted: str) -> Entity:
    try:
        known = [Entity.id == UUID(wanted)]
    except ValueError:
        known = [Entity.external_id == wanted, Entity.attributes["email"].as_string() == wanted]
    found = list(
        session.execute(select(Entity).where(Entity.org_id == org_id, or_(*known)).limit(2)).scalars()
    )
    if not found:
        raise Failure(
            f"nobody is known by {wanted!r}", "say an entity's id, its external id or its e-mail address"
        )
    if len(found) > 1:
        raise Failure(f"several are known by {wanted!r}", f"use the id: {found[0].id}, {found[1].id} …")
    return found[0]


def _executions(
    session: Session, org_id: UUID, campaign: Campaign, entity_id: UUID, recipient: Recipient | None
) -> list[dict[str, Any]]:
    earlier = session.execute(
        select(Execution)
        .where(
            Execution.campaign_id == campaign.id,
            Execution.org_id == org_id,
            Execution.entity_id == entity_id,
        )
        .order_by(Execution.ended_at)
    ).scalars()
    # Of a flow of several touchpoints the last one delivered stands in both places.
    current = None if recipient is None else recipient.execution_id
    told = [_told(row, row.id, row.status, row.ended_at) for row in earlier if row.id != current]
    if recipient is not None and recipient.automation_status is not None:
        status = recipient.automation_status
        told.append(_told(recipient, recipient.execution_id, status, recipient.updated_at))
    return told


def _told(row: Recipient | Execution, execution_id: UUID | None, status: str, at: datetime) -> dict[str, Any]:
    return {
        "execution_id": str(execution_id) if execution_id else None,
        "status": status,
        "touchpoint_id": str(row.touchpoint_id) if row.touchpoint_id else None,
        "attempt": row.attempt,
        "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "error_code": row.error_code,
        "error_text": row.error_text,
    }


def _verdict(session: Session, org_id: UUID, campaign: Campaign, recipient: Recipient) -> str:
    status = recipient.automation_status
    if status == AutomationStatus.PENDING:
        return f"not sent yet; {_turn(session, org_id, campaign, recipient)}"
    if status == AutomationStatus.IN_PROGRESS and not recipient.in_flight and recipient.job_id is not None:
        due_at = recipient.due_at
        when = "its turn comes" if due_at is None else f"due at {due_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"between two touchpoints; {when}"
    said = {
        None: "a recipient of the portal widget only; nothing is sent",
        AutomationStatus.IN_PROGRESS: "being sent now",
        AutomationStatus.SUCCESS: "delivered",
        AutomationStatus.FAILED: f"failed with {recipient.error_code}; `muster retrigger` would try again",
        AutomationStatus.CANCELLED: f"not sent: {recipient.error_code or 'cancelled'}",
    }
    return said[None if status is None else AutomationStatus(status)]


def _turn(session: Session, org_id: UUID, campaign: Campaign, recipient: Recipient) -> str:
    """When a pending recipient's turn comes."""
    held = waiting(campaign_progress(session, org_id, campaign.id))
    if held is not None:
        return f"the campaign waits: {held}"
    if recipient.due_at is not None and recipient.due_at > clock_of(session).now():
        return f"tried {recipient.attempt} times, again at {recipient.due_at:%H:%M:%S} UTC"
    return "its turn comes"


def _absent(session: Session, org_id: UUID, campaign: Campaign, entity: Entity) -> str:
    """Why somebody is no recipient."""
    if campaign.activated_at is None:
        return "no recipient: the campaign was never activated"
    now = clock_of(session).now()
    wanted = [UUID(target_id) for target_id in campaign.target_ids]
    targets = session.execute(select(Target).where(Target.org_id == org_id, Target.id.in_(wanted))).scalars()
    for target in targets:
        matches = select(Entity.id).where(Entity.id == entity.id, *audience(session, org_id, target, now))
        if session.execute(matches).first() is not None:
            return f"no recipient: matches {target.name!r} now, and did not when the campaign was activated"
    return f"no recipient: matches none of the campaign's targets (it is a {entity.schema})"
