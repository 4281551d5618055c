"""Copies of rows: a flow's touchpoints belong to one flow, also where others are alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import inspect, select

from state.change import clock_of
from state.tables import Flow, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

__all__ = ["copy_flow", "copy_row", "copy_touchpoints"]


def copy_row(session: Session, row: Any, without: frozenset[str]) -> Any:
    """A new row with the values of `row`, an id of its own, and made now. It is not in the session yet."""
    now = clock_of(session).now()
    names = [column.key for column in inspect(type(row)).mapper.column_attrs]
    values = {name: getattr(row, name) for name in names if name not in without | {"id"}}
    return type(row)(**{**values, "id": uuid4(), "created_at": now, "updated_at": now})


def copy_flow(session: Session, flow: Flow, *, campaign_id: UUID) -> tuple[Flow, dict[UUID, Touchpoint]]:
    """The same flow as a campaign's own, and its touchpoints by the ids of those that they copy."""
    copy: Flow = copy_row(session, flow, frozenset(("campaign_id",)))
    copy.campaign_id = campaign_id
    session.add(copy)
    session.flush()
    return copy, copy_touchpoints(session, flow, copy)


def copy_touchpoints(session: Session, flow: Flow, into: Flow) -> dict[UUID, Touchpoint]:
    """Each touchpoint of `flow` in another flow, by the id of the one that it copies."""
    copies: dict[UUID, Touchpoint] = {}
    for touchpoint in session.scalars(
        select(Touchpoint)
        .where(Touchpoint.org_id == flow.org_id, Touchpoint.flow_id == flow.id)
        .order_by(Touchpoint.position, Touchpoint.id)
    ).all():
        copy: Touchpoint = copy_row(session, touchpoint, frozenset(("flow_id",)))
        copy.flow_id = into.id
        session.add(copy)
        copies[touchpoint.id] = copy
    for copy in copies.values():
        copy.condition, copy.extras = _renamed(copy.condition, copies), _renamed(copy.extras, copies)
    session.flush()
    return copies


def _renamed(value: Any, copies: Mapping[UUID, Touchpoint]) -> Any:
    """A JSON value in which the copies stand for what they copy: conditions name touchpoints by id."""
    text = json.dumps(value)
    for touchpoint_id, copy in copies.items():
        text = text.replace(str(touchpoint_id), str(copy.id))
    return json.loads(text)
