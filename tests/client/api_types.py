"""The types of the client's calls. Checked by mypy (test_surface.py), never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, assert_type

from muster_client.types import (
    Campaign,
    CampaignPlan,
    Entity,
    Event,
    EventAnswers,
    Execution,
    ImportResult,
    JobStatus,
    Moved,
    Progress,
    Recipient,
    Retriggered,
    StatusChanged,
    Suppression,
    Target,
    Template,
    Touchpoint,
    Validation,
    Webhook,
    WebhookDelivery,
)
from muster_client.webhooks import verify

if TYPE_CHECKING:
    from muster_client import AsyncMuster, Muster


def waiting(client: Muster) -> None:
    assert_type(client.campaign.list(), Iterator[Campaign])
    assert_type(client.campaign.plan("x"), CampaignPlan)
    assert_type(client.campaign.progress("x"), Progress)
    assert_type(client.campaign.list_executions("x"), Iterator[Execution])
    assert_type(client.suppression.list(), Iterator[Suppression])
    assert_type(client.event.report([]), EventAnswers)
    assert_type(client.event.listen(), Iterator[Event])
    assert_type(client.webhook.create({}), Webhook)
    assert_type(verify(b"", {}, "x"), Event)
    campaign = client.campaign.create({"name": "x"})
    assert_type(campaign, Campaign)
    assert_type(campaign["_id"], str)
    assert_type(client.campaign.create_touchpoint({}), Touchpoint)
    assert_type(client.campaign.validate_touchpoint({}), Validation)
    assert_type(client.campaign.activate("x"), StatusChanged)
    assert_type(client.campaign.pause("x"), Moved)
    assert_type(client.campaign.resume("x"), Moved)
    assert_type(client.campaign.wait_for_job("x"), JobStatus)
    assert_type(client.campaign.recipients("x"), Iterator[Recipient])
    assert_type(client.campaign.retrigger("x", []), Retriggered)
    assert_type(client.entity.import_stream("contact", b""), ImportResult)
    assert_type(client.entity.get("contact", "x"), Entity)
    assert_type(client.target.get("x"), Target)
    assert_type(client.target.count("x"), int)
    assert_type(client.template.list(), Iterator[Template])


async def awaited(client: AsyncMuster) -> None:
    assert_type(client.campaign.list(), AsyncIterator[Campaign])
    assert_type(client.event.listen(), AsyncIterator[Event])
    assert_type(client.webhook.deliveries("x"), AsyncIterator[WebhookDelivery])
    assert_type(await client.campaign.create({"name": "x"}), Campaign)
    assert_type(client.campaign.recipients("x"), AsyncIterator[Recipient])
    assert_type(await client.campaign.pause("x"), Moved)
    assert_type(await client.campaign.resume("x"), Moved)
    assert_type(await client.target.get("x"), Target)
    assert_type(await client.target.count("x"), int)
    assert_type(client.template.list(), AsyncIterator[Template])


def required_keys() -> None:
    """Leaving out a key that every answer has is an error of types, and naming all of them is none."""
    Campaign(_id="x", created_at="", updated_at="", name="x", status="draft")
    Campaign(_id="x", created_at="", updated_at="", name="x")  # type: ignore[typeddict-item]
    Recipient(entity_id="x", entity_schema="contact", title="x", updated_at="")
    Recipient(entity_schema="contact", title="x", updated_at="")  # type: ignore[typeddict-item]
    JobStatus()


def misspelt_keys(recipient: Recipient, campaign: Campaign) -> None:
    recipient["entity"]  # type: ignore[typeddict-item]
    campaign["state"]  # type: ignore[typeddict-item]
