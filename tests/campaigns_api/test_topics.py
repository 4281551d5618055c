"""A delivery leaves out who opted out of its topic, and nobody else; the plan says so before."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from state.tables import Entity, TopicOptOut

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk


def test_who_opted_out_of_the_topic_is_left_out_of_its_campaigns_alone(desk: Desk) -> None:
    desk.segment("seg789")
    desk.template("tmpl456")
    desk.sender("file", settings={"address": "email", "medium": "email"})
    people = desk.people(3)
    topic = desk.client.post("/v1/topic", json={"name": "News"}).json()["_id"]
    with desk.database.begin() as session:
        address = session.get_one(Entity, people[1]).attributes["email"]
        session.add(
            TopicOptOut(
                org_id=desk.org_id,
                topic_id=UUID(topic),
                address=address,
                medium="email",
                created_at=desk.clock.now(),
            )
        )
    about, other = desk.plain(name="about"), desk.plain(name="other")
    desk.client.patch(f"/v1/campaign/{about}", json={"topic_id": topic}).raise_for_status()
    plan = desk.client.post(f"/v1/campaign/{about}:plan").json()
    assert [(one["code"], one["message"], one["count"]) for one in plan["excluded"]] == [
        ("SUPPRESSED", "topic", 1)
    ]
    assert desk.client.post(f"/v1/campaign/{other}:plan").json()["excluded"] == []
    for campaign in (about, other):
        desk.ask("POST", f"/{campaign}/execute")
        desk.run_out()
    outcomes = {row.entity_id: (row.automation_status, row.error_code) for row in desk.recipients(about)}
    assert outcomes[people[1]] == ("cancelled", "SUPPRESSED")
    assert {outcomes[one][0] for one in (people[0], people[2])} == {"success"}
    assert {row.automation_status for row in desk.recipients(other)} == {"success"}
