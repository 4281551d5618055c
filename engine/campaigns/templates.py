"""Message templates: kept only if they can be rendered.

A template that does not parse, or that would loop or grow without end, is refused when it is written; no
campaign ever finds out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

from liquid.exceptions import LiquidValueError, ResourceLimitError
from pydantic import Field, StringConstraints
from sqlalchemy import select

from engine import listing
from engine.content.templates import RenderError, TemplateError, compile_template
from engine.inputs import Input, InUse, Invalid, Name
from state.change import clock_of
from state.tables import Flow, Template, Touchpoint

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "TemplateChange",
    "TemplateInput",
    "create_template",
    "delete_template",
    "get_template",
    "list_templates",
    "update_template",
]

#: Larger than any mail client shows.
_Part = Annotated[str, StringConstraints(max_length=1_000_000)]
_Header = Annotated[str, StringConstraints(max_length=998)]


class SenderInput(Input):
    """The From header; what is absent is the channel's."""

    email: _Header | None = None
    name: _Header | None = None


class TemplateInput(Input):
    """A new template; html or text is needed."""

    name: Name
    subject: _Header = ""
    html: _Part | None = None
    text: _Part | None = None
    sender: SenderInput = Field(default_factory=SenderInput)
    defaults: dict[str, Any] = Field(default_factory=dict)


class TemplateChange(TemplateInput):
    """What is to be different; what is not given stays."""

    name: Name = ""


def create_template(session: Session, org_id: UUID, given: TemplateInput) -> Template:
    """Keep a template.

    Raises:
        Invalid: it cannot be rendered; names part and line.
    """
    now = clock_of(session).now()
    template = Template(id=uuid4(), org_id=org_id, created_at=now, updated_at=now)
    _apply(template, given, set(TemplateInput.model_fields))
    session.add(template)
    session.flush()
    return template


def get_template(session: Session, org_id: UUID, template_id: UUID) -> Template:
    """Raises NotFound."""
    return listing.find(session, Template, org_id, template_id)


def list_templates(
    session: Session,
    org_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
) -> listing.Page[Template]:
    """Newest first; see `listing.page`."""
    return listing.page(session, Template, org_id, limit=limit, next=next)


def update_template(session: Session, org_id: UUID, template_id: UUID, given: TemplateChange) -> Template:
    """Change a template; running jobs use it from their next slice on.

    Raises:
        NotFound: there is none.
        Invalid: as `create_template`. Nothing was changed.
    """
    template = listing.find(session, Template, org_id, template_id, lock=True)
    if given.model_fields_set:
        with session.no_autoflush:
            _apply(template, given, given.model_fields_set)
        listing.stamp(session, template)
        session.flush()
    return template


def delete_template(session: Session, org_id: UUID, template_id: UUID) -> None:
    """Remove a template that no flow uses.

    Raises:
        NotFound: there is none.
        InUse: a flow uses it; names the flow.
    """
    template = listing.find(session, Template, org_id, template_id, lock=True)
    user = session.execute(
        select(Flow.name)
        .join(Touchpoint, Touchpoint.flow_id == Flow.id)
        .where(Touchpoint.template_id == template_id, Touchpoint.org_id == org_id)
        .limit(1)
    ).scalar_one_or_none()
    if user is not None:
        raise InUse(f"the flow {user!r} uses this template")
    session.delete(template)
    session.flush()


def _apply(template: Template, given: TemplateInput, fields: set[str]) -> None:
    values = given.model_dump(include=fields)
    if "sender" in values:
        values["sender"] = {key: value for key, value in values["sender"].items() if value}
    merged = {
        name: values[name] if name in values else getattr(template, name)
        for name in ("subject", "html", "text", "sender", "defaults")
    }
    _check(**merged)
    for name, value in values.items():
        setattr(template, name, value)


def _check(
    *, subject: str, html: str | None, text: str | None, sender: dict[str, Any], defaults: dict[str, Any]
) -> None:
    try:
        compiled = compile_template(subject=subject, html=html, text=text, sender=sender, defaults=defaults)
    except TemplateError as error:
        raise Invalid(error.field, f"line {error.line}: {error.message}") from error
    try:
        compiled.render({})
    except RenderError as error:
        # A template may need what an entity without attributes lacks; but a bound that it breaks here it
        # breaks for everybody.
        if isinstance(error.__cause__, ResourceLimitError | LiquidValueError):
            where = "" if error.line is None else f"line {error.line}: "
            raise Invalid(error.field, where + error.message) from error
