"""Enrolling existing customers, many at once (docs/contract/enrolled-targets.md, `targets:bulk`).

Promises:
- A customer is a target of a campaign once: one that is a target already is skipped, one that was soft-deleted comes
  back with the stage they had, and one that is a recipient through the audience becomes a target as well.
- An unknown customer is an entry among the errors and stops nobody else.
- The number of statements does not depend on the number of items. What is held of an item in memory is its id, its
  keys, and the agent's id.
- A campaign that runs contacts them; any other does with its next activation (engine.delivery.enrolled_recipients).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID  # noqa: TC003 - read where bodies are validated

import orjson
from sqlalchemy import String, Text, Uuid, case, cast, func, literal, select

from engine import audit
from engine.delivery.enrol import guard
from engine.delivery.enrolled_recipients import deliver_enrolled
from engine.enrolled import keys
from engine.enrolled.targets import check_campaign, customer_at, hold_campaign
from state.change import clock_of
from state.dialects import dialect_of
from state.sets import among, insert_into, rows
from state.tables import Entity, Recipient
from state.transitions import TargetStage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

__all__ = ["MOST", "BulkResult", "UnknownCustomer", "Wish", "enrol_customers", "write_targets"]

#: Items of a request.
MOST = 100_000
#: Rows that a read keeps in memory.
_PAGE = 2_000


@dataclass(slots=True)
class Wish:
    """One item: who is to be enrolled, and whose they are to be."""

    customer_id: UUID
    assigned_agent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class UnknownCustomer:
    """An item that could not be enrolled."""

    customer_id: UUID
    message: str = "customer does not exist"


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of the items; `total` = created + skipped + errors."""

    total: int
    created: int
    skipped: int
    """Targets already, or named before in the same request."""
    errors: list[UnknownCustomer] = field(default_factory=list)


def enrol_customers(session: Session, org_id: UUID, campaign_id: UUID, items: Sequence[Wish]) -> BulkResult:
    """Make these customers targets of a campaign.

    Raises:
        NotFound: there is no such campaign.
    """
    check_campaign(session, org_id, campaign_id)
    wanted: dict[UUID, UUID | None] = {}
    for item in items:
        wanted.setdefault(item.customer_id, item.assigned_agent_id)
    # Reading numbers takes longest; nobody waits for it.
    known = _keys_of(session, org_id, wanted)
    errors = [UnknownCustomer(key) for key in wanted if key not in known]
    guard(session, org_id, activates=False)
    campaign = hold_campaign(session, org_id, campaign_id)
    created = write_targets(
        session, org_id, campaign_id, [(key, wanted[key], held) for key, held in known.items()]
    )
    keys.hold(
        session,
        org_id,
        campaign_id,
        (key for entity_id in created for key in keys.unpacked(known[entity_id])),
    )
    deliver_enrolled(session, campaign, created)
    if created:
        audit.note(session, "recipient", "create", campaign_id=str(campaign_id), created=len(created))
    total = len(items)
    return BulkResult(total, len(created), total - len(created) - len(errors), errors)


def _keys_of(session: Session, org_id: UUID, wanted: Iterable[UUID]) -> dict[UUID, str]:
    """Those who exist, in order, with their keys as JSON text. One statement, read a page at a time."""
    finder = keys.key_finder(session, org_id)
    found = session.execute(
        select(Entity.id, cast(Entity.attributes, Text))
        .where(among(session, Entity.id, wanted), Entity.org_id == org_id)
        .order_by(Entity.id)
        .execution_options(yield_per=_PAGE)
    )
    return {entity_id: keys.packed(finder(orjson.loads(attributes))) for entity_id, attributes in found}


def write_targets(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    given: Sequence[tuple[UUID, UUID | None, str]],
) -> Sequence[UUID]:
    """Make entities (id, agent, keys as JSON text) live targets; returns those who were not, in no order.

    One statement. A recipient that has been sent something already is `contacted`. The caller holds the campaign and
    the keys. Primary key (campaign_id, entity_id).
    """
    now = clock_of(session).now()
    people = rows(session, {"id": Uuid, "agent": Uuid, "held": String}, given)
    zeros = ("calls_made", "whatsapp_sent", "email_sent")
    columns: dict[str, Any] = {
        "org_id": literal(org_id, Uuid),
        "campaign_id": literal(campaign_id, Uuid),
        "entity_id": Entity.id,
        "entity_schema": Entity.schema,
        "title": Entity.title,
        "attempt": literal(0),
        "created_at": literal(now, Recipient.created_at.type),
        "updated_at": literal(now, Recipient.updated_at.type),
        "stage": literal(TargetStage.NEW.value),
        "assigned_agent_id": people.c.agent,
        "contact_keys": dialect_of(session).document(people.c.held),
        **{name: literal(0) for name in zeros},
    }
    chosen = (
        select(*columns.values())
        .select_from(people.join(Entity, customer_at(people.c.id, org_id)))
        .order_by(Entity.id)
    )
    statement = insert_into(session, Recipient).from_select(list(columns), chosen)
    stage = case((Recipient.sent_at.is_not(None), TargetStage.CONTACTED.value), else_=TargetStage.NEW.value)
    changed: Mapping[str, Any] = {
        "stage": func.coalesce(Recipient.stage, stage),
        "assigned_agent_id": func.coalesce(statement.excluded.assigned_agent_id, Recipient.assigned_agent_id),
        "contact_keys": statement.excluded.contact_keys,
        "last_contacted_at": func.coalesce(Recipient.last_contacted_at, Recipient.sent_at),
        "deleted_at": None,
        "updated_at": now,
        **{name: func.coalesce(getattr(Recipient, name), 0) for name in zeros},
    }
    return session.scalars(
        statement.on_conflict_do_update(
            index_elements=["campaign_id", "entity_id"],
            set_=changed,
            where=Recipient.stage.is_(None) | Recipient.deleted_at.is_not(None),
        ).returning(Recipient.entity_id)
    ).all()
