"""`setupCampaign` (docs/contract/targeting.md, operation 5, and its rules)."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from state.tables import Campaign, Flow, JourneyLink, ProductRecommendation, Touchpoint, Widget
from tests.targeting.world import equals, only

PATH = "/v1/campaign:setup"


@pytest.fixture
def target_id(world):
    return str(world.target(name="first", entity_filters=equals("tariff", "old")))


def minimal(target_id, **more):
    return {
        "type": "tariff_change",
        "product_recommendation": {},
        "campaign": {"name": "Autumn", "target_ids": [target_id]},
        **more,
    }


def made(world, noun, **fields):
    answer = world.client.post(f"/v1/{noun}", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["_id"]


def template(world):
    return made(world, "template", name="t", text="Hello")


def count(world, table):
    with world.api.database.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def everything(world, target_id):
    """Every part that a request may have."""
    return minimal(
        target_id,
        product_recommendation={
            "name": "Green for grey",
            "source_product_id": str(uuid4()),
            "source_price_id": str(uuid4()),
            "offers": [
                {
                    "target_id": target_id,
                    "items": [
                        {
                            "product_id": str(uuid4()),
                            "price_id": str(uuid4()),
                            "highlight_config": {"badge": {"de": "Neu"}, "order": [3, 1]},
                        }
                    ],
                },
                {"items": []},
            ],
        },
        journey={"journey_id": str(uuid4())},
        channels={
            "portal_widget": {"portal_id": made(world, "portal", name="p"), "block_id": str(uuid4())},
            "email": {"template_id": template(world)},
        },
    )


def test_one_request_makes_everything(world, target_id):
    body = everything(world, target_id)
    answer = world.client.post(PATH, json=body)
    made = only(
        answer, 201, "type", "product_recommendation_id", "campaign_id", "journey_id", "portal_widget_id"
    )
    assert made["type"] == "tariff_change"
    assert made["journey_id"] == body["journey"]["journey_id"]
    campaign = world.client.get(f"/v1/campaign/{made['campaign_id']}").json()
    assert (campaign["name"], campaign["ends"], campaign["target_ids"]) == (
        "Autumn",
        "when_told",
        [target_id],
    )
    assert campaign["target"] == {"$relation": [{"entity_id": target_id, "_tags": []}]}
    shown = world.client.get(f"/v1/campaign/{made['campaign_id']}/portals").json()
    assert shown == [{"portal": {"name": "p"}, "widgets": [{"id": made["portal_widget_id"]}]}]
    recommendation = world.client.get(
        f"/v1/product-recommendation/{made['product_recommendation_id']}"
    ).json()
    assert recommendation["campaign_id"] == made["campaign_id"]
    for name, value in body["product_recommendation"].items():
        assert recommendation[name] == value
    with world.api.database.read() as session:
        link = session.scalars(select(JourneyLink)).one()
        assert (str(link.campaign_id), str(link.journey_id)) == (made["campaign_id"], made["journey_id"])
    status = world.client.post(f"/v1/campaign/{made['campaign_id']}/status", json={"status": "active"})
    assert status.json()["campaign"]["status"] == "activating"


def test_what_was_not_asked_for_is_absent(world, target_id):
    answer = world.client.post(PATH, json=minimal(target_id))
    made = only(answer, 201, "type", "product_recommendation_id", "campaign_id")
    campaign = world.client.get(f"/v1/campaign/{made['campaign_id']}").json()
    assert "flow_id" not in campaign
    assert world.client.get(f"/v1/campaign/{made['campaign_id']}/portals").json() == []


def test_a_new_campaign_is_draft(world, target_id):
    made = world.client.post(PATH, json=minimal(target_id)).json()
    assert world.client.get(f"/v1/campaign/{made['campaign_id']}").json()["status"] == "draft"


def test_only_the_first_of_target_ids_is_used(world, target_id):
    body = minimal(target_id)
    body["campaign"]["target_ids"] += [str(uuid4()), target_id]
    made = world.client.post(PATH, json=body).json()
    assert world.client.get(f"/v1/campaign/{made['campaign_id']}").json()["target_ids"] == [target_id]
    body["campaign"]["target_ids"] = []
    made = world.client.post(PATH, json=body).json()
    assert world.client.get(f"/v1/campaign/{made['campaign_id']}").json()["target_ids"] == []


def test_the_recommendations_name_defaults_to_the_campaigns(world, target_id):
    made = world.client.post(PATH, json=minimal(target_id)).json()
    path = f"/v1/product-recommendation/{made['product_recommendation_id']}"
    assert world.client.get(path).json()["name"] == "Autumn"


def test_automation_id_wins_and_becomes_the_flow_id(world, target_id):
    flow = made(world, "flow", name="f", touchpoints=[{"template_id": template(world)}])
    email = {"automation_id": flow, "template_id": str(uuid4())}
    answer = world.client.post(PATH, json=minimal(target_id, channels={"email": email}))
    assert answer.status_code == 201, answer.text
    campaign = world.client.get(f"/v1/campaign/{answer.json()['campaign_id']}").json()
    assert campaign["flow_id"] == flow
    assert count(world, Flow) == 1


def test_otherwise_a_flow_of_one_email_is_made_from_the_template(world, target_id):
    template_id = template(world)
    body = minimal(target_id, channels={"email": {"template_id": template_id}})
    made = world.client.post(PATH, json=body).json()
    campaign = world.client.get(f"/v1/campaign/{made['campaign_id']}").json()
    flow = world.client.get(f"/v1/flow/{campaign['flow_id']}").json()
    assert [(step["type"], step["template_id"]) for step in flow["touchpoints"]] == [("message", template_id)]
    assert "channel_id" not in flow["touchpoints"][0]


def test_the_email_goes_over_a_mail_channel_where_the_default_is_none(world, target_id):
    world.channel("null", is_default=True)
    mail = world.channel("smtp")
    body = minimal(target_id, channels={"email": {"template_id": template(world)}})
    assert world.client.post(PATH, json=body).status_code == 201
    with world.api.database.read() as session:
        assert session.scalars(select(Touchpoint.channel_id)).one() == mail


def test_email_needs_one_of_the_two(world, target_id):
    answer = world.client.post(PATH, json=minimal(target_id, channels={"email": {}}))
    assert only(answer, 400, "message")["message"].startswith("channels.email: ")


CLOSED = [
    (),
    ("product_recommendation",),
    ("product_recommendation", "offers", 0),
    ("product_recommendation", "offers", 0, "items", 0),
    ("campaign",),
    ("journey",),
    ("channels",),
    ("channels", "portal_widget"),
    ("channels", "email"),
]


def test_every_object_is_closed_and_nothing_may_be_null(world, target_id):
    before = count(world, Campaign)
    for path in CLOSED:
        for name, value, said in (("suprise", 1, "is not known here"), (None, None, "must not be null")):
            body = everything(world, target_id)
            node = body
            for part in path:
                node = node[part]
            key = name or next(key for key in node if key not in ("highlight_config", "type"))
            node[key] = value
            answer = world.client.post(PATH, json=body)
            message = only(answer, 400, "message")["message"]
            assert said in message, (path, message)
            assert key in message
    assert count(world, Campaign) == before


def wrong(world, target_id):
    """Bodies that cannot be set up, and the field that is to blame."""
    yield {}, "type"
    yield [], "body"
    yield minimal(target_id, type="tarif_change"), "type"
    yield minimal(target_id, type=7), "type"
    body = minimal(target_id)
    del body["campaign"]["target_ids"]
    yield body, "campaign.target_ids"
    yield minimal(str(uuid4())), "campaign.target_ids[0]"
    yield minimal("x"), "campaign.target_ids[0]"
    offers = {"offers": [{"items": []}, {"items": [], "target_id": str(uuid4())}]}
    yield minimal(target_id, product_recommendation=offers), "product_recommendation.offers[1].target_id"
    for name in ("automation_id", "template_id"):
        yield minimal(target_id, channels={"email": {name: str(uuid4())}}), f"channels.email.{name}"
    place = {"portal_id": str(uuid4()), "block_id": str(uuid4())}
    yield minimal(target_id, channels={"portal_widget": place}), "channels.portal_widget.portal_id"
    body = minimal(target_id)
    body["campaign"]["name"] = " "
    yield body, "campaign.name"


def test_what_cannot_be_made_names_the_field_and_makes_nothing(world, target_id):
    """One transaction: the flow that was made before the portal was missed is gone as well."""
    for body, field in wrong(world, target_id):
        message = only(world.client.post(PATH, json=body), 400, "message")["message"]
        assert message.startswith(f"{field}: "), message
    body = everything(world, target_id)
    body["channels"]["portal_widget"]["portal_id"] = str(uuid4())
    assert world.client.post(PATH, json=body).status_code == 400
    for table in (Campaign, Flow, ProductRecommendation, JourneyLink, Widget):
        assert count(world, table) == 0


def test_an_empty_block_of_ours_is_filled_and_a_taken_one_is_not(world, target_id):
    portal = made(world, "portal", name="p")
    block = world.client.post(f"/v1/portal/{portal}/widget", json={"headline": {"en": "Hi"}}).json()["_id"]
    body = minimal(target_id, channels={"portal_widget": {"portal_id": portal, "block_id": block}})
    made_ = world.client.post(PATH, json=body).json()
    assert made_["portal_widget_id"] == block
    [shown] = world.client.get(f"/v1/campaign/{made_['campaign_id']}/portals").json()
    assert shown["widgets"] == [{"id": block, "headline": {"en": "Hi"}}]
    answer = world.client.post(PATH, json=body)
    assert "channels.portal_widget.block_id" in only(answer, 400, "message")["message"]


def test_another_organizations_things_are_unknown(world, target_id, stranger):
    answer = stranger.post(PATH, json=minimal(target_id))
    assert "campaign.target_ids[0]" in only(answer, 400, "message")["message"]
    ours = world.client.post(PATH, json=minimal(target_id)).json()
    path = f"/v1/product-recommendation/{ours['product_recommendation_id']}"
    assert stranger.get(path).status_code == 404


def test_repeating_it_with_a_key_makes_one(world, target_id):
    key = {"idempotency-key": "once"}
    first, second = (world.client.post(PATH, json=minimal(target_id), headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert count(world, Campaign) == 1


def test_deleting_the_campaign_takes_its_recommendation_and_journey_with_it(world, target_id):
    ours = world.client.post(PATH, json=everything(world, target_id)).json()
    assert world.client.delete(f"/v1/campaign/{ours['campaign_id']}").status_code == 204
    with world.api.database.read() as session:
        assert session.get(ProductRecommendation, UUID(ours["product_recommendation_id"])) is None
    assert count(world, JourneyLink) == 0
