"""Addresses that must not be used: unsubscribed, bounced, complained, or named by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.delivery.statements import execute, statements

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["suppressed"]


def suppressed(session: Session, org_id: UUID, channel_kind: str, addresses: Iterable[str]) -> dict[str, str]:
    """Of `addresses` (normalised by their channel), those that are suppressed → why. One statement."""
    found = execute(
        session, statements(session).suppressed, p_org_id=org_id, p_kind=channel_kind, p_ids=list(addresses)
    )
    return {address: reason for address, reason in found}  # noqa: C416 - rows become pairs
