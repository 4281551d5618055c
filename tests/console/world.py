"""What pages show in tests: something of everything, and each name that a person chooses is an attempt to be markup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import func, select, update

from engine.api.console.draft_document import Document, Group, Row, Step, Variant
from engine.audience.suppression_list import SuppressionInput, suppress
from engine.campaigns.drafts import begin_draft
from engine.campaigns.pictures import keep_picture
from engine.campaigns.templates import TemplateInput, create_template
from engine.events.webhooks import WebhookInput, create_webhook
from engine.kernel.inputs import read
from engine.kernel.outbound import Guard
from engine.kernel.secrets import Secrets
from state.tables import Campaign, Channel, DeliveryHour, Entity, Event, Process, Recipient, WebhookDelivery
from tests.api.world import add_recipients, make_campaign, make_job, make_target

if TYPE_CHECKING:
    from tests.api.conftest import Api

__all__ = ["HOSTILE", "World", "make_world"]

#: Ends an attribute, a tag and a script, and begins others.
HOSTILE = (
    """x"'></title></script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">{{ 7*7 }}"""
)


@dataclass(frozen=True)
class World:
    """Ids of what was made."""

    campaign_id: UUID
    recipient_id: UUID
    channel_id: UUID
    target_id: UUID
    template_id: UUID
    webhook_id: UUID
    draft_id: UUID
    """A campaign that is being written."""


def make_world(api: Api, *, campaigns: int = 1, recipients: int = 4) -> World:
    """A campaign that has delivered to some and failed with others, beside others that are drafts."""
    database, org_id = api.database, api.org_id
    now = database.clock.now()
    campaign_id = make_campaign(database, org_id, name=HOSTILE[:150])
    for number in range(1, campaigns):
        make_campaign(database, org_id, name=f"draft {number}")
    sent = recipients - recipients // 2
    job_id = make_job(
        database,
        org_id,
        campaign_id,
        total=recipients,
        success=sent,
        failed=recipients - sent,
        started_at=now,
        waits_until=now + timedelta(minutes=5),
        waits_for="limit",
        waits_reason=HOSTILE,
    )
    with database.begin() as session:
        channel = Channel(
            id=uuid4(),
            org_id=org_id,
            name=HOSTILE[:150],
            kind="file",
            settings={},
            doubt_policy="resend",
            is_default=True,
            blocked_until=now + timedelta(minutes=5),
            blocked_reason=HOSTILE,
            breaker_opened_at=now,
            created_at=now,
            updated_at=now,
        )
        session.add(channel)
        campaign = session.get_one(Campaign, campaign_id)
        campaign.status, campaign.description, campaign.goal = "active", HOSTILE, HOSTILE
        session.add(
            DeliveryHour(
                org_id=org_id,
                campaign_id=campaign_id,
                hour=now.replace(minute=0),
                touchpoint_id=uuid4(),
                target_id=uuid4(),
                variant=HOSTILE[:60],
                sent=sent,
                failed=recipients - sent,
            )
        )
        session.add(Process(kind="worker", host="h", pid=1, started_at=now, seen_at=now))
    statuses = ["success"] * sent + ["failed"] * (recipients - sent)
    ids = add_recipients(
        database, org_id, campaign_id, statuses, job_id=job_id, slice_number=0, title=HOSTILE
    )
    _fail(api, ids[sent:])
    return World(campaign_id, ids[-1], channel.id, *_made(api), _written(api))


def _written(api: Api) -> UUID:
    """A draft with a step of every type, whose texts are attempts to be markup."""
    types: tuple[str, ...] = ("message", "wait", "condition", "action")
    steps = [
        Step(type=one, name=HOSTILE, subject=HOSTILE, body=HOSTILE, where=HOSTILE, payload=HOSTILE)
        for one in types
    ]
    steps[0].variants = [Variant(subject=HOSTILE, body=HOSTILE)]
    document = Document(
        name=HOSTILE[:150],
        groups=[Group(rows=[Row(name=HOSTILE[:60], value=HOSTILE), Row(name="email", operator="NOT_EMPTY")])],
        steps=steps,
    )
    with api.database.begin() as session:
        keep_picture(session, api.org_id, HOSTILE[:200], b"GIF89a" + HOSTILE.encode())
        return begin_draft(session, api.org_id, HOSTILE[:150], document.model_dump()).id


def _made(api: Api) -> tuple[UUID, UUID, UUID]:
    """A target, a template and a webhook that was told of something."""
    org_id, now = api.org_id, api.database.clock.now()
    settings = api.runtime.settings
    with api.database.begin() as session:
        target = make_target(session, org_id, name=HOSTILE[:150], description=HOSTILE)
        given = {"name": HOSTILE[:140], "subject": "Hello", "html": "<p>Hello {{ first_name }}</p>"}
        template = create_template(session, org_id, read(TemplateInput, given))
        hook = WebhookInput(url="https://example.com/hook?q=%22%3E", events=["*"], description=HOSTILE)
        webhook, _ = create_webhook(
            session, org_id, hook, Secrets.of(settings), Guard(settings.webhook_networks)
        )
        session.add(
            WebhookDelivery(
                org_id=org_id,
                webhook_id=webhook.id,
                campaign_id=uuid4(),
                event_id=session.scalars(select(func.max(Event.id)).where(Event.org_id == org_id)).one(),
                event="campaign.started",
                state="dead",
                status=500,
                error=HOSTILE,
                created_at=now,
            )
        )
        suppress(session, org_id, SuppressionInput(address=f"{uuid4().hex}@example.com", medium="email"))
        return target, template.id, webhook.id


def _fail(api: Api, entity_ids: list[UUID]) -> None:
    """Errors, and an entity, of those who failed."""
    now = api.database.clock.now()
    with api.database.begin() as session:
        session.execute(
            update(Recipient)
            .where(Recipient.entity_id.in_(entity_ids))
            .values(error_code="SMTP_550", error_text=HOSTILE)
        )
        session.add_all(
            Entity(
                id=entity_id,
                org_id=api.org_id,
                schema="contact",
                external_id=f"e-{entity_id}",
                title=HOSTILE,
                attributes={"email": f"p{number}@example.com", HOSTILE[:60]: HOSTILE},
                created_at=now,
                updated_at=now,
            )
            for number, entity_id in enumerate(entity_ids)
        )
