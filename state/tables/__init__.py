"""Every table. A newcomer reads `delivery` first."""

from state.tables.audience import Entity, Suppression, Target
from state.tables.base import Base, JsonObject
from state.tables.campaign import Campaign, Channel, Flow, Template, Touchpoint
from state.tables.delivery import Event, Execution, Job, Recipient, Slice
from state.tables.organization import ApiKey, IdempotencyKey, Organization
from state.tables.portal import Portal, Widget

__all__ = [
    "ApiKey",
    "Base",
    "Campaign",
    "Channel",
    "Entity",
    "Event",
    "Execution",
    "Flow",
    "IdempotencyKey",
    "Job",
    "JsonObject",
    "Organization",
    "Portal",
    "Recipient",
    "Slice",
    "Suppression",
    "Target",
    "Template",
    "Touchpoint",
    "Widget",
]
