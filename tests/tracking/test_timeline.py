"""One recipient's story: everything that happened, in order, and what bars it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from engine.engagement.suppression import Barred, bar
from engine.kernel.media import AddressMedium
from state.tables import Execution, Job, Recipient, Target
from tests.tracking.letters import block, delivery_report, original
from tests.tracking.test_events import conversion, message, report

if TYPE_CHECKING:
    import httpx

    from tests.tracking.world import Mailing

ADA = "ada@x.example"


def told(world: Mailing, campaign_id: UUID, entity_id: UUID, **query: Any) -> dict[str, Any]:
    answer = world.client.get(f"/v1/campaign/{campaign_id}/recipients/{entity_id}/timeline", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def whats(body: dict[str, Any]) -> list[str]:
    return [one["what"] for one in body["results"]]


def test_a_hard_bounce_is_in_the_story_with_what_follows(world: Mailing, campaign_id: UUID) -> None:
    target_id = world.target(name="everybody in Oslo")
    (ada,) = world.sent(campaign_id, ADA, target_id=target_id)
    clock = world.api.clock
    clock.forward(minutes=1)
    returned = original(message_id=world.message_id(campaign_id, ada))
    world.client.post("/v1/inbound/email", content=delivery_report(block(), returned=returned))
    body = told(world, campaign_id, ada)
    assert ["recipient.enrolled", "message.sent", "email.bounced", "address.suppressed"] == whats(body)
    enrolled, sent, bounced, suppressed = (one["data"] for one in body["results"])
    assert "everybody in Oslo" == enrolled["target"]
    assert str(world.touchpoint(campaign_id)) == sent["touchpoint_id"] == bounced["touchpoint_id"]
    assert "User unknown" in bounced["reason"]
    assert {
        "medium": "email",
        "channel_kind": "smtp",
        "address": ADA,
        "reason": "hard_bounce",
        "scope": "all",
    } == suppressed
    assert "bounced" == body["recipient"]["email_status"]


def test_every_part_of_a_story_is_told_in_order(world: Mailing, campaign_id: UUID) -> None:
    clock = world.api.clock
    job = world.job(campaign_id)
    with world.api.database.begin() as session:
        session.get_one(Job, job).kind = "retrigger"
    (ada,) = world.sent(campaign_id, ADA, job_id=job, slice_number=0)
    clock.forward(minutes=1)
    with world.api.database.begin() as session:
        session.add(
            Execution(
                id=uuid4(),
                org_id=world.api.org_id,
                campaign_id=campaign_id,
                entity_id=ada,
                status="failed",
                attempt=3,
                error_code="SMTP_450",
                error_text="later",
                ended_at=clock.now(),
            )
        )
        session.get_one(Recipient, (campaign_id, ada)).sent_at = clock.forward(minutes=1)
    clock.forward(minutes=1)
    world.set_campaign(campaign_id, activated_at=clock.now())
    report(
        world.client,
        message("1", "clicked", campaign_id, ada, url="https://x.example", bot=True),
        message("2", "clicked", campaign_id, ada, url="https://x.example"),
        conversion("3", ada, revenue="9.90", currency="EUR", name="order"),
        message("4", "unsubscribed", campaign_id, ada),
    )
    body = told(world, campaign_id, ada)
    assert {"recipient.enrolled", "recipient.retriggered"} == set(whats(body)[:2])
    assert ["message.failed", "message.sent", "email.clicked", "email.clicked"] == whats(body)[2:6]
    assert {"email.converted", "email.unsubscribed", "address.suppressed"} == set(whats(body)[6:])
    failed = body["results"][2]["data"]
    assert (3, "SMTP_450", "later") == (failed["attempt"], failed["error_code"], failed["error_text"])
    clicks = [one["data"] for one in body["results"] if one["what"] == "email.clicked"]
    assert {"reported", None} == {click.get("bot") for click in clicks}
    (converted,) = (one["data"] for one in body["results"] if one["what"] == "email.converted")
    assert ("9.90", "EUR", "order") == (converted["revenue"], converted["currency"], converted["name"])
    assert sorted(one["at"] for one in body["results"]) == [one["at"] for one in body["results"]]


def test_a_story_is_told_a_page_at_a_time(world: Mailing, campaign_id: UUID) -> None:
    (ada,) = world.sent(campaign_id, ADA)
    report(world.client, *(message(str(i), "read", campaign_id, ada) for i in range(10)))
    whole = told(world, campaign_id, ada)
    paged, cursor = [], None
    while True:
        page = told(world, campaign_id, ada, limit=5, **({"next": cursor} if cursor else {}))
        paged += page["results"]
        assert 12 == page["total"]
        cursor = page["next"]
        if cursor is None:
            break
    assert whole["results"] == paged
    path = f"/v1/campaign/{campaign_id}/recipients/{ada}/timeline"
    for query in ({"limit": 0}, {"limit": 1001}, {"next": "x"}):
        assert 400 == world.client.get(path, params=query).status_code


def test_waiting_and_excluded_are_told_with_the_reason(world: Mailing, campaign_id: UUID) -> None:
    due = world.api.clock.forward(hours=1)
    (waits,) = world.recipients(campaign_id, "pending", error_code="SMTP_450", due_at=due, attempt=2)
    (excluded,) = world.recipients(
        campaign_id, "cancelled", error_code="SUPPRESSED", error_text="hard_bounce"
    )
    entry = told(world, campaign_id, waits)["results"][-1]
    assert ("message.waiting", 2, "SMTP_450") == (
        entry["what"],
        entry["data"]["attempt"],
        entry["data"]["error_code"],
    )
    assert due.isoformat() == entry["data"]["due_at"]
    entry = told(world, campaign_id, excluded)["results"][-1]
    assert ("message.excluded", "SUPPRESSED", "hard_bounce") == (
        entry["what"],
        entry["data"]["error_code"],
        entry["data"]["error_text"],
    )


def test_an_address_that_another_campaign_left_alone_is_not_in_it(world: Mailing, campaign_id: UUID) -> None:
    (ada,) = world.sent(campaign_id, ADA)
    with world.api.database.begin() as session:
        bar(session, world.api.org_id, [Barred(AddressMedium.EMAIL, ADA, "unsubscribe", uuid4())])
    assert "address.suppressed" not in whats(told(world, campaign_id, ada))
    with world.api.database.begin() as session:
        bar(session, world.api.org_id, [Barred(AddressMedium.EMAIL, ADA, "unsubscribe", campaign_id)])
    assert "campaign" == told(world, campaign_id, ada)["results"][-1]["data"]["scope"]


def test_nobody_has_no_story(world: Mailing, campaign_id: UUID, stranger: httpx.Client) -> None:
    (ada,) = world.sent(campaign_id, ADA)
    path = f"/v1/campaign/{campaign_id}/recipients"
    assert 404 == world.client.get(f"{path}/{uuid4()}/timeline").status_code
    for answer in (
        stranger.get(f"{path}/{ada}/timeline"),
        world.client.get(f"/v1/campaign/{uuid4()}/recipients/{ada}/timeline"),
    ):
        assert (400, {"code": "CAMPAIGN_NOT_FOUND"}) == (answer.status_code, answer.json())
    assert 400 == world.client.get(f"{path}/x/timeline").status_code


def test_targets_that_are_gone_leave_their_ids(world: Mailing, campaign_id: UUID) -> None:
    target_id = world.target()
    (ada,) = world.sent(campaign_id, ADA, target_id=target_id)
    with world.api.database.begin() as session:
        session.delete(session.get_one(Target, target_id))
    enrolled = told(world, campaign_id, ada)["results"][0]["data"]
    assert {"target_id": str(target_id)} == enrolled
