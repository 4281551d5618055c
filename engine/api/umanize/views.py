"""Targets as the Umanize dialect shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from engine.api.umanize import schemas
from engine.enrolled.analysis import ANALYSIS
from engine.enrolled.identity import target_id
from engine.kernel.addresses import EmailFinder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.enrolled.targets import Enrolled
    from state.tables import Entity, Recipient

__all__ = ["target"]

_email = EmailFinder()
#: What attributes of entities from elsewhere are called here.
_NAMES = {
    "name": ("name", "first_name", "firstName"),
    "surname": ("surname", "last_name", "lastName"),
    "phone": ("phone", "mobile", "phone_number"),
    "status": ("status",),
}
_LONGEST = {"name": 255, "surname": 255, "phone": 50, "status": 50}
_LABELS = ("positive", "negative", "neutral", "unknown")
_KEPT = (
    "assigned_agent_id",
    "stage",
    "campaign_analysis_updated_at",
    "analysis_updated_at",
    "last_contacted_at",
    "last_email_at",
    "last_conv_id",
    "created_at",
    "updated_at",
)


def target(found: Enrolled) -> schemas.UmanizeTarget:
    """See `schemas.UmanizeTarget`."""
    row = found.target
    analysis = {name: value for name, value in (row.analysis or {}).items() if name in ANALYSIS}
    label = analysis.pop("ai_label", None)
    return schemas.UmanizeTarget(
        id=target_id(row.campaign_id, row.entity_id),
        campaign_id=row.campaign_id,
        customer_id=row.entity_id,
        calls_made=row.calls_made or 0,
        whatsapp_sent=row.whatsapp_sent or 0,
        email_sent=row.email_sent or 0,
        ai_label=label if label in _LABELS else "unknown",
        customer=_customer(row, found.customer),
        **{name: getattr(row, name) for name in _KEPT},
        **analysis,
    )


def _customer(row: Recipient, entity: Entity | None) -> schemas.UmanizeCustomer:
    """The customer; of one whose entity was deleted, what the target says."""
    if entity is None:
        return schemas.UmanizeCustomer(
            id=row.entity_id,
            name=row.title[:255] or None,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
    attributes: Mapping[str, Any] = entity.attributes
    texts = {name: _text(attributes, name) for name in _NAMES}
    if texts["name"] is None and texts["surname"] is None:
        texts["name"] = entity.title[:255] or None
    return schemas.UmanizeCustomer(
        id=entity.id,
        customer_id=entity.external_id,
        email=_email(attributes),
        agent_id=_agent(attributes.get("agent_id")),
        created_at=entity.created_at,
        updated_at=entity.updated_at,
        **texts,
    )


def _text(attributes: Mapping[str, Any], name: str) -> str | None:
    values = (attributes.get(key) for key in _NAMES[name])
    text = next((str(value) for value in values if isinstance(value, str | int) and value != ""), None)
    return None if text is None else text[: _LONGEST[name]]


def _agent(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
