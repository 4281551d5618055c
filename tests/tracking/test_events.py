"""`POST /v1/events`: what others report is taken once, by item, and counted where it belongs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from engine.inbound.ingest import KEPT, forget_events
from state.tables import Campaign, Engagement, EngagementHour, Entity, Recipient, TakenEvent
from tests.targeting.test_matching import statements

if TYPE_CHECKING:
    import httpx

    from tests.tracking.world import Mailing

ADA, BO = "ada@x.example", "bo@x.example"


@pytest.fixture
def people(world: Mailing, campaign_id: UUID) -> list[UUID]:
    sent = world.sent(campaign_id, ADA, BO)
    world.api.clock.forward(hours=1)
    return sent


def report(client: httpx.Client, *events: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post("/v1/events", json=list(events))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    results: list[dict[str, Any]] = body.pop("results")
    counted = {status: sum(one["status"] == status for one in results) for status in body}
    assert counted == body
    assert [one["index"] for one in results] == list(range(len(events)))
    return results


def message(event_id: str, kind: str, campaign_id: UUID, entity_id: UUID, **more: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": f"message.{kind}",
        "campaign_id": str(campaign_id),
        "recipient_id": str(entity_id),
        **more,
    }


def test_messages_are_put_on_their_recipients(world: Mailing, campaign_id: UUID, people: list[UUID]) -> None:
    ada, bo = people
    results = report(
        world.client,
        message("1", "delivered", campaign_id, ada, at="2026-03-02T09:10:00Z"),
        message("2", "read", campaign_id, ada, at="2026-03-02T10:20:00+01:00"),
        {"id": "3", "type": "message.clicked", "message_id": world.message_id(campaign_id, ada), "url": "https://x.example"},
        message("4", "bounced", campaign_id, bo, reason="no such user"),
        message("5", "replied", campaign_id, ada),
        message("6", "read", campaign_id, ada, bot=True),
    )  # fmt: skip
    assert {"accepted"} == {one["status"] for one in results}
    assert ("delivered", None) == world.status(campaign_id, ada)
    assert ("bounced", "permanent") == world.status(campaign_id, bo)
    assert [(BO, "hard_bounce")] == world.suppressed()
    assert (1, 1) == world.hours(campaign_id)["email", "read"]
    assert {world.touchpoint(campaign_id)} == {row.touchpoint_id for row in world.engagements(campaign_id)}
    world.check_sums()


def test_an_event_is_taken_once(world: Mailing, campaign_id: UUID, people: list[UUID]) -> None:
    event = message("e", "read", campaign_id, people[0])
    assert ["accepted", "duplicate"] == [one["status"] for one in report(world.client, event, event)]
    assert ["duplicate"] == [one["status"] for one in report(world.client, event)]
    fresh = message("f", "clicked", campaign_id, people[0])
    with ThreadPoolExecutor(6) as pool:
        found = [one[0]["status"] for one in pool.map(lambda _: report(world.client, fresh), range(6))]
    assert ["accepted"] + ["duplicate"] * 5 == sorted(found)
    assert [("email", "read"), ("email", "clicked")] == world.log(campaign_id)


def test_a_bad_item_is_told_by_its_place_and_stops_no_other(
    world: Mailing, campaign_id: UUID, people: list[UUID]
) -> None:
    ada = people[0]
    bad: list[tuple[Any, str]] = [
        ("x", "event: must be an object"),
        ({"id": "1"}, "type: is required"),
        ({"id": "1", "type": "message.oppened"}, "type: "),
        ({"type": "message.read"}, "id: is required"),
        (message("1", "read", campaign_id, ada, at="yesterday"), "at: "),
        (message("1", "read", campaign_id, ada, at="2026-03-02T09:00:00"), "at: "),
        (message("1", "read", campaign_id, ada, at="2099-01-01T00:00:00Z"), "at: is in the future"),
        (message("1", "read", campaign_id, ada, colour="red"), "colour: is not known here"),
        ({"id": "1", "type": "message.read"}, "message_id: is required"),
        ({"id": "1", "type": "message.read", "campaign_id": str(campaign_id)}, "campaign_id: goes with"),
        ({"id": "1", "type": "message.read", "message_id": "<a@b>"}, "message_id: is no Message-ID of ours"),
        ({"id": "1", "type": "message.bounced", "address": "a@b.example"}, "message_id: is required"),
        (message("1", "bounced", campaign_id, ada, channel="smpt"), "did you mean 'smtp'"),
        ({"id": "1", "type": "conversion"}, "entity_id: is required"),
        ({"id": "1", "type": "conversion", "entity_id": str(ada), "revenue": -1}, "revenue: "),
        ({"id": "1", "type": "conversion", "entity_id": str(ada), "revenue": "9.999"}, "revenue: has more than 2"),
        ({"id": "1", "type": "conversion", "entity_id": str(ada), "revenue": 5.5, "currency": "JPY"}, "revenue: "),
        ({"id": "1", "type": "conversion", "entity_id": str(ada), "revenue": 1, "currency": "XXQ"}, "currency: "),
        ({"id": "1", "type": "conversion", "entity_id": str(ada), "currency": "EUR"}, "currency: goes with"),
        ({"id": "1", "type": "entity.changed", "entity_schema": "contact", "entity": {"a": 1}}, "entity: needs"),
        ({"id": "1", "type": "entity.changed", "entity_schema": "9", "entity": {"external_id": "a"}}, "schema: "),
        ({"id": "\0", "type": "message.read"}, "NUL"),
    ]  # fmt: skip
    good = message("good", "read", campaign_id, ada)
    results = report(world.client, *(item for item, _ in bad), good)
    for (item, why), result in zip(bad, results, strict=False):
        assert ("rejected", True) == (result["status"], why in result["message"]), (item, result)
    assert "accepted" == results[-1]["status"]
    assert [("email", "read")] == world.log(campaign_id)


def test_nothing_comes_of_a_message_before_it_was_sent(world: Mailing, campaign_id: UUID) -> None:
    """Clocks may differ by five minutes; what is not known to be sent yet may be on its way since the enrolment."""
    clock = world.api.clock
    enrolled = clock.now()
    (soon,) = world.sent(campaign_id, "soon@x.example", at=enrolled + timedelta(days=2))
    (unknown,) = world.recipients(campaign_id, "in_progress")
    clock.forward(days=3)

    def reports(entity_id: UUID, **before: float) -> dict[str, str]:
        at = (enrolled + timedelta(days=2 if entity_id == soon else 0) - timedelta(**before)).isoformat()
        events = [
            message(f"{entity_id}{kind}{at}", kind, campaign_id, entity_id, at=at)
            for kind in ("clicked", "read")
        ]
        return {one["status"]: one.get("message", "") for one in report(world.client, *events)}

    for entity_id in (soon, unknown):
        assert "at: is before the message was sent" in reports(entity_id, days=20_000)["rejected"]
        assert "at: is before the message was sent" in reports(entity_id, minutes=6)["rejected"]
        assert {"accepted": ""} == reports(entity_id, minutes=4)
    world.check_sums()


def test_a_single_event_is_an_answer_of_its_own(
    world: Mailing, campaign_id: UUID, people: list[UUID]
) -> None:
    answer = world.client.post("/v1/events", json=message("1", "read", campaign_id, people[0]))
    assert (200, 1) == (answer.status_code, answer.json()["accepted"])
    answer = world.client.post("/v1/events", json={"id": "1", "type": "message.rad"})
    assert (400, {"message"}) == (answer.status_code, set(answer.json()))
    assert "did you mean 'message.read'" in answer.json()["message"]
    answer = world.client.post("/v1/events", json=[{}] * 1001)
    assert 400 == answer.status_code
    assert {"accepted": 0, "duplicate": 0, "ignored": 0, "rejected": 0, "results": []} == world.client.post(
        "/v1/events", json=[]
    ).json()


def test_what_is_about_nobody_is_ignored_and_may_come_again(world: Mailing, campaign_id: UUID) -> None:
    entity_id = uuid4()
    event = message("1", "read", campaign_id, entity_id)
    (result,) = report(world.client, event)
    assert ("ignored", "there is no such recipient") == (result["status"], result["message"])
    world.sent(campaign_id, ADA)
    with world.api.database.begin() as session:
        session.execute(
            update(Recipient).where(Recipient.campaign_id == campaign_id).values(entity_id=entity_id)
        )
    assert ["accepted"] == [one["status"] for one in report(world.client, event)]


def test_an_address_alone_may_be_barred(world: Mailing) -> None:
    events = [
        {"id": kind, "type": f"message.{kind}", "channel": "smtp", "address": f" {kind.upper()}@X.example"}
        for kind in ("bounced", "complained", "unsubscribed")
    ]
    soft = {**events[0], "id": "soft", "address": "soft@x.example", "bounce_type": "transient"}
    full = {**events[0], "id": "full", "address": "full@x.example", "bounce_subtype": "5.2.2"}
    vague = {**events[0], "id": "vague", "address": "vague@x.example", "bounce_subtype": "5.0.0"}
    spam = {**events[0], "id": "spam", "address": "spam@x.example", "reason": "554 rejected as spam"}
    assert {"accepted"} == {one["status"] for one in report(world.client, *events, soft, full, vague, spam)}
    assert [
        ("bounced@x.example", "hard_bounce"),
        ("complained@x.example", "complaint"),
        ("unsubscribed@x.example", "unsubscribe"),
    ] == world.suppressed()


def test_a_reported_address_is_kept_in_its_one_form_or_refused(world: Mailing) -> None:
    events = [
        {"id": str(number), "type": "message.unsubscribed", "channel": channel, "address": address}
        for number, (channel, address) in enumerate(
            [
                ("sms", "+49 151 12345678"),
                ("telegram", "@SomeName"),
                ("http", "A@X.example"),
                ("smtp", "none"),
            ]
        )
    ]
    results = report(world.client, *events)
    assert ["accepted"] * 3 + ["rejected"] == [one["status"] for one in results]
    assert "address" in results[3]["message"]
    assert [
        ("+4915112345678", "unsubscribe"),
        ("@somename", "unsubscribe"),
        ("a@x.example", "unsubscribe"),
    ] == world.suppressed()


def test_another_organizations_recipients_are_nobody(
    world: Mailing, campaign_id: UUID, people: list[UUID], stranger: httpx.Client
) -> None:
    ada = str(people[0])
    results = report(
        stranger,
        message("1", "bounced", campaign_id, people[0], address=ADA),
        {"id": "2", "type": "conversion", "entity_id": ada},
        {"id": "3", "type": "conversion", "entity_id": ada, "campaign_id": str(campaign_id)},
        {"id": "4", "type": "entity.changed", "entity_schema": "contact", "entity": {"_id": ada, "a": 1}},
    )
    assert ["ignored", "ignored", "ignored", "rejected"] == [one["status"] for one in results]
    assert [] == world.log(campaign_id)
    assert [] == world.suppressed()


def conversion(event_id: str, entity_id: UUID, **more: Any) -> dict[str, Any]:
    return {"id": event_id, "type": "conversion", "entity_id": str(entity_id), **more}


def test_a_conversion_is_put_down_to_the_latest_message_before_it(world: Mailing) -> None:
    clock = world.api.clock
    first, second = world.campaign(), world.campaign()
    (ada,) = world.sent(first, ADA)
    with world.api.database.begin() as session:
        for one in (first, second):
            session.get_one(Campaign, one).activated_at = clock.now()
    began = clock.now()
    clock.forward(days=2)
    with world.api.database.begin() as session:
        row = session.get_one(Recipient, (first, ada))
        values = {
            column.name: getattr(row, column.name)
            for column in Recipient.__table__.columns
            if not column.computed
        }
        session.add(Recipient(**{**values, "campaign_id": second, "sent_at": clock.now(), "variant": "b"}))
    clock.forward(days=1)

    def at(**after: float) -> str:
        return (began + timedelta(**after)).isoformat()

    results = report(
        world.client,
        conversion("a", ada, at=at(hours=1), revenue=10, currency="EUR"),
        conversion("b", ada, at=at(days=2, hours=1), revenue="19.99", currency="eur", name="order"),
        conversion("c", ada, at=at(days=-1), revenue=5),
        conversion("d", ada, at=at(days=2, hours=2), campaign_id=str(first), revenue=0.1),
        {"id": "e", "type": "conversion", "entity_schema": "contact", "external_id": ADA},
        {"id": "f", "type": "conversion", "entity_schema": "contact", "external_id": "nobody"},
    )
    assert ["accepted", "accepted", "ignored", "accepted", "accepted", "ignored"] == [
        one["status"] for one in results
    ]
    assert [str(first), str(second), None, str(first), str(second), None] == [
        one.get("campaign_id") for one in results
    ]
    rows = {row.event_id: row for row in [*world.engagements(first), *world.engagements(second)]}
    assert (1999, "EUR", world.touchpoint(second), "email") == (
        rows["event:b"].revenue, rows["event:b"].currency, rows["event:b"].touchpoint_id, rows["event:b"].channel
    )  # fmt: skip
    assert (10, None) == (rows["event:d"].revenue, rows["event:d"].currency)
    with world.api.database.read() as session:
        revenue = dict(
            session.execute(
                select(EngagementHour.currency, func.sum(EngagementHour.revenue))
                .where(EngagementHour.kind == "converted")
                .group_by(EngagementHour.currency)
            ).all()
        )
    assert {"EUR": 2999, "": 10} == {currency: int(total) for currency, total in revenue.items()}
    world.check_sums()


def test_the_window_is_the_campaigns(world: Mailing, campaign_id: UUID) -> None:
    (ada,) = world.sent(campaign_id, ADA)
    world.set_campaign(campaign_id, activated_at=world.api.database.clock.now())
    world.api.clock.forward(days=7)
    assert "accepted" == report(world.client, conversion("1", ada))[0]["status"]
    world.api.clock.forward(minutes=1)
    assert "ignored" == report(world.client, conversion("2", ada))[0]["status"]
    assert "ignored" == report(world.client, conversion("2", ada, campaign_id=str(campaign_id)))[0]["status"]
    world.set_campaign(campaign_id, attribution_days=30)
    assert "accepted" == report(world.client, conversion("2", ada))[0]["status"]


def test_a_portals_recipient_converts_within_the_window_of_its_enrolment(world: Mailing) -> None:
    campaign_id = world.campaign()
    (entity_id,) = world.recipients(campaign_id, None, portal_status="seen")
    (result,) = report(world.client, conversion("1", entity_id, campaign_id=str(campaign_id)))
    assert ("accepted", [("portal", "converted")]) == (result["status"], world.log(campaign_id))


def test_amounts_are_exact_whatever_the_currency(world: Mailing, campaign_id: UUID) -> None:
    (ada,) = world.sent(campaign_id, ADA)
    world.set_campaign(campaign_id, activated_at=world.api.database.clock.now())
    results = report(
        world.client,
        *(conversion(f"e{i}", ada, revenue=0.1, currency="EUR") for i in range(10)),
        conversion("j", ada, revenue=500, currency="JPY"),
        conversion("k", ada, revenue="1.234", currency="KWD"),
    )
    assert {"accepted"} == {one["status"] for one in results}
    with world.api.database.read() as session:
        found = session.execute(select(EngagementHour.currency, EngagementHour.revenue)).all()
    assert {("EUR", 100), ("JPY", 500), ("KWD", 1234)} == {tuple(row) for row in found}
    assert Decimal("0.1") * 10 == 1


def test_changed_entities_are_merged_in_order(world: Mailing) -> None:
    kept = world.entity(email="kept@x.example", name="Kept", external_id="k")
    plain = world.entity(email="plain@x.example", city="Oslo")

    def changed(event_id: str, **entity: Any) -> dict[str, Any]:
        return {"id": event_id, "type": "entity.changed", "entity_schema": "contact", "entity": entity}

    results = report(
        world.client,
        changed("1", external_id="k", city="Bergen"),
        changed("2", external_id="k", city="Oslo", plan="gold"),
        changed("3", _id=plain, city="Tromsø"),
        changed("4", external_id="new", title="New", email="new@x.example"),
        changed("5", _id=str(uuid4()), a=1),
        changed("6", _id=kept, external_id="other"),
        changed("7", external_id="big", text="x" * 70_000),
    )
    assert ["accepted"] * 4 + ["rejected"] * 3 == [one["status"] for one in results]
    assert "entity._id" in results[4]["message"]
    assert "entity.external_id" in results[5]["message"]
    with world.api.database.read() as session:
        found = {row.external_id or "plain": row for row in session.scalars(select(Entity))}
    assert {"email": "kept@x.example", "name": "Kept", "city": "Oslo", "plan": "gold"} == found[
        "k"
    ].attributes
    assert {"email": "plain@x.example", "city": "Tromsø"} == found["plain"].attributes
    assert ("New", {"email": "new@x.example"}) == (found["new"].title, found["new"].attributes)
    assert {"k", "plain", "new"} == set(found)
    assert ["duplicate"] == [
        one["status"] for one in report(world.client, changed("4", external_id="new", email="x"))
    ]


def test_ids_are_forgotten_after_a_month(world: Mailing, campaign_id: UUID, people: list[UUID]) -> None:
    report(world.client, message("1", "read", campaign_id, people[0]))
    world.api.clock.forward(days=KEPT.days - 1)
    report(world.client, message("2", "read", campaign_id, people[0]))
    world.api.clock.forward(days=2)
    with world.api.database.begin() as session:
        assert 1 == forget_events(session)
    with world.api.database.read() as session:
        assert ["2"] == list(session.scalars(select(TakenEvent.event_id)))


def test_an_idempotency_key_answers_a_batch_again(
    world: Mailing, campaign_id: UUID, people: list[UUID]
) -> None:
    body = [message("1", "read", campaign_id, people[0])]
    headers = {"idempotency-key": "k"}
    first = world.client.post("/v1/events", json=body, headers=headers)
    again = world.client.post("/v1/events", json=body, headers=headers)
    assert first.json() == again.json()
    assert 1 == again.json()["accepted"]


def test_the_number_of_statements_does_not_depend_on_the_batch(world: Mailing, campaign_id: UUID) -> None:
    others = [world.campaign() for _ in range(4)]
    for one in others:
        world.set_campaign(one, activated_at=world.api.database.clock.now())
    names = [f"{uuid4().hex}@x.example" for _ in range(25)]
    pairs = [
        (one, entity) for one in others for entity in world.sent(one, *(f"{one}{name}" for name in names))
    ]
    world.api.clock.forward(hours=1)

    def batch(whom: list[tuple[UUID, UUID]], name: str) -> list[dict[str, Any]]:
        return [
            event
            for number, (campaign, entity) in enumerate(whom)
            for event in (
                message(f"{name}{number}b", "bounced", campaign, entity),
                message(f"{name}{number}c", "clicked", campaign, entity),
                conversion(f"{name}{number}d", entity, revenue=1),
                {"id": f"{name}{number}e", "type": "entity.changed", "entity_schema": "contact",
                 "entity": {"_id": str(entity), "n": number}},
            )
        ]  # fmt: skip

    report(world.client, *batch(pairs[:1], "warm"))
    with statements(world.api.database) as few:
        assert {"accepted"} == {one["status"] for one in report(world.client, *batch(pairs[1:2], "few"))}
    with statements(world.api.database) as many:
        assert {"accepted"} == {one["status"] for one in report(world.client, *batch(pairs[2:], "many"))}
    assert len(few) == len(many), "4 events, and 392 of four campaigns"
    world.check_sums()


KINDS = ["delivered", "read", "clicked", "bounced", "complained", "unsubscribed", "replied", "conversion"]
_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(KINDS),
        st.integers(0, 180),
        st.booleans(),
        st.integers(0, 30),
    ),
    max_size=25,
)  # fmt: skip


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(batches=st.lists(_EVENTS, min_size=1, max_size=3))
def test_the_sums_are_what_a_recount_says(world: Mailing, batches: list[Any]) -> None:
    campaign_id = world.campaign()
    clock = world.api.clock
    world.set_campaign(campaign_id, activated_at=clock.now())
    began = clock.now()
    people = []
    for variant, target in (("a", None), ("b", uuid4()), (None, uuid4())):
        people += world.sent(
            campaign_id, *(f"{uuid4().hex}@x.example" for _ in range(2)), variant=variant, target_id=target
        )
    clock.forward(hours=4)
    for number, batch in enumerate(batches):
        events = []
        for position, (who, kind, minutes, bot, event_id) in enumerate(batch):
            at = (began + timedelta(minutes=minutes)).isoformat()
            name = f"{campaign_id}-{event_id}" if event_id < 6 else f"{campaign_id}-{number}-{position}"
            if kind == "conversion":
                events.append(
                    conversion(name, people[who], at=at, revenue=minutes, campaign_id=str(campaign_id))
                )
            else:
                events.append(
                    message(
                        name, kind, campaign_id, people[who], at=at, bot=bot and kind in ("read", "clicked")
                    )
                )
        report(world.client, *events)
    world.check_sums()
    with world.api.database.read() as session:
        rows = session.scalars(select(Engagement).where(Engagement.campaign_id == campaign_id)).all()
        targets = dict(session.execute(select(Recipient.entity_id, Recipient.target_id)).all())
    assert all(row.target_id == targets[row.entity_id] for row in rows)
