"""People and a campaign to deliver to them: as many as wanted, made by the database itself, in a database that has
had campaigns before: on an empty one PostgreSQL plans everything around tables of one page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from state.change import clock_of
from state.tables import (
    Campaign,
    Channel,
    Event,
    Flow,
    Job,
    Organization,
    Slice,
    Target,
    Template,
    Touchpoint,
)
from state.transitions import CampaignStatus, JobStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from state.database import Database
    from state.tables.base import Base

__all__ = ["Sending", "seed", "seed_campaign", "seed_people"]

_EVERYBODY = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}

#: Campaigns that are over, and what each has left behind.
_EARLIER = 300
_SLICES_EACH = 20
_EVENTS_EACH = 10

_PEOPLE = text("""
    INSERT INTO entity (id, org_id, schema, external_id, title, attributes, created_at, updated_at)
    SELECT gen_random_uuid(), :org_id, 'contact', n::text, 'Person ' || n,
        jsonb_build_object(
            'email', 'person' || n || '@example.com', 'first_name', 'Person' || n, 'last_name', 'Example',
            'city', 'City ' || n % 100, 'balance', n % 5000, 'joined', (date '2020-01-01' + n % 1500)::text
        ), now(), now()
    FROM generate_series(1, :size) AS n
""")


class Sending(NamedTuple):
    """What a campaign sends, and through which channel."""

    kind: str = "null"
    settings: Mapping[str, Any] = {}
    parts: Mapping[str, str] = {
        "subject": "Hello {{ first_name }}",
        "text": "Dear {{ first_name }} {{ last_name }},\n\nthere is news in {{ city }}.\n",
    }


def seed(
    database: Database,
    size: int,
    sending: Sending = Sending(),  # noqa: B008
    *,
    earlier: int = _EARLIER,
) -> tuple[UUID, UUID]:
    """An organization with `size` people, a draft campaign to all of them, and `earlier` campaigns that are over; the
    ids of the organization and the campaign.
    """
    with database.begin() as session:
        organization = Organization(id=uuid4(), name=f"bench-{size}", created_at=clock_of(session).now())
        session.add(organization)
        session.flush()
        campaign_id = seed_campaign(session, organization.id, sending)
        _seed_history(session, organization.id, earlier)
        seed_people(session, organization.id, size)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    return organization.id, campaign_id


def seed_people(session: Session, org_id: UUID, size: int) -> None:
    """PostgreSQL only."""
    session.execute(_PEOPLE, {"org_id": org_id, "size": size})


def seed_campaign(session: Session, org_id: UUID, sending: Sending) -> UUID:
    """One message to everybody."""
    now = clock_of(session).now()
    common: dict[str, Any] = {"org_id": org_id, "created_at": now, "updated_at": now}
    channel = Channel(
        id=uuid4(),
        name=sending.kind,
        kind=sending.kind,
        settings=dict(sending.settings),
        doubt_policy="resend",
        is_default=True,
        **common,
    )
    template = Template(id=uuid4(), name="hello", **sending.parts, **common)
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


def _seed_history(session: Session, org_id: UUID, count: int) -> None:
    """Campaigns that were delivered long ago, less their recipients."""
    now = clock_of(session).now()
    common: dict[str, Any] = {"org_id": org_id, "created_at": now, "updated_at": now}
    earlier = range(count)
    targets, flows, campaigns, jobs = ([uuid4() for _ in earlier] for _ in range(4))
    rows: dict[type[Base], list[dict[str, Any]]] = {
        Target: [
            {"id": targets[n], "name": f"audience {n}", "entity_schema": "contact", "entity_filters": None}
            for n in earlier
        ],
        Flow: [{"id": flows[n], "name": f"flow {n}"} for n in earlier],
        Touchpoint: [{"id": uuid4(), "flow_id": flows[n], "position": 0} for n in earlier],
        Campaign: [
            {
                "id": campaigns[n],
                "name": f"campaign {n}",
                "target_ids": [str(targets[n])],
                "flow_id": flows[n],
                "job_id": jobs[n],
                "status": CampaignStatus.COMPLETED,
            }
            for n in earlier
        ],
        Job: [
            {
                "id": jobs[n],
                "campaign_id": campaigns[n],
                "kind": "activation",
                "status": JobStatus.FINISHED,
                "window": 32,
                "planned": True,
                "touched_at": now,
            }
            for n in earlier
        ],
    }
    for table, values in rows.items():
        session.execute(insert(table), [{**common, **value} for value in values])
    session.execute(
        insert(Slice),
        [
            {
                "org_id": org_id,
                "campaign_id": campaign,
                "job_id": job,
                "number": n,
                "state": SliceState.DONE,
                "size": 500,
                "success": 500,
                "success_folded": 500,
                "due_at": now,
            }
            for campaign, job in zip(campaigns, jobs, strict=True)
            for n in range(_SLICES_EACH)
        ],
    )
    session.execute(
        insert(Event),
        [
            {"org_id": org_id, "name": "campaign.completed", "created_at": now, "position": position}
            for position in range(1, count * _EVENTS_EACH + 1)
        ],
    )
