"""Campaign rows: only what exists is referred to, status is never written, deleting leaves nothing behind."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from engine.campaigns import campaigns, finding, flows, lifecycle, portals, templates
from engine.kernel.inputs import InUse, Invalid, read
from engine.kernel.rule_violations import RuleCode, RuleViolation
from engine.organizations import create_organization
from state.errors import NotFound
from state.tables import Campaign, Execution, Job, Recipient, Slice, Target, Widget


@pytest.fixture
def parts(database, org_id, clock):
    """A target and a flow."""
    with database.begin() as session:
        target = Target(
            org_id=org_id,
            name="t",
            entity_schema="contact",
            entity_filters={"filter": {"items": [{"key": "a", "operator": "NOT_EMPTY"}]}},
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        session.add(target)
        template = templates.create_template(
            session, org_id, read(templates.TemplateInput, {"name": "t", "text": "x"})
        )
        flow = flows.create_flow(
            session,
            org_id,
            read(flows.FlowInput, {"name": "f", "touchpoints": [{"template_id": template.id}]}),
        )
        session.flush()
        return {"target_ids": [str(target.id)], "flow_id": str(flow.id)}


def create(database, org_id, **given):
    with database.begin() as session:
        return campaigns.create_campaign(session, org_id, read(campaigns.CampaignInput, given)).id


def test_a_campaign_begins_as_a_draft_with_what_it_was_given(database, org_id, parts):
    campaign_id = create(database, org_id, name=" spring ", goal="sell", end_date="2026-05-01", **parts)
    with database.read() as session:
        kept = campaigns.get_campaign(session, org_id, campaign_id)
        assert (kept.name, kept.status, kept.ends) == ("spring", "draft", "when_delivered")
        assert parts["target_ids"] == kept.target_ids
        assert parts["flow_id"] == str(kept.flow_id)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "name"),
        ({"name": "c", "status": "active"}, "body"),
        ({"name": "c", "flow_id": str(uuid4())}, "flow_id"),
        ({"name": "c", "flow_id": "nope"}, "flow_id"),
        ({"name": "c", "target_ids": [str(uuid4())]}, "target_ids[0]"),
        ({"name": "c", "target_ids": None}, "target_ids"),
        ({"name": "c", "start_date": "2026-02-02", "end_date": "2026-02-01"}, "end_date"),
        ({"name": "c", "start_date": "soon"}, "start_date"),
        ({"name": "c", "ends": "never"}, "ends"),
        ({"name": "c", "target_id": []}, "target_id"),
    ],
)
def test_bad_input_names_the_field_and_keeps_nothing(database, org_id, given, field):
    with pytest.raises(Invalid) as refused:
        create(database, org_id, **given)
    assert field == refused.value.field
    with database.read() as session:
        assert finding.list_campaigns(session, org_id).total == 0


def test_an_update_is_checked_against_what_stays(database, org_id, parts):
    campaign_id = create(database, org_id, name="c", start_date="2026-02-02", **parts)
    change = read(campaigns.CampaignChange, {"end_date": "2026-02-01"})
    with pytest.raises(Invalid, match="end_date"), database.begin() as session:
        campaigns.update_campaign(session, org_id, campaign_id, change)
    with database.begin() as session:
        change = read(campaigns.CampaignChange, {"flow_id": None, "description": "d"})
        changed = campaigns.update_campaign(session, org_id, campaign_id, change)
        assert (changed.flow_id, changed.description, changed.name) == (None, "d", "c")
        assert parts["target_ids"] == changed.target_ids


def test_deleting_waits_for_the_job_and_then_leaves_nothing(database, org_id, parts, clock):
    campaign_id = create(database, org_id, name="c", **parts)
    other_id = create(database, org_id, name="other", **parts)
    with database.begin() as session:
        job = lifecycle.activate(session, org_id, campaign_id, window=4)
        assert job is not None
        for owner in (campaign_id, other_id):
            now = {"created_at": clock.now(), "updated_at": clock.now()}
            session.add(
                Recipient(org_id=org_id, campaign_id=owner, entity_id=uuid4(), entity_schema="contact", **now)
            )
            session.add(
                Execution(
                    id=uuid4(), org_id=org_id, campaign_id=owner, entity_id=uuid4(), status="failed",
                    attempt=1, ended_at=clock.now(),
                )
            )  # fmt: skip
        session.add(
            Slice(org_id=org_id, campaign_id=campaign_id, job_id=job.id, number=0, size=1, due_at=clock.now())
        )
        portal = portals.create_portal(session, org_id, read(portals.PortalInput, {"name": "p"}))
        portals.create_widget(session, org_id, portal.id, portals.WidgetInput(campaign_id=campaign_id))
    with pytest.raises(RuleViolation) as refused, database.begin() as session:
        campaigns.delete_campaign(session, org_id, campaign_id)
    assert refused.value.code is RuleCode.CAMPAIGN_HAS_JOB_IN_PROGRESS
    with database.begin() as session:
        lifecycle.deactivate(session, org_id, campaign_id)
        campaigns.delete_campaign(session, org_id, campaign_id)
    with database.read() as session:
        assert [0, 0, 0] == [session.query(table).count() for table in (Job, Slice, Widget)]
        for campaign_ids in (Recipient.campaign_id, Execution.campaign_id):
            assert [other_id] == session.scalars(select(campaign_ids)).all()
        assert [other_id] == [row.id for row in session.query(Campaign)]


def test_a_flow_of_a_campaign_stays(database, org_id, parts):
    create(database, org_id, name="spring", **parts)
    with pytest.raises(InUse, match="'spring' uses this flow"), database.begin() as session:
        flows.delete_flow(session, org_id, UUID(parts["flow_id"]))


def test_lists_are_newest_first_and_searched_without_case(database, org_id, clock):
    for name in ("Alpha", "beta 100%", "Gamma"):
        clock.forward(seconds=1)
        create(database, org_id, name=name, description=f"about {name}")
    with database.read() as session:
        found = finding.list_campaigns(session, org_id)
        assert [row.name for row in found.results] == ["Gamma", "beta 100%", "Alpha"]
        assert [row.name for row in finding.list_campaigns(session, org_id, q="aLPh").results] == ["Alpha"]
        assert finding.list_campaigns(session, org_id, q="100%").total == 1
        assert finding.list_campaigns(session, org_id, q="%").total == 1, "% is a character, not a pattern"
        first = finding.list_campaigns(session, org_id, limit=2)
        second = finding.list_campaigns(session, org_id, limit=2, next=first.next)
        assert (len(first.results), len(second.results), second.next, second.total) == (2, 1, None, 3)
        for wrong in ("x", "e30", "W10", "WzEsMl0", "é"):
            with pytest.raises(Invalid, match="next"):
                finding.list_campaigns(session, org_id, next=wrong)
        for limit in (0, -1, 1001):
            with pytest.raises(Invalid, match="limit"):
                finding.list_campaigns(session, org_id, limit=limit)


def test_another_organization_sees_and_refers_to_nothing(database, org_id, parts):
    campaign_id = create(database, org_id, name="c")
    with database.begin() as session:
        other = create_organization(session, "other").id
        for attempt in (
            lambda: campaigns.get_campaign(session, other, campaign_id),
            lambda: campaigns.update_campaign(session, other, campaign_id, campaigns.CampaignChange()),
            lambda: campaigns.delete_campaign(session, other, campaign_id),
        ):
            with pytest.raises(NotFound):
                attempt()
        for field in ("target_ids", "flow_id"):
            given = {"name": "c", field: parts[field]}
            with pytest.raises(Invalid, match=field):
                campaigns.create_campaign(session, other, read(campaigns.CampaignInput, given))
