"""Every table. A newcomer reads `delivery` first."""

from state.tables.audience import Entity, Suppression, Target
from state.tables.base import Base, JsonObject
from state.tables.campaign import Campaign, Channel, Flow, Template, Touchpoint
from state.tables.delivery import Event, Execution, Job, Recipient, Slice
from state.tables.engagement import Engagement, EngagementHour
from state.tables.organization import ApiKey, IdempotencyKey, Organization
from state.tables.portal import JourneyLink, Portal, ProductRecommendation, Widget

__all__ = [
    "ApiKey",
    "Base",
    "Campaign",
    "Channel",
    "Engagement",
    "EngagementHour",
    "Entity",
    "Event",
    "Execution",
    "Flow",
    "IdempotencyKey",
    "Job",
    "JourneyLink",
    "JsonObject",
    "Organization",
    "Portal",
    "ProductRecommendation",
    "Recipient",
    "Slice",
    "Suppression",
    "Target",
    "Template",
    "Touchpoint",
    "Widget",
]
