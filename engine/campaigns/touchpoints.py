"""Touchpoints one by one: written, changed, listed, taken away (docs/contract/imbrace.md).

A touchpoint belongs to the flow of its campaign, which is made with the first one; without a campaign it is a draft
that nothing runs. What its author writes comes back as it was; what of it can be run is read by
`engine.campaigns.configuration`, and what cannot makes it `update_needed`, never an error. Running jobs follow every
change from their next wave on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import ConfigDict, Field, StrictInt, StringConstraints
from sqlalchemy import func, or_, select

from engine.campaigns.actions import check_request_author
from engine.campaigns.configuration import (
    AS_WRITTEN,
    as_id,
    configure,
    lock_flows,
    read_configuration,
    request_of,
    written_of,
)
from engine.kernel import listing
from engine.kernel.inputs import Input, Invalid, LongText
from state.change import clock_of
from state.errors import NotFound
from state.sets import among
from state.tables import Campaign, Flow, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = [
    "READ_ONLY",
    "SORTABLE",
    "TOUCHPOINT_STATUSES",
    "TouchpointWritten",
    "campaigns_of",
    "create_touchpoint",
    "delete_touchpoint",
    "find_campaign",
    "find_touchpoint",
    "list_touchpoints",
    "same_phrase",
    "touchpoint_as_written",
    "update_touchpoint",
]

#: What is ours to say: ignored when it is sent back.
READ_ONLY = frozenset(("_id", "created_at", "updated_at"))
SORTABLE = ("created_at", "updated_at", "name", "status", "type", "position")
TOUCHPOINT_STATUSES = ("active", "inactive", "archived", "update_needed")
#: More steps than any sequence has.
_MAX_POSITION = 1000


class TouchpointWritten(Input):
    """A touchpoint as its author writes it. Fields that are not named here are kept and given back."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=150)] | None = None
    type: Literal["message", "wait", "action"] = "message"
    campaign_id: str | None = None
    """Absent: it is a draft that belongs to no campaign."""
    description: LongText | None = None
    status: Literal["active", "inactive", "archived", "update_needed"] = "active"
    """Only active ones are run; `update_needed` is also what an active one becomes that cannot be run as it is."""
    message: str | dict[str, Any] | None = None
    position: StrictInt | None = Field(default=None, ge=0, le=_MAX_POSITION)
    """Its place in the campaign, from 0; absent: the last."""


def create_touchpoint(session: Session, org_id: UUID, given: TouchpointWritten) -> Touchpoint:
    """Keep a touchpoint, as the last one of its campaign unless it says where.

    Raises:
        Invalid: the campaign does not exist.
        AdminsOnly: an action's request is an admin's.
    """
    now = clock_of(session).now()
    campaign = _campaign(session, org_id, given.campaign_id)
    touchpoint = Touchpoint(
        id=uuid4(), org_id=org_id, position=0, settings={}, created_at=now, updated_at=now, type=given.type
    )
    _apply(touchpoint, given, set(TouchpointWritten.model_fields))
    touchpoint.extras = {}
    written = _kept(given)
    if given.type == "action":
        check_request_author(session, request_of(written), [])
    _place(session, touchpoint, campaign, given.position)
    configure(touchpoint, written, read_configuration(session, org_id, touchpoint.type, written, campaign))
    touchpoint.status = "update_needed" if given.status == "update_needed" else touchpoint.status
    session.add(touchpoint)
    session.flush()
    return touchpoint


def find_touchpoint(session: Session, org_id: UUID, touchpoint_id: str, *, lock: bool = False) -> Touchpoint:
    """Raises NotFound, also for a text that is no id of ours."""
    row_id = as_id(touchpoint_id)
    if row_id is None:
        raise NotFound("touchpoint", touchpoint_id[:64])
    return listing.find(session, Touchpoint, org_id, row_id, lock=lock)


def find_campaign(session: Session, org_id: UUID, campaign_id: str, *, lock: bool = False) -> Campaign:
    """Raises NotFound, also for a text that is no id of ours."""
    row_id = as_id(campaign_id)
    if row_id is None:
        raise NotFound("campaign", campaign_id[:64])
    return listing.find(session, Campaign, org_id, row_id, lock=lock)


def list_touchpoints(
    session: Session,
    org_id: UUID,
    *,
    campaign_id: str | None = None,
    channel_id: str | None = None,
    status: str | None = None,
    is_archived: bool | None = None,
    sort: str = "-created_at",
    limit: int = listing.MAX_LIMIT,
    offset: int = 0,
) -> listing.Page[Touchpoint]:
    """The organization's touchpoints. An id that names nothing has none.

    Raises:
        Invalid: a filter, `sort`, `limit` or `offset` cannot be used.
    """
    conditions: list[ColumnElement[bool]] = []
    if campaign_id is not None:
        flow = select(Campaign.flow_id).where(Campaign.org_id == org_id, Campaign.id == as_id(campaign_id))
        conditions.append(Touchpoint.flow_id.in_(flow))
    if channel_id is not None:
        named = Touchpoint.extras[(AS_WRITTEN, "channel_id")].as_string() == channel_id
        conditions.append(or_(Touchpoint.channel_id == as_id(channel_id), named))
    if status is not None:
        if status not in TOUCHPOINT_STATUSES:
            raise Invalid("status", f"{status[:64]!r} is none of {', '.join(TOUCHPOINT_STATUSES)}")
        conditions.append(Touchpoint.status == status)
    if is_archived is not None:
        archived = Touchpoint.status == "archived"
        conditions.append(archived if is_archived else ~archived)
    return listing.page_by_offset(
        session, Touchpoint, org_id, *conditions, sort=sort, sortable=SORTABLE, limit=limit, offset=offset
    )


def campaigns_of(session: Session, org_id: UUID, touchpoints: Sequence[Touchpoint]) -> dict[UUID, UUID]:
    """The campaign of each touchpoint that has one: of several that share its flow, the one that the flow was made
    for, else the oldest. One statement.
    """
    flow_ids = {row.flow_id for row in touchpoints if row.flow_id is not None}
    if not flow_ids:
        return {}
    found = session.execute(
        select(Campaign.flow_id, Campaign.id, Flow.campaign_id)
        .join(Flow, Flow.id == Campaign.flow_id)
        .where(Campaign.org_id == org_id, among(session, Campaign.flow_id, flow_ids))
        .order_by(Campaign.created_at.desc(), Campaign.id)
    ).all()
    users = {flow_id: campaign_id for flow_id, campaign_id, _ in found}
    users |= {flow_id: campaign_id for flow_id, campaign_id, owner in found if owner == campaign_id}
    return {row.id: users[row.flow_id] for row in touchpoints if row.flow_id in users}


def update_touchpoint(
    session: Session, org_id: UUID, touchpoint_id: str, given: TouchpointWritten
) -> Touchpoint:
    """Change the fields that are given, each as a whole; the others stay, and those that say what it says already.

    Raises:
        NotFound: there is none.
        Invalid: the campaign does not exist. Nothing was changed.
        AdminsOnly: an action's request is an admin's.
    """
    touchpoint = find_touchpoint(session, org_id, touchpoint_id)
    fields = given.model_fields_set
    campaign_id = campaigns_of(session, org_id, [touchpoint]).get(touchpoint.id)
    campaign = None if campaign_id is None else session.get(Campaign, campaign_id)
    moved = "campaign_id" in fields and as_id(given.campaign_id) != campaign_id
    placed = moved or given.position not in (None, touchpoint.position)
    if moved:
        campaign = _campaign(session, org_id, given.campaign_id)
    if placed:
        lock_flows(session, org_id, touchpoint.flow_id, None if campaign is None else campaign.flow_id)
    touchpoint = find_touchpoint(session, org_id, touchpoint_id, lock=True)
    was, before = written_of(touchpoint), (touchpoint.status, touchpoint.type)
    kept = {
        name: value
        for name, value in _kept(given).items()
        if name not in was or json.dumps(value, sort_keys=True) != json.dumps(was[name], sort_keys=True)
    }
    written = {**was, **kept}
    if (given.type if "type" in fields else touchpoint.type) == "action":
        known = [request_of(was)] if touchpoint.type == "action" else []
        check_request_author(session, request_of(written), known)
    with session.no_autoflush:
        if placed:
            _place(session, touchpoint, campaign, given.position)
        _apply(touchpoint, given, fields)
        if kept or moved or before != (touchpoint.status, touchpoint.type):
            found = read_configuration(session, org_id, touchpoint.type, written, campaign)
            configure(touchpoint, written, found)
        if "status" in fields and given.status == "update_needed":
            touchpoint.status = "update_needed"
    listing.stamp(session, touchpoint)
    session.flush()
    return touchpoint


def delete_touchpoint(session: Session, org_id: UUID, touchpoint_id: str) -> None:
    """Take a touchpoint away; recipients at it go on with what comes next. What it has sent stays on record.

    Raises:
        NotFound: there is none.
    """
    session.delete(find_touchpoint(session, org_id, touchpoint_id, lock=True))
    session.flush()


def touchpoint_as_written(touchpoint: Touchpoint) -> dict[str, Any]:
    """Every field of the touchpoint but its ids and times: what its author wrote, and what we made of the rest."""
    written = written_of(touchpoint)
    if written.get("message", ...) is None:
        del written["message"]
    return {
        **written,
        "name": touchpoint.name,
        "type": touchpoint.type,
        "status": touchpoint.status,
        "position": touchpoint.position,
        **({} if touchpoint.description is None else {"description": touchpoint.description}),
    }


def same_phrase(
    session: Session, org_id: UUID, written: Mapping[str, Any], *, but: UUID | None = None
) -> Touchpoint | None:
    """Another touchpoint of the same channel that begins a conversation with the same `initial_phrase`.

    Case and surrounding blanks do not tell phrases apart. Reads all the organization's touchpoints that have one.
    """
    phrase = written.get("initial_phrase")
    if not isinstance(phrase, str) or not phrase.strip():
        return None
    kept = Touchpoint.extras[(AS_WRITTEN, "initial_phrase")].as_string()
    for row in session.scalars(
        select(Touchpoint).where(
            Touchpoint.org_id == org_id, kept.is_not(None), Touchpoint.status != "archived"
        )
    ):
        its = row.extras[AS_WRITTEN]
        if (
            row.id != but
            and str(its["initial_phrase"]).strip().casefold() == phrase.strip().casefold()
            and its.get("channel_id") == written.get("channel_id")
        ):
            return row
    return None


def _kept(given: TouchpointWritten) -> dict[str, Any]:
    """What is kept as it was written."""
    kept = {name: value for name, value in (given.model_extra or {}).items() if name not in READ_ONLY}
    if "message" in given.model_fields_set:
        kept["message"] = given.message
    return kept


def _campaign(session: Session, org_id: UUID, campaign_id: str | None) -> Campaign | None:
    """The campaign that is named, locked: of two that write its first touchpoints, one makes the flow."""
    if campaign_id is None:
        return None
    try:
        return find_campaign(session, org_id, campaign_id, lock=True)
    except NotFound as error:
        raise Invalid("campaign_id", str(error)) from None


def _flow(session: Session, campaign: Campaign) -> UUID:
    """The campaign's flow; made, and its own, if it has none."""
    if campaign.flow_id is None:
        now = clock_of(session).now()
        flow = Flow(
            id=uuid4(),
            org_id=campaign.org_id,
            name=campaign.name,
            campaign_id=campaign.id,
            created_at=now,
            updated_at=now,
        )
        session.add(flow)
        session.flush()
        campaign.flow_id = flow.id
        listing.stamp(session, campaign)
    return campaign.flow_id


def _place(session: Session, touchpoint: Touchpoint, campaign: Campaign | None, wanted: int | None) -> None:
    """Put it into the campaign's order, moving those behind its place back; without a campaign, out of any order."""
    if campaign is None:
        touchpoint.flow_id, touchpoint.position = None, 0
        return
    touchpoint.flow_id = _flow(session, campaign)
    lock_flows(session, touchpoint.org_id, touchpoint.flow_id)
    if wanted is None:
        last = session.scalar(
            select(func.max(Touchpoint.position)).where(
                Touchpoint.org_id == touchpoint.org_id,
                Touchpoint.flow_id == touchpoint.flow_id,
                Touchpoint.id != touchpoint.id,
            )
        )
        touchpoint.position = 0 if last is None else last + 1
        return
    others = list(
        session.scalars(
            select(Touchpoint)
            .where(
                Touchpoint.org_id == touchpoint.org_id,
                Touchpoint.flow_id == touchpoint.flow_id,
                Touchpoint.id != touchpoint.id,
            )
            .order_by(Touchpoint.position, Touchpoint.id)
            .with_for_update()
        )
    )
    for position, row in enumerate([*others[:wanted], touchpoint, *others[wanted:]]):
        row.position = position


def _apply(touchpoint: Touchpoint, given: TouchpointWritten, fields: set[str]) -> None:
    if "name" in fields:
        touchpoint.name = given.name or ""
    if "type" in fields and given.type != touchpoint.type:
        touchpoint.type, touchpoint.settings = given.type, {}
    if "description" in fields:
        touchpoint.description = given.description
    if "status" in fields:
        touchpoint.status = given.status
