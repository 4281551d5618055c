"""A message of a step as one recipient gets it, in the variant that they were given: for readers of their story.

Messages are not kept. What is shown is what the step says now to the entity as it is now; `changed` tells whether
either was changed after the message was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from engine.campaigns.previews import Preview, PreviewInput, preview
from engine.campaigns.templates import TemplateInput, get_template, unkept_template
from engine.kernel.inputs import Invalid, read
from state.errors import NotFound
from state.tables import Entity, Touchpoint

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.tables import Template

__all__ = ["RecipientMessage", "recipient_message"]


@dataclass(frozen=True, slots=True)
class RecipientMessage:
    """What somebody gets at a step."""

    shown: Preview
    changed: bool
    """Whether message or entity were changed since `sent_at`."""


def recipient_message(
    session: Session,
    org_id: UUID,
    entity_id: UUID,
    touchpoint_id: UUID,
    *,
    variant: str | None,
    sent_at: datetime | None,
    unsubscribe_url: str,
) -> RecipientMessage:
    """The message of a step.

    Raises:
        NotFound: the step, or the recipient's entity, is gone.
        Invalid: the step is no message, or it cannot be rendered.
    """
    step = session.scalars(
        select(Touchpoint).where(Touchpoint.id == touchpoint_id, Touchpoint.org_id == org_id)
    ).one_or_none()
    if step is None:
        raise NotFound("step", touchpoint_id)
    entity = session.scalars(
        select(Entity).where(Entity.id == entity_id, Entity.org_id == org_id)
    ).one_or_none()
    if entity is None:
        raise NotFound("entity", entity_id)
    template, changed_at = _template(session, step, variant)
    shown = preview(session, template, PreviewInput(entity_id=entity_id), unsubscribe_url=unsubscribe_url)
    return RecipientMessage(shown, sent_at is not None and max(changed_at, entity.updated_at) > sent_at)


def _template(session: Session, step: Touchpoint, variant: str | None) -> tuple[Template, datetime]:
    """What the step says in a variant, and when that was changed."""
    given: dict[str, Any] = next((one for one in step.variants or [] if one["id"] == variant), {})
    content = given.get("content")
    template_id = given.get("template_id")
    if content is None and template_id is None:
        content, template_id = step.content, step.template_id
    if template_id is not None:
        row = get_template(session, step.org_id, template_id)
        return row, max(row.updated_at, step.updated_at)
    if content is None:
        raise Invalid("touchpoint", f"{step.name or step.id} is no message")
    return unkept_template(step.org_id, read(TemplateInput, {"name": "message", **content})), step.updated_at
