"""Message templates: kept only if they can be rendered.

A template that does not parse, or that would loop or grow without end, is refused when it is written, in each of its
languages; no campaign ever finds out. MJML is compiled when it is written, too: `html` holds what it became.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

from liquid.exceptions import LiquidValueError, ResourceLimitError
from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy import Text, cast, select

from engine.content.locales import locale_of, read_language, read_zone
from engine.content.markup import compile_mjml
from engine.content.stored import PARTS, compile_message
from engine.content.templates import RenderError, TemplateError
from engine.kernel import listing
from engine.kernel.inputs import Input, InUse, Invalid, Name, Rewritable
from state.change import clock_of
from state.tables import Flow, Template, Touchpoint
from state.types import NIL_UUID

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "TemplateChange",
    "TemplateInput",
    "TranslationInput",
    "create_template",
    "delete_template",
    "get_template",
    "list_templates",
    "unkept_template",
    "update_template",
]

#: Larger than any mail client shows.
_Part = Annotated[str, StringConstraints(max_length=1_000_000)]
_Header = Annotated[str, StringConstraints(max_length=998)]


def _a_language(value: str) -> str:
    tag = read_language(value)
    if tag is None or locale_of(tag).language != tag.partition("-")[0]:
        raise ValueError(f"{value!r} is no language that is known, such as 'de' or 'de-AT'")
    return tag


def _a_time_zone(value: str) -> str:
    if read_zone(value) is None:
        raise ValueError(f"{value!r} is no time zone such as 'Europe/Berlin'")
    return value


_Language = Annotated[str, StringConstraints(max_length=35), AfterValidator(_a_language)]
_TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_a_time_zone)]


class SenderInput(Input):
    """The From header; what is absent is the channel's."""

    email: _Header | None = None
    name: _Header | None = None
    reply_to: _Header | None = None
    """The Reply-To header; may hold variables."""


class TranslationInput(Input):
    """A template in another language; without a body of its own it has the template's."""

    subject: _Header | None = None
    html: _Part | None = None
    mjml: _Part | None = None
    text: _Part | None = None


class TemplateInput(Input):
    """A new template; html, mjml or text is needed."""

    name: Name
    subject: _Header = ""
    html: _Part | None = None
    text: _Part | None = None
    sender: SenderInput = Field(default_factory=SenderInput)
    defaults: dict[str, Any] = Field(default_factory=dict)
    mjml: _Part | None = None
    """Instead of html."""
    inline_css: bool = False
    """Write what `<style>` says into the elements' own `style`: for mail programs that drop style sheets."""
    headers: dict[str, _Header] | None = Field(default=None, max_length=20)
    """More headers; their values may hold variables."""
    data: dict[str, dict[str, Any]] | None = None
    """What a channel kind takes beside text, by kind: `{"whatsapp": {"template": {…}}}`; texts may hold variables."""
    language: _Language | None = None
    """Of subject, html and text."""
    translations: dict[str, TranslationInput] | None = Field(default=None, max_length=50)
    """By language; a change replaces them all."""
    language_attribute: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Where entities keep their language; absent: under a usual name."""
    time_zone: _TimeZone | None = None
    """Of dates, for entities that keep none; absent: the organization's."""


class TemplateChange(Rewritable, TemplateInput):
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


def unkept_template(org_id: UUID, given: TemplateInput) -> Template:
    """What `create_template` would keep, to be looked at; no session knows it.

    Raises:
        Invalid: it cannot be rendered; names part and line.
    """
    template = Template(id=NIL_UUID, org_id=org_id)
    _apply(template, given, set(TemplateInput.model_fields))
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
    """Change a template; running jobs use it from their next wave on.

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
    """Remove a template that no touchpoint uses.

    Raises:
        NotFound: there is none.
        InUse: a touchpoint uses it; says which.
    """
    template = listing.find(session, Template, org_id, template_id, lock=True)
    user = session.execute(
        select(Touchpoint.name, Flow.name)
        .outerjoin(Flow, Touchpoint.flow_id == Flow.id)
        .where(
            (Touchpoint.template_id == template_id)
            | cast(Touchpoint.variants, Text).contains(str(template_id)),
            Touchpoint.org_id == org_id,
        )
        .limit(1)
    ).first()
    if user is not None:
        touchpoint, flow = user
        where = f"the touchpoint {touchpoint!r}" if flow is None else f"the flow {flow!r}"
        raise InUse(f"{where} uses this template")
    session.delete(template)
    session.flush()


def _apply(template: Template, given: TemplateInput, fields: set[str]) -> None:
    values = given.model_dump(include=fields)
    if "sender" in values:
        values["sender"] = {key: value for key, value in values["sender"].items() if value}
    if "translations" in values:
        values["translations"] = _translations(values["translations"] or {}, template.translations or {})
    _write_html(values, template.html, "")
    merged = {name: values[name] if name in values else getattr(template, name) for name in PARTS}
    _check(merged)
    for name, value in values.items():
        setattr(template, name, value)


def _translations(given: dict[str, dict[str, Any]], now: dict[str, Any]) -> dict[str, Any] | None:
    """By usual tag, without what is absent."""
    kept: dict[str, Any] = {}
    for name, values in given.items():
        try:
            tag = _a_language(name)
        except ValueError as error:
            raise Invalid(f"translations.{name}", str(error)) from None
        if tag in kept:
            raise Invalid(f"translations.{name}", f"{tag} is there already")
        _write_html(values, now.get(tag, {}).get("html"), f"translations.{name}.")
        kept[tag] = {key: value for key, value in values.items() if value}
    return kept or None


def _write_html(values: dict[str, Any], now: str | None, within: str) -> None:
    """`html` from `mjml`; HTML that was not made from MJML takes the place of what was."""
    if not values.get("mjml"):
        if "html" in values or "mjml" in values:
            values["mjml"] = None
        return
    try:
        made = compile_mjml(values["mjml"])
    except TemplateError as error:
        raise Invalid(f"{within}mjml", f"line {error.line}: {error.message}") from None
    if values.get("html") not in (None, "", made, now):
        raise Invalid(f"{within}html", "is made from mjml; give one of them")
    values["html"] = made


def _check(given: dict[str, Any]) -> None:
    try:
        compiled = compile_message(given)
    except TemplateError as error:
        raise Invalid(error.field, f"line {error.line}: {error.message}") from error
    languages = given["translations"] or ()
    for one in (compiled, *(compiled.in_language(tag) for tag in languages)):
        try:
            one.render({})
        except RenderError as error:
            # A template may need what an entity without attributes lacks; but a bound that it breaks here it
            # breaks for everybody.
            if isinstance(error.__cause__, ResourceLimitError | LiquidValueError):
                where = "" if error.line is None else f"line {error.line}: "
                raise Invalid(error.field, where + error.message) from error
