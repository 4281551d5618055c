"""Every table. A newcomer reads `delivery` first."""

from state.tables.audience import Entity, FormerEntity, Suppression, Target
from state.tables.audit import AuditRecord
from state.tables.base import Base, JsonObject
from state.tables.campaign import Campaign, Channel, Flow, Template, TemplateAttachment, Touchpoint
from state.tables.delivery import DeliveryHour, Execution, Job, JobPace, Recipient, RecipientAddress, Slice
from state.tables.engagement import Engagement, EngagementHour, TakenEvent
from state.tables.enrolment import TargetKey
from state.tables.events import Event, Webhook, WebhookDelivery, WebhookLane
from state.tables.experiment import Experiment
from state.tables.limits import ChannelDay, Contact, DomainThrottle
from state.tables.organization import ApiKey, IdempotencyKey, Organization
from state.tables.portal import JourneyLink, Portal, ProductRecommendation, Widget
from state.tables.process import Process, ProcessKind
from state.tables.run import DryRun, ScheduledRun

__all__ = [
    "ApiKey",
    "AuditRecord",
    "Base",
    "Campaign",
    "Channel",
    "ChannelDay",
    "Contact",
    "DeliveryHour",
    "DomainThrottle",
    "DryRun",
    "Engagement",
    "EngagementHour",
    "Entity",
    "Event",
    "Execution",
    "Experiment",
    "Flow",
    "FormerEntity",
    "IdempotencyKey",
    "Job",
    "JobPace",
    "JourneyLink",
    "JsonObject",
    "Organization",
    "Portal",
    "Process",
    "ProcessKind",
    "ProductRecommendation",
    "Recipient",
    "RecipientAddress",
    "ScheduledRun",
    "Slice",
    "Suppression",
    "TakenEvent",
    "Target",
    "TargetKey",
    "Template",
    "TemplateAttachment",
    "Touchpoint",
    "Webhook",
    "WebhookDelivery",
    "WebhookLane",
    "Widget",
]
