"""Files of a template: attached to its messages, or shown by its HTML (`cid:`).

They are kept beside the template and counted against a limit, because every message carries them all. A client that
changes them stamps the template, so that running jobs send the new ones from their next wave on.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated
from uuid import UUID, uuid4

from pydantic import StringConstraints
from sqlalchemy import func, select
from sqlalchemy.orm import undefer

from engine.content.enclosed import check_attachment, guess_type
from engine.kernel import listing
from engine.kernel.inputs import Input, Invalid
from state.change import clock_of
from state.errors import NotFound
from state.tables import Template, TemplateAttachment

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "MAX_BYTES",
    "MAX_FILES",
    "MAX_FILE_BYTES",
    "AttachmentInput",
    "create_attachment",
    "delete_attachment",
    "get_attachment",
    "list_attachments",
]

#: Of one file, and of all files of a template: many mail servers take no message above ten million bytes, and base64
#: makes three bytes four.
MAX_FILE_BYTES = 5_000_000
MAX_BYTES = 7_000_000
MAX_FILES = 20


class AttachmentInput(Input):
    """A new file."""

    filename: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
    content: Annotated[str, StringConstraints(min_length=1, max_length=MAX_FILE_BYTES * 3 // 2)]
    """In base64."""
    content_type: Annotated[str, StringConstraints(to_lower=True, max_length=127)] | None = None
    """Absent: what the filename suggests."""
    content_id: Annotated[str, StringConstraints(min_length=1, max_length=127)] | None = None
    """Shown by the HTML as `<img src="cid:…">`; absent: attached."""


def create_attachment(
    session: Session, org_id: UUID, template_id: UUID, given: AttachmentInput
) -> TemplateAttachment:
    """Keep a file.

    Raises:
        NotFound: there is no such template.
        Invalid: it cannot be attached, is too large, or the template has one of that name or content id.
    """
    template = listing.find(session, Template, org_id, template_id, lock=True)
    try:
        content = base64.b64decode("".join(given.content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("content", "is not base64") from None
    content_type = given.content_type or guess_type(given.filename)
    trouble = check_attachment(given.filename, content_type, given.content_id)
    if trouble is not None:
        raise Invalid(*trouble)
    _make_room(session, template, given, len(content))
    now = clock_of(session).now()
    row = TemplateAttachment(
        id=uuid4(),
        org_id=org_id,
        template_id=template_id,
        filename=given.filename,
        content_type=content_type,
        content_id=given.content_id,
        size=len(content),
        content=content,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    listing.stamp(session, template)
    session.flush()
    return row


def get_attachment(
    session: Session, org_id: UUID, template_id: UUID, attachment_id: UUID, *, content: bool = False
) -> TemplateAttachment:
    """One file; its content is read at once when it is asked for.

    Raises:
        NotFound: the template has no such file.
    """
    statement = select(TemplateAttachment).where(
        TemplateAttachment.id == attachment_id,
        TemplateAttachment.template_id == template_id,
        TemplateAttachment.org_id == org_id,
    )
    if content:
        statement = statement.options(undefer(TemplateAttachment.content))
    row = session.scalars(statement).one_or_none()
    if row is None:
        raise NotFound("attachment", attachment_id)
    return row


def list_attachments(
    session: Session,
    org_id: UUID,
    template_id: UUID,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002
) -> listing.Page[TemplateAttachment]:
    """A template's files without their content, newest first; see `listing.page`.

    Raises:
        NotFound: there is no such template.
    """
    listing.find(session, Template, org_id, template_id)
    where = TemplateAttachment.template_id == template_id
    return listing.page(session, TemplateAttachment, org_id, where, limit=limit, next=next)


def delete_attachment(session: Session, org_id: UUID, template_id: UUID, attachment_id: UUID) -> None:
    """Remove a file.

    Raises:
        NotFound: the template has no such file.
    """
    template = listing.find(session, Template, org_id, template_id, lock=True)
    session.delete(get_attachment(session, org_id, template_id, attachment_id))
    listing.stamp(session, template)
    session.flush()


def _make_room(session: Session, template: Template, given: AttachmentInput, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise Invalid("content", f"is larger than {MAX_FILE_BYTES} bytes")
    where = (TemplateAttachment.template_id == template.id, TemplateAttachment.org_id == template.org_id)
    count, total = session.execute(
        select(func.count(), func.coalesce(func.sum(TemplateAttachment.size), 0)).where(*where)
    ).one()
    if count >= MAX_FILES:
        raise Invalid("content", f"the template has {MAX_FILES} files already")
    if total + size > MAX_BYTES:
        raise Invalid("content", f"all files of a template together are at most {MAX_BYTES} bytes")
    same = select(TemplateAttachment.id)
    for name in ("filename", "content_id"):
        value = getattr(given, name)
        if value is None:
            continue
        column = getattr(TemplateAttachment, name)
        if session.execute(same.where(*where, column == value).limit(1)).first() is not None:
            raise Invalid(name, f"the template has a file with {value!r} already")
