"""A campaign that may be activated, made by the services in one transaction: `stack.seed(seed, key, size=…)`.

Everything is in an organization of its own. The contacts are written by one statement, because a fault test
is about what comes after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import text

from engine.campaigns.campaigns import CampaignInput, create_campaign
from engine.campaigns.channels import ChannelInput, create_channel
from engine.campaigns.flows import FlowInput, create_flow
from engine.campaigns.templates import TemplateInput, create_template
from engine.filters.targets import TargetInput, create_target
from engine.kernel.inputs import read
from engine.kernel.secrets import Secrets
from engine.organizations import create_organization

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["EVERYBODY", "Seeded", "seed", "smtp_settings"]

EVERYBODY = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}

#: Fifty mail domains, and a name that no other contact has.
_CONTACTS = text(
    """
    INSERT INTO entity (id, org_id, schema, title, attributes, created_at, updated_at)
    SELECT gen_random_uuid(), :org_id, 'contact', 'Person ' || number,
           jsonb_build_object('email', 'p' || number || '@d' || (number % 50) || '.example',
                              'name', 'Person ' || number),
           now(), now()
      FROM generate_series(1, :size) AS number
    """
)


@dataclass(frozen=True)
class Seeded:
    """What was made."""

    org_id: UUID
    campaign_id: UUID


def smtp_settings(port: int, **settings: Any) -> dict[str, Any]:
    """The settings of an `smtp` channel that sends to 127.0.0.1:`port`."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from_email": "news@muster.example",
        "helo": "muster.example",
        **settings,
    }


def seed(
    session: Session, /, key: str, *, size: int, kind: str, settings: Mapping[str, Any], **channel: Any
) -> Seeded:
    """A draft campaign to `size` contacts. PostgreSQL only.

    Args:
        session: A writing transaction.
        key: MUSTER_SECRET_KEY of those who will send.
        size: How many contacts.
        kind: Of the channel.
        settings: Of the channel.
        channel: What else its row has: `doubt_policy="hold"`, `retry_base_seconds=1`.
    """
    org_id = create_organization(session, f"seeded-{uuid4().hex[:12]}").id
    session.execute(_CONTACTS, {"org_id": org_id, "size": size})
    made = {"name": kind, "kind": kind, "settings": dict(settings), **channel}
    channel_id = create_channel(session, org_id, read(ChannelInput, made), Secrets([key])).id
    template_id = create_template(
        session,
        org_id,
        read(
            TemplateInput, {"name": "t", "subject": "Hello {{ name }}", "text": "Dear {{ name }},\nhello.\n"}
        ),
    ).id
    touchpoints = [{"template_id": template_id, "channel_id": channel_id}]
    flow_id = create_flow(session, org_id, read(FlowInput, {"name": "f", "touchpoints": touchpoints})).id
    audience = {"name": "everybody", "entity_schema": "contact", "entity_filters": EVERYBODY}
    target_id = create_target(session, org_id, read(TargetInput, audience)).id
    campaign = {"name": "seeded", "target_ids": [target_id], "flow_id": flow_id}
    return Seeded(org_id, create_campaign(session, org_id, read(CampaignInput, campaign)).id)
