"""Automation flows: the touchpoints that a campaign runs each recipient through.

Today a flow has exactly one touchpoint, of type `message`; more are refused rather than kept and never
delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints
from sqlalchemy import delete, select

from engine import listing
from engine.campaigns.lifecycle import OPEN
from engine.inputs import Input, InUse, Invalid, Name
from state.change import clock_of
from state.sets import among
from state.tables import Campaign, Channel, Flow, Job, Template, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "FlowChange",
    "FlowInput",
    "TouchpointInput",
    "create_flow",
    "delete_flow",
    "get_flow",
    "list_flows",
    "touchpoints_of",
    "update_flow",
]


class TouchpointInput(Input):
    """One step: a message made from a template, over a channel (absent: the organization's default)."""

    type: Literal["message"] = "message"
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=150)] = ""
    template_id: UUID
    channel_id: UUID | None = None


class FlowInput(Input):
    """A new flow."""

    name: Name
    touchpoints: list[TouchpointInput] = Field(max_length=100)


class FlowChange(FlowInput):
    """What is to be different; `touchpoints` replaces them all."""

    name: Name = ""
    touchpoints: list[TouchpointInput] = Field(default_factory=list, max_length=100)


def create_flow(session: Session, org_id: UUID, given: FlowInput) -> Flow:
    """Keep a flow.

    Raises:
        Invalid: it has not exactly one touchpoint, or names a template or channel that does not exist.
    """
    now = clock_of(session).now()
    flow = Flow(id=uuid4(), org_id=org_id, name=given.name, created_at=now, updated_at=now)
    _check(session, org_id, given.touchpoints)
    session.add(flow)
    session.flush()
    _write(session, flow, given.touchpoints)
    return flow


def get_flow(session: Session, org_id: UUID, flow_id: UUID) -> Flow:
    """Raises NotFound."""
    return listing.find(session, Flow, org_id, flow_id)


def list_flows(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
) -> listing.Page[Flow]:
    """Newest first; see `listing.page`."""
    return listing.page(session, Flow, org_id, limit=limit, next=next)


def touchpoints_of(session: Session, org_id: UUID, flow_ids: Sequence[UUID]) -> dict[UUID, list[Touchpoint]]:
    """The touchpoints of these flows, in order. One statement."""
    found: dict[UUID, list[Touchpoint]] = {flow_id: [] for flow_id in flow_ids}
    for touchpoint in session.execute(
        select(Touchpoint)
        .where(Touchpoint.org_id == org_id, among(session, Touchpoint.flow_id, flow_ids))
        .order_by(Touchpoint.flow_id, Touchpoint.position)
    ).scalars():
        found[touchpoint.flow_id].append(touchpoint)
    return found


def update_flow(session: Session, org_id: UUID, flow_id: UUID, given: FlowChange) -> Flow:
    """Change a flow; running jobs follow it from their next slice on.

    Raises:
        NotFound: there is none.
        Invalid: as `create_flow`. Nothing was changed.
    """
    flow = listing.find(session, Flow, org_id, flow_id, lock=True)
    if "touchpoints" in given.model_fields_set:
        _check(session, org_id, given.touchpoints)
        session.execute(delete(Touchpoint).where(Touchpoint.flow_id == flow_id, Touchpoint.org_id == org_id))
        _write(session, flow, given.touchpoints)
    if "name" in given.model_fields_set:
        flow.name = given.name
    if given.model_fields_set:
        listing.stamp(session, flow)
        session.flush()
    return flow


def delete_flow(session: Session, org_id: UUID, flow_id: UUID) -> None:
    """Remove a flow that no campaign and no running job uses.

    Raises:
        NotFound: there is none.
        InUse: a campaign uses it; names the campaign.
    """
    flow = listing.find(session, Flow, org_id, flow_id, lock=True)
    running = select(Job.campaign_id).where(
        Job.org_id == org_id, Job.flow_id == flow_id, Job.status.in_(OPEN)
    )
    user = session.execute(
        select(Campaign.name)
        .where(Campaign.org_id == org_id, (Campaign.flow_id == flow_id) | Campaign.id.in_(running))
        .limit(1)
    ).scalar_one_or_none()
    if user is not None:
        raise InUse(f"the campaign {user!r} uses this flow")
    session.delete(flow)
    session.flush()


def _check(session: Session, org_id: UUID, touchpoints: Sequence[TouchpointInput]) -> None:
    if len(touchpoints) != 1:
        raise Invalid(
            "touchpoints", f"a flow has exactly one touchpoint of type message; {len(touchpoints)} were given"
        )
    for index, touchpoint in enumerate(touchpoints):
        # Locked as the key shares of a foreign key are, so that neither is deleted before this is committed.
        for field, table, wanted in (
            ("template_id", Template, touchpoint.template_id),
            ("channel_id", Channel, touchpoint.channel_id),
        ):
            if wanted is None:
                continue
            known = select(table.id).where(table.id == wanted, table.org_id == org_id)
            locked = known.with_for_update(read=True, key_share=True)
            if session.execute(locked).first() is None:
                raise Invalid(
                    f"touchpoints[{index}].{field}", f"{table.__tablename__} {wanted} does not exist"
                )


def _write(session: Session, flow: Flow, touchpoints: Sequence[TouchpointInput]) -> None:
    now = clock_of(session).now()
    session.add_all(
        Touchpoint(
            org_id=flow.org_id,
            flow_id=flow.id,
            position=position,
            type=touchpoint.type,
            name=touchpoint.name,
            template_id=touchpoint.template_id,
            channel_id=touchpoint.channel_id,
            created_at=now,
            updated_at=now,
        )
        for position, touchpoint in enumerate(touchpoints)
    )
    session.flush()
