"""Answers about audiences: who must not be written to, and what became of files of people or of addresses."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from engine.api.targeting.schemas import Answer

__all__ = ["EntityImport", "LineError", "Suppressed", "SuppressionImport"]


class Suppressed(Answer):
    """An address that must not be used."""

    id: UUID
    medium: str = Field(description="email, phone, chat or other.")
    channel_kind: str | None = Field(
        default=None, description="The kind of channel it was put on the list for, if one was named."
    )
    address: str = Field(description="In the one form of its medium.")
    reason: str
    campaign_id: UUID | None = Field(
        default=None, description="The one campaign that must not use it; absent: none may."
    )
    created_at: datetime


class LineError(Answer):
    """What is wrong with one line of a file, counted from 1."""

    line: int
    message: str


class SuppressionImport(Answer):
    """What became of a file; `errors` holds the first 1,000 of the rejected."""

    created: int
    skipped: int
    rejected: int
    errors: list[LineError]


class EntityImport(SuppressionImport):
    """What became of a file of entities."""

    updated: int
    notes: list[LineError]
    """What is odd about lines and leaves nobody out."""
