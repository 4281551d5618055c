"""All sixteen operations with the real `@epilot/sdk` against the real server (issue of the Targeting API, point 1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.harness.waiting import wait_until
from tests.sdk.conftest import Sdk
from tests.targeting.superset import Document, lacking
from tests.targeting.test_document import OPERATIONS

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.slow

ACTION = {"title": "Offer the green tariff", "priority": "high", "cta": {"type": "journey", "target": "j"}}


def created(own: httpx.Client, path: str, **body: Any) -> str:
    answer = own.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["_id"])


def equals(value: str) -> dict[str, Any]:
    items = [{"key": "tariff", "operator": "EQUALS", "value": value}]
    return {"filter": {"items": items, "combination": "AND"}}


def check_listing(sdk: Sdk, path: dict[str, str], people: list[str]) -> None:
    """Page by page, and by every filter as the client spells it; everybody was delivered to."""
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = sdk("getRecipients", {**path, "limit": 2, **({"next": cursor} if cursor else {})})
        assert page["total"] == 5
        seen += [one["entity_id"] for one in page["results"]]
        cursor = page["next"]
    assert seen == sorted(people)
    for filters, total in (
        ({"automation_status": ["success", "failed"]}, 5),
        ({"automation_status": ["failed", "cancelled"]}, 0),
        ({"automation_status": "success"}, 5),
        ({"q": "3 & co"}, 1),
        ({"portal_status": "seen"}, 0),
        ({"email_status": "sent"}, 5),
        ({"email_status": "bounced"}, 0),
    ):
        page = sdk("getRecipients", {**path, **filters})
        assert (page["total"], len(page["results"])) == (total, total), filters


def test_the_real_client_knows_every_operation_and_ours_holds_its_document(package: Path, own: httpx.Client):
    theirs = json.loads((package / "node_modules/@epilot/sdk/definitions/targeting.json").read_text())
    assert set(Document(theirs).operations()) == set(OPERATIONS)
    assert lacking(Document(theirs), Document(own.get("/openapi.json").json())) == []


def test_a_campaign_from_set_up_to_its_statistics(sdk: Sdk, own: httpx.Client):
    people = [
        created(own, "/v1/entity/contact", title=f"Person {i} & Co", email=f"p{i}@x.example", tariff="old")
        for i in range(5)
    ]
    created(own, "/v1/entity/contact", title="Somebody else", email="s@x.example", tariff="new")
    target = created(
        own, "/v1/target", name="old tariff", entity_schema="contact", entity_filters=equals("old")
    )
    template = created(own, "/v1/template", name="t", subject="Hello", text="Hello {{ _title }}")
    portal = created(own, "/v1/portal", name="Customers", domain="my.example")

    # A target as a query, and who is in it.
    [query] = sdk("getTargetQueries", None, {"target_ids": [target]})["results"]
    assert query == {"target_id": target, "query": '_schema:"contact" AND tariff:"old"'}
    refs = [{"entity_id": people[0], "entity_schema": "contact"}]
    found = sdk("matchTargets", None, {"entity_refs": refs, "target_ids": [target, str(uuid4())]})
    assert (found["hits"], found["results"][0]["target"]["_id"]) == (1, target)

    # Everything in one request.
    made = sdk(
        "setupCampaign",
        None,
        {
            "type": "tariff_change",
            "product_recommendation": {
                "offers": [{"items": [{"product_id": str(uuid4()), "price_id": str(uuid4())}]}]
            },
            "campaign": {"name": "Green", "goal": "Change 5 %", "target_ids": [target]},
            "journey": {"journey_id": str(uuid4())},
            "channels": {
                "portal_widget": {"portal_id": portal, "block_id": str(uuid4())},
                "email": {"template_id": template},
            },
        },
        status=201,
    )
    campaign = made["campaign_id"]
    path = {"campaign_id": campaign}
    shown = sdk("getCampaignPortals", path)
    assert shown == [
        {
            "portal": {"domain": "my.example", "name": "Customers"},
            "widgets": [{"id": made["portal_widget_id"]}],
        }
    ]
    found = sdk("matchCampaigns", None, {"entity_refs": refs, "campaign_ids": [campaign]})
    assert (found["hits"], found["results"][0]["campaign"]["status"]) == (1, "draft")
    assert sdk("getCampaignJobStatus", path) == {}

    # The documented call, without body or parameter, activates; the worker delivers.
    assert sdk("changeCampaignStatus", path)["campaign"]["status"] == "activating"
    wait_until(
        lambda: sdk("getCampaignJobStatus", path).get("status") == "finished", "it is delivered", deadline=60
    )
    job = sdk("getCampaignJobStatus", path)
    assert [one["execution_status"] for one in job["execution_summary"]] == ["success"] * 5
    refused = sdk("changeCampaignStatus", path, {"status": "active"}, status=400)
    assert refused == {"code": "CAMPAIGN_HAS_UNEXPECTED_STATUS"}

    check_listing(sdk, path, people)
    stats = sdk("getEmailStats", path)
    assert (stats["total_emailed"], stats["sent"], stats["failed"]) == (5, 5, 0)

    # What others report, and what follows from it.
    one = {**path, "recipient_id": people[0]}
    changed = sdk("updateRecipient", one, {"automation_status": "failed", "portal_state": {"a": 1}})
    assert (changed["automation_status"], changed["portal_state"]) == ("failed", {"a": 1})
    ids = [people[0], people[1], str(uuid4())]
    results = sdk("retriggerCampaignAutomations", path, {"recipient_ids": ids})["results"]
    assert [result["result"] for result in results] == ["success", "invalid_status", "not_found"]
    wait_until(
        lambda: sdk("getRecipients", {**path, "automation_status": "success"})["total"] == 5,
        "it is delivered again",
        deadline=60,
    )

    # The portal, by its table.
    for status, expected in (("sent", 200), ("seen", 200), ("clicked", 200), ("seen", 409)):
        sdk("updateRecipientPortalStatus", one, {"status": status}, status=expected)
    assert sdk("getRecipients", {**path, "portal_status": "clicked"})["total"] == 1
    sdk("updateRecipientPortalStatus", {**path, "recipient_id": str(uuid4())}, {"status": "seen"}, status=404)

    # A recipient made by hand.
    entity = str(uuid4())
    payload = {
        "entity_id": entity, "entity_schema": "contact", "automation_status": "in_progress",
        "automation_execution_id": "string", "portal_status": "sent", "portal_state": {},
    }  # fmt: skip
    assert sdk("createRecipient", path, payload, status=201)["automation_execution_id"] == "string"
    assert sorted(sdk("createRecipient", path, payload, status=400)) == ["message"]
    assert sdk("getRecipients", path)["total"] == 6

    assert sdk("changeCampaignStatus", path, {"status": "inactive"})["campaign"]["status"] == "inactive"
    assert sdk("getCampaignJobStatus", {"campaign_id": str(uuid4())}, status=400) == {
        "code": "CAMPAIGN_NOT_FOUND"
    }
    assert not set(OPERATIONS) - sdk.called - {
        "discoverCampaigns", "updateRecipientEntityUiStatus", "restoreRecipientEntityUiStatus",
    }  # fmt: skip


def test_a_next_best_action_is_discovered_used_and_restored(sdk: Sdk, own: httpx.Client):
    person = created(own, "/v1/entity/contact", title="Ada", tariff="brown")
    target = created(own, "/v1/target", name="b", entity_schema="contact", entity_filters=equals("brown"))
    campaign = created(own, "/v1/campaign", name="NBA", target_ids=[target], next_best_action=ACTION)
    ref = {"entity_id": person, "entity_schema": "contact"}
    assert sdk("discoverCampaigns", None, ref) == {"hits": 0, "results": [], "dismissed": []}
    assert sdk("changeCampaignStatus", {"campaign_id": campaign})["campaign"]["status"] == "active"
    [found] = sdk("discoverCampaigns", None, ref)["results"]
    assert (found["campaign_id"], found["nba"]["title"]) == (campaign, ACTION["title"])
    one = {"campaign_id": campaign, "recipient_id": person}
    sdk("updateRecipientEntityUiStatus", one, {"status": "clicked"}, status=404)
    for status in ("seen", "seen", "clicked", "dismissed"):
        sdk("updateRecipientEntityUiStatus", one, {"status": status, "entity_schema": "contact"})
    assert len(sdk("discoverCampaigns", None, ref)["dismissed"]) == 1
    assert sdk("restoreRecipientEntityUiStatus", one)["entity_ui_status"] == "clicked"
    sdk("restoreRecipientEntityUiStatus", one, status=409)


def test_a_key_that_opens_nothing_is_a_client_error(package: Path, muster: str):
    with Sdk(package, muster, "nonsense") as sdk:
        refused = sdk("getCampaignPortals", {"campaign_id": str(uuid4())}, status=401)
        assert list(refused) == ["message"]
