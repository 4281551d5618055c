"""People and a campaign to deliver to them: as many as wanted, made by the database itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import text

from state.change import clock_of
from state.tables import Campaign, Channel, Flow, Organization, Target, Template, Touchpoint

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy.orm import Session

    from state.database import Database

__all__ = ["seed", "seed_campaign", "seed_people"]

_EVERYBODY = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}

_PEOPLE = text("""
    INSERT INTO entity (id, org_id, schema, external_id, title, attributes, created_at, updated_at)
    SELECT gen_random_uuid(), :org_id, 'contact', n::text, 'Person ' || n,
        jsonb_build_object(
            'email', 'person' || n || '@example.com', 'first_name', 'Person' || n, 'last_name', 'Example',
            'city', 'City ' || n % 100, 'balance', n % 5000, 'joined', (date '2020-01-01' + n % 1500)::text
        ), now(), now()
    FROM generate_series(1, :size) AS n
""")


def seed(database: Database, size: int) -> tuple[UUID, UUID]:
    """An organization with `size` people and a draft campaign to all of them; the ids of both."""
    with database.begin() as session:
        organization = Organization(id=uuid4(), name=f"bench-{size}", created_at=clock_of(session).now())
        session.add(organization)
        session.flush()
        campaign_id = seed_campaign(session, organization.id)
        seed_people(session, organization.id, size)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    return organization.id, campaign_id


def seed_people(session: Session, org_id: UUID, size: int) -> None:
    """PostgreSQL only."""
    session.execute(_PEOPLE, {"org_id": org_id, "size": size})


def seed_campaign(session: Session, org_id: UUID) -> UUID:
    """One message, "Hello {{ first_name }}" as plain text, through the `null` channel."""
    now = clock_of(session).now()
    common: dict[str, Any] = {"org_id": org_id, "created_at": now, "updated_at": now}
    channel = Channel(id=uuid4(), name="null", kind="null", doubt_policy="resend", is_default=True, **common)
    template = Template(
        id=uuid4(),
        name="hello",
        subject="Hello {{ first_name }}",
        text="Dear {{ first_name }} {{ last_name }},\n\nthere is news in {{ city }}.\n",
        **common,
    )
    flow = Flow(id=uuid4(), name="hello", **common)
    target = Target(
        id=uuid4(), name="everybody", entity_schema="contact", entity_filters=_EVERYBODY, **common
    )
    session.add_all([channel, template, flow, target])
    session.flush()
    session.add(
        Touchpoint(
            id=uuid4(),
            flow_id=flow.id,
            position=0,
            channel_id=channel.id,
            template_id=template.id,
            **common,
        )
    )
    campaign = Campaign(
        id=uuid4(), name="bench", target_ids=[str(target.id)], flow_id=flow.id, status="draft", **common
    )
    session.add(campaign)
    session.flush()
    return campaign.id
