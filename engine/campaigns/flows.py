"""Automation flows: the touchpoints that a campaign runs each recipient through, in order (docs/sequences.md).

What cannot be run is refused when it is written: a template that does not parse, a wait without an end, a condition
that cannot be evaluated. A change counts from the next wave on, for all recipients that are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints
from sqlalchemy import select

from engine.campaigns.actions import check_request, check_request_author, check_request_channel
from engine.campaigns.templates import TemplateInput
from engine.content.errors import TemplateError
from engine.content.stored import compile_message
from engine.delivery.conditions import check_condition
from engine.delivery.flow_plan import UNITS
from engine.kernel import listing
from engine.kernel.inputs import Input, InUse, Invalid, Name, Rewritable, read
from engine.kernel.instants import read_instant
from engine.kernel.suggestions import did_you_mean
from state.change import clock_of
from state.sets import among
from state.tables import Campaign, Channel, Flow, Job, Template, Touchpoint
from state.transitions import OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "FlowChange",
    "FlowInput",
    "TouchpointInput",
    "VariantInput",
    "create_flow",
    "delete_flow",
    "get_flow",
    "list_flows",
    "touchpoints_of",
    "update_flow",
]


#: What belongs to touchpoints of certain types only.
_ONLY_FOR = {
    "template_id": ("message",),
    "content": ("message",),
    "variants": ("message",),
    "channel_id": ("message", "action"),
    "settings": ("wait", "action"),
}
#: A wait lasts ten years at most.
_LONGEST = dict(zip(UNITS, (315_360_000, 5_256_000, 87_600, 3_650, 521), strict=True))


class VariantInput(Input):
    """One way to say a message."""

    id: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    weight: Annotated[float, Field(ge=0, le=1_000_000)] = 1
    """Its share, beside the others'."""
    template_id: UUID | None = None
    content: dict[str, Any] | None = None
    """A message of its own, shaped like a template."""


class TouchpointInput(Input):
    """One step of a flow: a message to send, a wait, or an HTTP request to make."""

    id: UUID | None = None
    """Which of the flow's touchpoints this is. Absent: the one in its place, if that is of its type, else a new one."""
    type: Literal["message", "wait", "action"] = "message"
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=150)] = ""
    description: Annotated[str, StringConstraints(max_length=500)] | None = None
    status: Literal["active", "inactive", "archived", "update_needed"] = "active"
    """Only active ones are run."""
    condition: dict[str, Any] | None = None
    """A filter tree; whom it does not let through skips this step."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of a wait: `{"days": n, "hours": n, …}` or `{"until": instant}`. Of an action: what the http channel takes;
    an admin's to write."""
    template_id: UUID | None = None
    content: dict[str, Any] | None = None
    """A message of its own, shaped like a template; instead of `template_id`."""
    variants: Annotated[list[VariantInput], Field(min_length=1, max_length=100)] | None = None
    channel_id: UUID | None = None
    """Of a message; absent: the organization's default. Of an action without settings: an http channel."""


class FlowInput(Input):
    """A new flow: its touchpoints, in order."""

    name: Name
    touchpoints: list[TouchpointInput] = Field(max_length=100)


class FlowChange(Rewritable, FlowInput):
    """What is to be different; `touchpoints` replaces them all."""

    name: Name = ""
    touchpoints: list[TouchpointInput] = Field(default_factory=list, max_length=100)


def create_flow(session: Session, org_id: UUID, given: FlowInput) -> Flow:
    """Keep a flow.

    Raises:
        Invalid: it has no touchpoint, or one that cannot be run; names the field.
    """
    now = clock_of(session).now()
    flow = Flow(id=uuid4(), org_id=org_id, name=given.name, created_at=now, updated_at=now)
    _check(session, org_id, given.touchpoints, {})
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
        if touchpoint.flow_id is not None:
            found[touchpoint.flow_id].append(touchpoint)
    return found


def update_flow(session: Session, org_id: UUID, flow_id: UUID, given: FlowChange) -> Flow:
    """Change a flow; running jobs follow it from their next wave on.

    Raises:
        NotFound: there is none.
        Invalid: as `create_flow`. Nothing was changed.
    """
    flow = listing.find(session, Flow, org_id, flow_id, lock=True)
    if "touchpoints" in given.model_fields_set:
        rows = touchpoints_of(session, org_id, [flow_id])[flow_id]
        _check(session, org_id, given.touchpoints, {row.id: row for row in rows})
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


def _check(
    session: Session, org_id: UUID, touchpoints: Sequence[TouchpointInput], known: Mapping[UUID, Touchpoint]
) -> None:
    """See that the flow can be run. A touchpoint that stays as it is was looked at when it was written."""
    if not touchpoints:
        raise Invalid("touchpoints", "a flow has at least one touchpoint")
    named = [touchpoint.id for touchpoint in touchpoints if touchpoint.id is not None]
    if len(named) != len(set(named)):
        raise Invalid("touchpoints", "two of them have the same id")
    requests = [row.settings for row in known.values() if row.type == "action"]
    for index, touchpoint in enumerate(touchpoints):
        if _is_same(touchpoint, known.get(touchpoint.id) if touchpoint.id is not None else None):
            continue
        try:
            _check_one(session, org_id, touchpoint, requests)
        except Invalid as error:
            raise type(error)(f"touchpoints[{index}].{error.field}", error.message) from error


def _is_same(given: TouchpointInput, row: Touchpoint | None) -> bool:
    """Whether a touchpoint is given as answers show it."""
    if row is None:
        return False
    shown = {name: getattr(row, name) for name in TouchpointInput.model_fields}
    return given == TouchpointInput.model_construct(
        **shown | {"settings": row.settings or {}, "variants": _variants_of(row)}
    )


def _variants_of(row: Touchpoint) -> list[VariantInput] | None:
    """A touchpoint's variants as they are given; empty, as none are given, for some that cannot be."""
    try:
        return None if row.variants is None else [read(VariantInput, one) for one in row.variants]
    except Invalid:
        return []


def _check_one(
    session: Session, org_id: UUID, given: TouchpointInput, requests: Sequence[dict[str, Any]]
) -> None:
    for name, types in _ONLY_FOR.items():
        if getattr(given, name) and given.type not in types:
            raise Invalid(name, f"is nothing that a touchpoint of type {given.type} has")
    if given.condition is not None:
        check_condition(given.condition)
    if given.type == "wait":
        _check_wait(given.settings)
    elif given.type == "action":
        _check_action(session, org_id, given, requests)
    else:
        _check_message(session, org_id, given)


def _check_message(session: Session, org_id: UUID, given: TouchpointInput) -> None:
    if given.template_id is None and given.content is None and given.variants is None:
        raise Invalid("template_id", "is required, or content, or variants")
    if given.content is not None:
        _check_content("content", given.content)
    _check_exists(session, org_id, Template, "template_id", given.template_id)
    _check_exists(session, org_id, Channel, "channel_id", given.channel_id)
    variants = given.variants or []
    if variants and not sum(variant.weight for variant in variants):
        raise Invalid("variants", "one of them must have a weight")
    for index, variant in enumerate(variants):
        at = f"variants[{index}]"
        if variant.id in [other.id for other in variants[:index]]:
            raise Invalid(f"{at}.id", f"{variant.id!r} is there twice")
        if variant.content is not None:
            _check_content(f"{at}.content", variant.content)
        elif variant.template_id is None and given.template_id is None and given.content is None:
            raise Invalid(f"{at}.template_id", "is required, or content")
        _check_exists(session, org_id, Template, f"{at}.template_id", variant.template_id)


def _check_exists(
    session: Session, org_id: UUID, table: type[Template | Channel], field: str, wanted: UUID | None
) -> None:
    """Locked as the key shares of a foreign key are, so that it is not deleted before this is committed."""
    if wanted is not None and not listing.kept(session, table, org_id, wanted):
        raise Invalid(field, f"{table.__tablename__} {wanted} does not exist")


def _check_content(field: str, content: dict[str, Any]) -> None:
    try:
        given = read(TemplateInput, {"name": field, **content})
        compile_message(given.model_dump(include=set(content)))
    except Invalid as error:
        raise Invalid(f"{field}.{error.field}", error.message) from error
    except TemplateError as error:
        raise Invalid(f"{field}.{error.field}", f"line {error.line}: {error.message}") from error


def _check_wait(settings: dict[str, Any]) -> None:
    unknown = sorted(settings.keys() - {"until", *UNITS})
    if unknown:
        raise Invalid(
            f"settings.{unknown[0]}", "is not known here" + did_you_mean(unknown[0], ["until", *UNITS])
        )
    if "until" in settings:
        if len(settings) > 1:
            raise Invalid("settings", "a wait has a length or an end, not both")
        try:
            read_instant(settings["until"])
        except (TypeError, ValueError):
            raise Invalid("settings.until", "must be an instant like 2026-05-04T09:00:00Z") from None
        return
    if not settings:
        raise Invalid("settings", f"a wait needs a length ({', '.join(UNITS)}) or `until`")
    for unit, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST[unit]:
            raise Invalid(f"settings.{unit}", f"must be a number from 0 to {_LONGEST[unit]}")


def _check_action(
    session: Session, org_id: UUID, given: TouchpointInput, requests: Sequence[dict[str, Any]]
) -> None:
    """`requests`: those that the flow's actions have."""
    if given.channel_id is None:
        check_request(session, given.settings)
        check_request_author(session, given.settings, requests)
    elif given.settings:
        raise Invalid("settings", "an action has a request of its own or a channel's, not both")
    else:
        _check_exists(session, org_id, Channel, "channel_id", given.channel_id)
        check_request_channel(session, org_id, given.channel_id)


def _write(session: Session, flow: Flow, touchpoints: Sequence[TouchpointInput]) -> None:
    """Make these the flow's touchpoints. One that stays keeps its id, by which recipients know where they are."""
    now = clock_of(session).now()
    known = list(
        session.scalars(
            select(Touchpoint)
            .where(Touchpoint.flow_id == flow.id, Touchpoint.org_id == flow.org_id)
            .order_by(Touchpoint.position, Touchpoint.id)
            .with_for_update(key_share=True)
        )
    )
    kept: dict[UUID, Touchpoint] = {}
    by_id = {row.id: row for row in known}
    named = {given.id for given in touchpoints}
    for position, given in enumerate(touchpoints):
        row = by_id.get(given.id) if given.id is not None else None
        if given.id is not None and row is None:
            raise Invalid(f"touchpoints[{position}].id", f"the flow has no touchpoint {given.id}")
        here = known[position] if position < len(known) else None
        if given.id is None and here is not None and here.type == given.type and here.id not in named:
            row = here
        if row is not None and _is_same(given, row):
            row.position = position
            kept[row.id] = row
            continue
        if row is None:
            row = Touchpoint(id=uuid4(), org_id=flow.org_id, flow_id=flow.id, created_at=now)
            session.add(row)
        for name, value in given.model_dump(mode="json", exclude={"id", "template_id", "channel_id"}).items():
            setattr(row, name, value)
        row.template_id, row.channel_id = given.template_id, given.channel_id
        row.position, row.updated_at = position, now
        kept[row.id] = row
    for row in known:
        if row.id not in kept:
            session.delete(row)
    session.flush()
