"""Every search by a text finds it in any case and form of its letters, on both databases."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from engine.audience.entities import list_entities
from engine.campaigns.finding import find_campaigns, list_campaigns
from engine.enrolled.searching import Search, aggregate
from engine.filters.targets import list_targets
from engine.insight.recipients import list_recipients
from state.tables import Campaign, Entity, Recipient, Target

if TYPE_CHECKING:
    from uuid import UUID

    from state.database import Database

TEXT = "Zoë Σπύρος-Größe"


@pytest.mark.parametrize(
    "q", ["zoë", "ZOË", unicodedata.normalize("NFD", "Zoë"), "ΣΠΎΡΟΣ", "σπύροσ", "GRÖSSE"]
)
def test_text_is_found_in_any_case_and_form(database: Database, org_id: UUID, q: str) -> None:
    campaign_id, entity_id = uuid4(), uuid4()
    stamps = {"created_at": database.clock.now(), "updated_at": database.clock.now()}
    with database.begin() as session:
        session.add(Campaign(id=campaign_id, org_id=org_id, name=TEXT, **stamps))
        session.add(Target(org_id=org_id, name=TEXT, entity_schema="contact", **stamps))
        session.add(
            Entity(
                id=entity_id, org_id=org_id, schema="contact", title="x", external_id=TEXT, attributes={},
                **stamps,
            )
        )  # fmt: skip
        session.add(
            Recipient(
                org_id=org_id, campaign_id=campaign_id, entity_id=entity_id, entity_schema="contact",
                title=TEXT, attempt=0, in_flight=False, stage="new", **stamps,
            )
        )  # fmt: skip
    with database.read() as session:
        assert list_campaigns(session, org_id, q=q).total == 1
        assert find_campaigns(session, org_id, search=q).total == 1
        assert list_targets(session, org_id, q=q).total == 1
        assert list_entities(session, org_id, "contact", q=q).total == 1
        assert list_recipients(session, org_id, campaign_id, q=q).total == 1
        assert list_recipients(session, org_id, campaign_id, known_by=q).total == 1
        enrolled = aggregate(session, org_id, campaign_id, Search(q=q))
        assert enrolled["extra"]["by_stage"] == {"new": 1}
        assert list_campaigns(session, org_id, q="Σπύρα").total == 0
