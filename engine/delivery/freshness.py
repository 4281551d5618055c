"""How things stand when a wave is claimed: its people, and what they are to be sent, read again where that is old.

A lease loads its slice's people and the flow once, and under limits, or over a slow channel, may live for minutes.
Promises:
- Nobody is written to by what was known of them more than `FRESH_FOR` before their wave was claimed: who was deleted is
  excluded, who changed gets the message at the new address and with the new data.
- A flow, template or channel that was changed ends the lease before the wave is claimed; the next, at once, goes by the
  change.
- A slice that is delivered faster than that reads nothing twice; of people who have not changed no data is read again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engine.delivery.flow_plan import flow_plan_of
from engine.delivery.lease_statements import RecipientStatements
from engine.delivery.sender import SenderUnavailable
from engine.delivery.work_plan import attributes_of
from engine.kernel.prepared import execute

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.delivery.flow_plan import FlowPlan
    from engine.delivery.sender import Senders
    from engine.delivery.slices import Lease
    from engine.delivery.work_plan import PendingRecipient, StepGroup

__all__ = ["COMMITTED_WITHIN", "FRESH_FOR", "has_changed", "reread"]

#: How long people and flow are taken for what they were when they were read, in seconds.
FRESH_FOR = 0.5
#: How long a change may be on its way from its `updated_at` to its commit.
COMMITTED_WITHIN = timedelta(minutes=5)

_VERSIONS = (
    "touchpoint_id",
    "touchpoint_updated_at",
    "status",
    "template_id",
    "template_updated_at",
    "channel_id",
    "channel_updated_at",
    "channel_tracking",
    "campaign_tracking",
)


def has_changed(session: Session, lease: Lease, loaded: FlowPlan, group: StepGroup, senders: Senders) -> bool:
    """Whether anything is to be sent otherwise than when the lease loaded its flow."""
    flow = flow_plan_of(session, lease.org_id, lease.job_id)
    if _versions_of(flow) != _versions_of(loaded):
        return True
    step = flow.find(group.touchpoint_id)
    if step is None or group.sender is None or not step.row.variants:
        return False
    try:  # a variant's template is not among the versions
        sender = senders.of_step(session, lease.org_id, step, group.variant)
    except SenderUnavailable:
        return True
    return sender.template is not group.sender.template


def reread(
    session: Session, lease: Lease, recipients: Sequence[PendingRecipient], *, since: datetime
) -> list[PendingRecipient]:
    """Recipients with their attributes as they are; None: the entity was deleted. One statement.

    Args:
        since: Entities that have not changed since then are not read again.
    """
    found = execute(
        session,
        RecipientStatements.of(session).reload,
        p_org_id=lease.org_id,
        p_since=since,
        p_ids=[one.entity_id for one in recipients],
    )
    known = {row[0]: row for row in found.all()}
    return [_as_of_now(one, known.get(one.entity_id)) for one in recipients]


def _as_of_now(recipient: PendingRecipient, row: Sequence[Any] | None) -> PendingRecipient:
    """A recipient as `RecipientStatements.reload` finds them; None: it does not."""
    if row is None or not row[1]:
        return recipient._replace(attributes=None)
    entity_id, _, text, title, external_id = row
    if text is None:
        return recipient
    return recipient._replace(attributes=attributes_of(entity_id, text, title, external_id))


def _versions_of(flow: FlowPlan) -> list[tuple[Any, ...]]:
    return [tuple(getattr(step.row, name) for name in _VERSIONS) for step in flow.steps]
