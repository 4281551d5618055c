"""What a variant of set-up is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from pydantic import BaseModel
    from sqlalchemy.orm import Session

__all__ = ["SetUp", "Variant"]


@dataclass(frozen=True, slots=True)
class SetUp:
    """What set-up made. What the request did not ask for is absent."""

    type: str
    product_recommendation_id: UUID
    campaign_id: UUID
    journey_id: UUID | None = None
    portal_widget_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of campaign that set-up makes."""

    word: str
    """The request's `type`."""
    request: type[BaseModel]
    """What it takes; its `type` is a literal of that word."""
    set_up: Callable[[Session, UUID, Any], SetUp]
    """Makes everything in the session's transaction. Raises Invalid, naming the field; then nothing is made."""
