"""Entities of one schema as events report them: many at once, merged by name, created where they are new.

Every change counts, in the order it is given, also several of one entity. The entities are held until the transaction
ends; the number of statements does not depend on theirs (engine.audience.store).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update

from engine.audience.attributes import Given, canonical
from engine.audience.store import Mode, Row, store
from engine.delivery.enrol import enrol
from engine.kernel.inputs import Invalid
from state.change import clock_of
from state.sets import among
from state.tables import Entity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["change_entities"]


@dataclass(slots=True)
class _State:
    """An entity as it will be."""

    id: UUID | None
    external_id: str | None
    title: str
    attributes: dict[str, Any]
    changed: bool = False


def change_entities(
    session: Session, org_id: UUID, schema: str, changes: Sequence[Given]
) -> list[Invalid | None]:
    """Merge changes into a schema's entities; for each what is wrong with it, or None. Each has `_id` or `external_id`.

    The caller has called `engine.delivery.enrol.guard`.
    """
    found = session.scalars(
        select(Entity)
        .where(
            Entity.org_id == org_id,
            Entity.schema == schema,
            or_(
                among(session, Entity.id, {one.id for one in changes if one.id is not None}),
                among(session, Entity.external_id, {one.external_id for one in changes if one.external_id}),
            ),
        )
        .order_by(Entity.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    states = [_State(row.id, row.external_id, row.title, dict(row.attributes)) for row in found]
    by_id = {state.id: state for state in states}
    by_key: dict[str | None, _State] = {
        state.external_id: state for state in states if state.external_id is not None
    }
    errors: list[Invalid | None] = []
    for change in changes:
        try:
            _merge(_state(change, by_id, by_key), change)
        except Invalid as error:
            errors.append(error)
        else:
            errors.append(None)
    _write(
        session, org_id, schema, [*by_id.values(), *(state for state in by_key.values() if state.id is None)]
    )
    return errors


def _state(change: Given, by_id: dict[UUID | None, _State], by_key: dict[str | None, _State]) -> _State:
    """The entity that a change is about.

    Raises:
        Invalid: there is none of that `_id`, or it has another external id.
    """
    if change.id is None:
        return by_key.setdefault(change.external_id, _State(None, change.external_id, "", {}))
    state = by_id.get(change.id)
    if state is None:
        raise Invalid("entity._id", f"there is no such entity as {change.id}")
    if change.has_external_id and change.external_id != state.external_id:
        raise Invalid("entity.external_id", "is not changed by an event")
    return state


def _merge(state: _State, change: Given) -> None:
    merged = {**state.attributes, **change.attributes}
    canonical(merged)
    state.attributes = merged
    if change.title is not None:
        state.title = change.title
    state.changed = True


def _write(session: Session, org_id: UUID, schema: str, states: Sequence[_State]) -> None:
    changed = [state for state in states if state.changed]
    store(
        session,
        org_id,
        schema,
        [
            Row(state.external_id, state.title, canonical(state.attributes))
            for state in changed
            if state.external_id is not None
        ],
        Mode.REPLACE,
    )
    others = [state for state in changed if state.external_id is None]
    if not others:
        return
    now = clock_of(session).now()
    session.execute(
        update(Entity),
        [
            {"id": state.id, "title": state.title, "attributes": state.attributes, "updated_at": now}
            for state in others
        ],
    )
    enrol(session, org_id, schema, [state.id for state in others if state.id is not None])
