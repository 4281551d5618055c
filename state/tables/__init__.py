"""Every table. A newcomer reads `delivery` first."""

from state.tables.audience import Entity, FormerEntity, Suppression, Target
from state.tables.audit import AuditRecord
from state.tables.base import Base, JsonObject
from state.tables.browser_session import BrowserSession, SignInCode
from state.tables.campaign import Campaign, Channel, Flow, Picture, Template, TemplateAttachment, Touchpoint
from state.tables.delivery import (
    Attempt,
    DeliveryHour,
    Execution,
    Job,
    JobPace,
    Recipient,
    RecipientAddress,
    Slice,
)
from state.tables.engagement import Engagement, EngagementHour, TakenEvent
from state.tables.enrolment import TargetKey
from state.tables.events import Event, Webhook, WebhookDelivery, WebhookLane
from state.tables.experiment import Experiment
from state.tables.limits import ChannelDay, Contact, DomainThrottle
from state.tables.organization import ApiKey, IdempotencyKey, Organization
from state.tables.people import Erasure, SealedKey
from state.tables.portal import JourneyLink, Portal, ProductRecommendation, Widget
from state.tables.process import ChoreRun, Process, ProcessKind
from state.tables.run import DryRun, ScheduledRun
from state.tables.topic import Topic, TopicOptOut

__all__ = [
    "ApiKey",
    "Attempt",
    "AuditRecord",
    "Base",
    "BrowserSession",
    "Campaign",
    "Channel",
    "ChannelDay",
    "ChoreRun",
    "Contact",
    "DeliveryHour",
    "DomainThrottle",
    "DryRun",
    "Engagement",
    "EngagementHour",
    "Entity",
    "Erasure",
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
    "Picture",
    "Portal",
    "Process",
    "ProcessKind",
    "ProductRecommendation",
    "Recipient",
    "RecipientAddress",
    "ScheduledRun",
    "SealedKey",
    "SignInCode",
    "Slice",
    "Suppression",
    "TakenEvent",
    "Target",
    "TargetKey",
    "Template",
    "TemplateAttachment",
    "Topic",
    "TopicOptOut",
    "Touchpoint",
    "Webhook",
    "WebhookDelivery",
    "WebhookLane",
    "Widget",
]
