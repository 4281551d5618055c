"""The Targeting dialect's answers about templates: attachments, previews, tests (docs/contract/targeting.md)."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from engine.api.targeting.schemas import Answer, System

__all__ = [
    "Attachment",
    "AttachmentWithContent",
    "PreviewHeader",
    "Template",
    "TemplatePreview",
    "TemplateTest",
]


class Template(System):
    """A message template."""

    name: str
    subject: str
    html: str | None = None
    text: str | None = None
    sender: dict[str, str]
    defaults: dict[str, Any]
    mjml: str | None = None
    inline_css: bool
    headers: dict[str, str] | None = None
    data: dict[str, dict[str, Any]] | None = None
    language: str | None = None
    translations: dict[str, dict[str, str]] | None = None
    language_attribute: str | None = None
    time_zone: str | None = None


class Attachment(System):
    """A file that goes with every message of a template."""

    template_id: UUID
    filename: str
    content_type: str
    content_id: str | None = None
    size: int


class AttachmentWithContent(Attachment):
    """A file, and what is in it."""

    content: str = Field(description="In base64.")


class PreviewHeader(Answer):
    """A header of an e-mail."""

    name: str
    value: str


class TemplatePreview(Answer):
    """What a template says to somebody."""

    subject: str
    html: str | None = None
    text: str | None = None
    data: dict[str, Any] | None = None
    headers: list[PreviewHeader]
    attachments: list[str] = Field(description="Their file names.")
    size: int = Field(description="Bytes of the e-mail.")
    warnings: list[str]


class TemplateTest(Answer):
    """What became of a test."""

    outcome: Literal["delivered", "rejected", "deferred", "throttled", "down", "doubtful", "released"]
    code: str | None = None
    message: str | None = None
