"""From what is kept to what can be rendered: a template's row, or a message written into a touchpoint.

What every recipient's rendering would have to decide is decided here: a template without translations, attachments and
headers costs nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import undefer

from engine.content.enclosed import Attachment
from engine.content.errors import TemplateError
from engine.content.inlining import inline_styles
from engine.content.locales import DEFAULT_LANGUAGE, read_language, read_zone
from engine.content.markup import compile_mjml
from engine.content.places import Places
from engine.content.templates import CompiledTemplate
from engine.content.translations import TranslatedTemplate
from state.tables import Organization, TemplateAttachment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.tables import Template

__all__ = ["PARTS", "AnyTemplate", "Rewrite", "compile_content", "compile_message", "compile_stored"]

AnyTemplate = CompiledTemplate | TranslatedTemplate

#: HTML and text of one language, each as Liquid, to what is to be compiled.
Rewrite = Callable[[str | None, str | None], tuple[str | None, str | None]]

#: What a message is made of: the columns of a template, the keys of a touchpoint's own content.
PARTS = (
    "subject",
    "html",
    "mjml",
    "inline_css",
    "text",
    "sender",
    "defaults",
    "headers",
    "data",
    "language",
    "translations",
    "language_attribute",
    "time_zone",
)


def compile_stored(session: Session, row: Template, *, rewrite: Rewrite | None = None) -> AnyTemplate:
    """A template with all that belongs to it, its attachments among them. Two small statements.

    Args:
        rewrite: See `compile_message`.

    Raises:
        TemplateError: it cannot be used; names field and line.
    """
    files = session.execute(
        select(TemplateAttachment)
        .where(TemplateAttachment.template_id == row.id, TemplateAttachment.org_id == row.org_id)
        .order_by(TemplateAttachment.created_at, TemplateAttachment.filename)
        .options(undefer(TemplateAttachment.content))
    ).scalars()
    attachments = [
        Attachment(one.filename, one.content_type, one.content, content_id=one.content_id) for one in files
    ]
    return compile_message(
        {name: getattr(row, name) for name in PARTS},
        attachments=attachments,
        zone=_zone_of(session, row.org_id),
        rewrite=rewrite,
    )


def compile_content(
    session: Session, org_id: UUID, content: Mapping[str, Any], *, rewrite: Rewrite | None = None
) -> AnyTemplate:
    """A message of a touchpoint's own (`touchpoint.content`, or a variant's).

    Args:
        rewrite: See `compile_message`.

    Raises:
        TemplateError: it cannot be used; names field and line.
    """
    return compile_message(content, zone=_zone_of(session, org_id), rewrite=rewrite)


def compile_message(
    given: Mapping[str, Any],
    *,
    attachments: Sequence[Attachment] = (),
    zone: tzinfo = UTC,
    rewrite: Rewrite | None = None,
) -> AnyTemplate:
    """What has the keys of `PARTS`, all of them optional; others are not looked at.

    Args:
        given: `html` is taken before `mjml`, from which it was made.
        attachments: Go with every message.
        zone: Of recipients whose own is not known, where `time_zone` names none.
        rewrite: What becomes of the HTML and the text of each language before they are compiled.

    Raises:
        TemplateError: it cannot be used; names field and line.
    """
    translations: Mapping[str, Any] = given.get("translations") or {}
    language: str | None = given.get("language")
    where = given.get("language_attribute")
    zone = read_zone(given.get("time_zone")) or zone

    def compiled(parts: Mapping[str, Any], tag: str | None, within: str) -> CompiledTemplate:
        html, text = _html(parts, within), parts.get("text")
        if html and given.get("inline_css"):
            html = inline_styles(html, field=f"{within}html")
        if rewrite is not None:
            html, text = rewrite(html, text)
        return CompiledTemplate(
            parts.get("subject") or "",
            html,
            text,
            given.get("defaults") or {},
            given.get("sender") or {},
            headers=given.get("headers") or {},
            data=given.get("data"),
            places=Places(tag, where, zone),
            attachments=attachments,
            within=within,
        )

    if not translations:
        return compiled(given, language, "")
    language = language or DEFAULT_LANGUAGE
    own = compiled(given, language, "")
    others = {}
    for name, parts in translations.items():
        tag = read_language(name)
        if tag is None:
            raise TemplateError(f"translations.{name}", 1, "is no language")
        others[tag] = compiled(_completed(parts, given), tag, f"translations.{name}.")
    return TranslatedTemplate(own, others, language=language, language_attribute=where)


def _completed(parts: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """A translation, with the template's own subject and body where it has none. A body is taken whole: half a message
    in another language helps nobody.
    """
    body = parts if any(parts.get(name) for name in ("html", "mjml", "text")) else own
    return {
        "subject": parts.get("subject") or own.get("subject"),
        **{name: body.get(name) for name in ("html", "mjml", "text")},
    }


def _html(parts: Mapping[str, Any], within: str) -> str | None:
    html, mjml = parts.get("html"), parts.get("mjml")
    if html or not mjml:
        return html
    try:
        return compile_mjml(mjml)
    except TemplateError as error:
        raise TemplateError(f"{within}mjml", error.line, error.message) from None


def _zone_of(session: Session, org_id: UUID) -> tzinfo:
    name = session.execute(
        select(Organization.time_zone).where(Organization.id == org_id)
    ).scalar_one_or_none()
    return read_zone(name) or UTC
