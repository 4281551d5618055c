"""`updateRecipientPortalStatus` and `getCampaignPortals` (docs/contract/targeting.md, operations 11 and 3)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.targeting.world import PORTAL, only

#: docs/contract/targeting.md and states.md, by hand.
MOVES = {
    ("sent", "seen"),
    ("sent", "dismissed"),
    ("sent", "clicked"),
    ("seen", "dismissed"),
    ("seen", "clicked"),
}


@pytest.fixture
def campaign_id(world):
    return world.campaign(flow=False)


def path(campaign_id, entity_id):
    return f"/v1/campaign/{campaign_id}/recipient/{entity_id}/portal:status"


def test_every_move_is_allowed_or_409_as_the_table_says(world, campaign_id):
    """The same status again is 409 as well; a refused move changes nothing, an allowed one sets the time."""
    pairs = [(old, new) for old in PORTAL for new in PORTAL]
    ids = world.recipients(campaign_id, *[None] * len(pairs), portal_state={"kept": True})
    for (old, _), entity_id in zip(pairs, ids, strict=True):
        first = world.client.patch(path(campaign_id, entity_id), json={"status": old})
        assert (first.status_code, first.json()["portal_status"]) == (200, old)
    world.api.clock.forward(minutes=1)
    for (old, new), entity_id in zip(pairs, ids, strict=True):
        answer = world.client.patch(path(campaign_id, entity_id), json={"status": new})
        row = world.row(campaign_id, entity_id)
        if (old, new) in MOVES:
            assert answer.status_code == 200
            assert answer.json()["portal_status_updated_at"] == "2026-03-02T09:01:00Z"
            assert answer.json()["portal_state"] == {"kept": True}
        else:
            assert old in only(answer, 409, "message")["message"]
            assert row.updated_at == world.api.database.clock.now() - timedelta(minutes=1)
        assert row.portal_status == (new if (old, new) in MOVES else old)


def test_the_first_status_may_be_any(world, campaign_id):
    """docs/contract/targeting.md: no portal status yet."""
    for status, entity_id in zip(PORTAL, world.recipients(campaign_id, *["success"] * 4), strict=True):
        answer = world.client.patch(path(campaign_id, entity_id), json={"status": status})
        assert answer.status_code == 200
        assert answer.json()["portal_status"] == status
        assert answer.json()["portal_status_updated_at"] == "2026-03-02T09:00:00Z"


def test_unknown_recipient_or_campaign_is_404(world, campaign_id, stranger):
    [entity_id] = world.recipients(campaign_id, None)
    sent = {"json": {"status": "seen"}}
    only(world.client.patch(path(campaign_id, uuid4()), **sent), 404, "message")
    for answer in (
        world.client.patch(path(uuid4(), entity_id), **sent),
        stranger.patch(path(campaign_id, entity_id), **sent),
    ):
        assert (answer.status_code, answer.json()) == (404, {"code": "CAMPAIGN_NOT_FOUND"})


def test_any_other_word_is_400(world, campaign_id):
    [entity_id] = world.recipients(campaign_id, None)
    bodies: list[Any] = [{"status": "opened"}, {"status": None}, {"status": ["seen"]}, {}, [], None]
    for body in bodies:
        message = only(world.client.patch(path(campaign_id, entity_id), json=body), 400, "message")["message"]
        assert message.startswith(("status: ", "body: ")), message
    assert world.client.patch(path(campaign_id, "x"), json={"status": "seen"}).status_code == 400
    open_ = world.client.patch(path(campaign_id, entity_id), json={"status": "seen", "more": 1})
    assert open_.status_code == 200


def test_the_colon_may_be_encoded(world, campaign_id):
    """docs/contract/README.md."""
    [entity_id] = world.recipients(campaign_id, None)
    encoded = path(campaign_id, entity_id).replace(":", "%3A")
    assert world.client.patch(encoded, json={"status": "seen"}).status_code == 200


def test_statuses_feed_the_engagement_log(world, campaign_id):
    """What was seen and clicked is logged in the order it happened, and each recipient is summed once."""
    ids = world.recipients(campaign_id, None, None)
    for entity_id in ids:
        for status in ("sent", "seen", "seen", "clicked"):
            world.client.patch(path(campaign_id, entity_id), json={"status": status})
    world.client.patch(f"/v1/campaign/{campaign_id}/recipient/{ids[0]}", json={"portal_status": "seen"})
    each = [("portal", one) for one in ("sent", "seen", "clicked")]
    assert world.log(campaign_id) == [*each, *each, ("portal", "seen")]
    assert world.hours(campaign_id) == {
        ("portal", "sent"): (2, 2),
        ("portal", "seen"): (2, 3),
        ("portal", "clicked"): (2, 2),
    }


def test_of_many_at_once_one_is_in_time(world, campaign_id):
    """Eight report the same click: one is answered 200, the log holds one."""
    [entity_id] = world.recipients(campaign_id, None)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: (
                    world.client.patch(path(campaign_id, entity_id), json={"status": "clicked"}).status_code
                ),
                range(8),
            )
        )
    assert sorted(answers) == [200] + [409] * 7
    assert world.log(campaign_id) == [("portal", "clicked")]


def test_portals_are_those_with_a_widget_that_shows_the_campaign(world, campaign_id, stranger):
    """docs/contract/targeting.md: CAMPAIGN_WIDGET or PRODUCT_RECOMMENDATIONS_WIDGET whose campaign it is."""

    def portal(**fields):
        return world.client.post("/v1/portal", json=fields).json()["_id"]

    def widget(portal_id, **fields):
        answer = world.client.post(f"/v1/portal/{portal_id}/widget", json=fields)
        assert answer.status_code == 201
        return answer.json()["_id"]

    where = f"/v1/campaign/{campaign_id}/portals"
    assert world.client.get(where).json() == []
    one = portal(name="Customers", origin="END_CUSTOMER_PORTAL", domain="my.example")
    two, three = portal(name="Installers"), portal(name="Nobody's")
    ours = {"campaign_id": str(campaign_id)}
    first = widget(one, **ours, headline={"en": "Hi", "de": "Hallo"})
    world.api.clock.forward(seconds=1)
    second = widget(one, **ours, type="PRODUCT_RECOMMENDATIONS_WIDGET", headline={"de": "Neu"})
    third = widget(two, **ours)
    widget(two, **ours, type="BANNER")
    widget(two, campaign_id=str(world.campaign()))
    widget(three)
    found = world.client.get(where).json()
    assert sorted(found, key=lambda one: one["portal"]["name"]) == [
        {
            "portal": {"origin": "END_CUSTOMER_PORTAL", "domain": "my.example", "name": "Customers"},
            "widgets": [
                {"id": first, "headline": {"en": "Hi", "de": "Hallo"}},
                {"id": second, "headline": {"de": "Neu"}},
            ],
        },
        {"portal": {"name": "Installers"}, "widgets": [{"id": third}]},
    ]
    for answer in (world.client.get(f"/v1/campaign/{uuid4()}/portals"), stranger.get(where)):
        assert (answer.status_code, answer.json()) == (400, {"code": "CAMPAIGN_NOT_FOUND"})
