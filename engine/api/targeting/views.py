"""Rows as the Targeting dialect shows them."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from engine.api.masking import shown_settings
from engine.api.targeting import schemas, template_schemas
from engine.api.targeting.audience_answers import Suppressed
from engine.api.words import states_by_word
from engine.channels.port import Deferred, Delivered, Doubtful, Down, Rejected, Released, Throttled
from engine.engagement.email import EmailStatus
from engine.insight.email import email_status
from state.transitions import CampaignStatus
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.campaigns.previews import Preview
    from engine.channels.port import Outcome
    from engine.kernel.listing import Page
    from engine.kernel.principal import Principal
    from state import tables

__all__ = [
    "STATES_OF",
    "attachment",
    "attachment_with_content",
    "campaign",
    "channel",
    "flow",
    "organization",
    "page",
    "portal",
    "product_recommendation",
    "recipient",
    "recipients",
    "suppressed",
    "target",
    "template",
    "template_preview",
    "template_test",
    "widget",
]

#: docs/contract/states.md: what each of our states is called here. `inactive` says less than we know.
_WORDS = {
    CampaignStatus.DRAFT: "draft",
    CampaignStatus.ACTIVATING: "activating",
    CampaignStatus.ACTIVE: "active",
    CampaignStatus.PAUSED: "inactive",
    CampaignStatus.COMPLETED: "inactive",
    CampaignStatus.CANCELLED: "inactive",
}
STATES_OF = states_by_word(_WORDS)


def _system(row: Any, title: str) -> dict[str, Any]:
    return {
        "id_": row.id,
        "id": row.id,
        "org": str(row.org_id),
        "owners": [schemas.Owner(org_id=str(row.org_id))],
        "schema_": row.__tablename__,
        "title_": title,
        "created_at_": row.created_at,
        "updated_at_": row.updated_at,
    }


def campaign(row: tables.Campaign) -> dict[str, Any]:
    """See `schemas.Campaign`."""
    targets = [UUID(target_id) for target_id in row.target_ids]
    return schemas.Campaign(
        **_system(row, row.name),
        name=row.name,
        description=row.description,
        goal=row.goal,
        status=_WORDS[CampaignStatus(row.status)],
        state=row.status,
        ends=row.ends,
        start_date=row.start_date,
        end_date=row.end_date,
        flow_id=row.flow_id,
        job_id=row.job_id,
        limits=row.limits,
        next_best_action=row.next_best_action,
        tracking=row.tracking,
        attribution_days=row.attribution_days,
        one_per_address=row.one_per_address,
        topic_id=row.topic_id,
        target=schemas.Relation(relation=[schemas.Related(entity_id=target_id) for target_id in targets]),
        target_ids=targets,
    ).sent()


def recipient(row: tables.Recipient, *, mails: bool) -> dict[str, Any]:
    """See `schemas.Recipient`; `mails` is whether the campaign sends e-mail."""
    status = email_status(row, mails=mails)
    details = {f"email_{name}": value for name, value in (row.email_feedback or {}).items()}
    if status == EmailStatus.FAILED:
        details.setdefault("email_bounce_reason", row.error_text)
    current = row.current_execution_id
    is_reported = row.execution_alias is not None and row.execution_alias_of == current
    execution_id = None if current is None else str(current)
    return schemas.Recipient(
        entity_id=row.entity_id,
        entity_schema=row.entity_schema,
        title=row.title,
        automation_status=row.status,
        automation_execution_id=row.execution_alias if is_reported else execution_id,
        portal_status=row.portal_status,
        portal_status_updated_at=row.portal_status_updated_at,
        portal_state=row.portal_state,
        entity_ui_status=row.entity_ui_status,
        entity_ui_status_updated_at=row.entity_ui_status_updated_at,
        entity_ui_status_before_dismiss=row.entity_ui_status_before_dismiss,
        message_entity_id=None if is_reported or status in (None, EmailStatus.FAILED) else execution_id,
        email_status=status,
        email_status_updated_at=row.email_status_updated_at,
        email_bounce_type=row.email_bounce_type,
        **details,
        updated_at=row.updated_at,
        error_code=row.error_code,
        error_text=row.error_text,
    ).sent()


def recipients(found: Page[tables.Recipient], *, mails: bool) -> dict[str, Any]:
    """See `schemas.Recipients`."""
    return page(found, partial(recipient, mails=mails))


def target(row: tables.Target) -> dict[str, Any]:
    """See `schemas.Target`."""
    return schemas.Target(
        **_system(row, row.name),
        name=row.name,
        description=row.description,
        entity_schema=row.entity_schema,
        entity_filters=row.entity_filters,
    ).sent()


def topic(row: tables.Topic) -> dict[str, Any]:
    """See `schemas.Topic`."""
    return schemas.Topic(**_system(row, row.name), name=row.name, description=row.description).sent()


def flow(principal: Principal, row: tables.Flow, touchpoints: Iterable[tables.Touchpoint]) -> dict[str, Any]:
    """See `schemas.Flow`."""
    steps = [
        schemas.Step(
            id=step.id,
            type=step.type,
            name=step.name,
            description=step.description,
            status=step.status,
            condition=step.condition,
            settings=shown_settings(principal, step.settings) or None,
            template_id=step.template_id,
            content=step.content,
            variants=step.variants,
            channel_id=step.channel_id,
        )
        for step in touchpoints
    ]
    return schemas.Flow(**_system(row, row.name), name=row.name, touchpoints=steps).sent()


def template(row: tables.Template) -> dict[str, Any]:
    """See `template_schemas.Template`."""
    return template_schemas.Template(
        **_system(row, row.name),
        name=row.name,
        subject=row.subject,
        html=row.html,
        text=row.text,
        sender=row.sender,
        defaults=row.defaults,
        mjml=row.mjml,
        inline_css=row.inline_css,
        headers=row.headers,
        data=row.data,
        language=row.language,
        translations=row.translations,
        language_attribute=row.language_attribute,
        time_zone=row.time_zone,
    ).sent()


def attachment(row: tables.TemplateAttachment) -> dict[str, Any]:
    """See `template_schemas.Attachment`."""
    return template_schemas.Attachment(**_attachment(row)).sent()


def attachment_with_content(row: tables.TemplateAttachment) -> dict[str, Any]:
    """See `template_schemas.AttachmentWithContent`."""
    content = base64.b64encode(row.content).decode()
    return template_schemas.AttachmentWithContent(**_attachment(row), content=content).sent()


def _attachment(row: tables.TemplateAttachment) -> dict[str, Any]:
    return {
        **_system(row, row.filename),
        "template_id": row.template_id,
        "filename": row.filename,
        "content_type": row.content_type,
        "content_id": row.content_id,
        "size": row.size,
    }


def template_preview(found: Preview) -> dict[str, Any]:
    """See `template_schemas.TemplatePreview`."""
    content = found.content
    enclosed = content.enclosed.attachments if content.enclosed is not None else ()
    return template_schemas.TemplatePreview(
        subject=content.subject,
        html=content.html,
        text=content.text,
        data=None if content.data is None else dict(content.data),
        headers=[template_schemas.PreviewHeader(name=name, value=value) for name, value in found.headers],
        attachments=[one.filename for one in enclosed],
        size=found.size,
        warnings=found.warnings,
    ).sent()


_OUTCOMES: dict[type[Outcome], Any] = {
    kind: kind.__name__.lower()
    for kind in (Delivered, Rejected, Deferred, Throttled, Down, Doubtful, Released)
}


def template_test(outcome: Outcome) -> dict[str, Any]:
    """See `template_schemas.TemplateTest`."""
    said = getattr(outcome, "text", None) or getattr(outcome, "reference", None)
    return template_schemas.TemplateTest(
        outcome=_OUTCOMES[type(outcome)],
        code=getattr(outcome, "code", None),
        message=said,
    ).sent()


def channel(principal: Principal, row: tables.Channel) -> dict[str, Any]:
    """See `schemas.Channel`."""
    return schemas.Channel(
        **_system(row, row.name),
        name=row.name,
        kind=row.kind,
        settings=shown_settings(principal, row.settings),
        has_credentials=row.credentials is not None,
        is_default=row.is_default,
        doubt_policy=row.doubt_policy,
        max_attempts=row.max_attempts,
        retry_base_seconds=row.retry_base_seconds,
        retry_span_seconds=row.retry_span_seconds,
        cost_per_message=row.cost_per_message,
        fallback_channel_id=row.fallback_channel_id,
        limits=row.limits,
        tracking=row.tracking,
        blocked_until=row.blocked_until,
        blocked_reason=row.blocked_reason,
        breaker_opened_at=row.breaker_opened_at,
    ).sent()


def organization(row: tables.Organization) -> dict[str, Any]:
    """See `schemas.Organization`."""
    return schemas.Organization(
        id_=row.id, name=row.name, time_zone=row.time_zone, region=row.region, limits=row.limits
    ).sent()


def portal(row: tables.Portal) -> dict[str, Any]:
    """See `schemas.Portal`."""
    return schemas.Portal(
        **_system(row, row.name), name=row.name, origin=row.origin, domain=row.domain
    ).sent()


def widget(row: tables.Widget) -> dict[str, Any]:
    """See `schemas.Widget`."""
    return schemas.Widget(
        **_system(row, row.type),
        portal_id=row.portal_id,
        campaign_id=row.campaign_id,
        type=row.type,
        headline=row.headline,
    ).sent()


def product_recommendation(row: tables.ProductRecommendation) -> dict[str, Any]:
    """See `schemas.ProductRecommendation`."""
    return schemas.ProductRecommendation(
        **_system(row, row.name),
        campaign_id=row.campaign_id,
        name=row.name,
        source_product_id=row.source_product_id,
        source_price_id=row.source_price_id,
        offers=row.offers,
    ).sent()


def suppressed(row: tables.Suppression) -> dict[str, Any]:
    """See `Suppressed`."""
    return Suppressed(
        id=row.id,
        medium=row.medium,
        channel_kind=row.channel_kind,
        address=row.address,
        reason=row.reason,
        campaign_id=None if row.campaign_id == NIL_UUID else row.campaign_id,
        created_at=row.created_at,
    ).sent()


def page(found: Page[Any], view: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """A page of anything: `next` alone may be null (docs/contract/targeting.md)."""
    return {"results": [view(row) for row in found.results], "next": found.next, "total": found.total}
