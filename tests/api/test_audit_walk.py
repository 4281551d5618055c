"""Every operation that changes something leaves a record of it: found by doing each one there is.

The requests are those of tests/api/test_isolation.py with one's own ids, and bodies by hand where what the document
says is not enough to be taken. Whatever is answered 2xx and leaves other rows than before has a record that names it.
What needs something before it (a campaign that runs, somebody who was enrolled) is walked by hand below.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from state.tables import AuditRecord, Campaign, Channel, Touchpoint
from tests.api.test_isolation import Document, World, path_of, populate, rows_of, word_of
from tests.api.test_shares import ONE_DATABASE
from tests.api.world import FILTERS, add_recipients, make_campaign, make_job

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api

#: What is written beside a change, or is no change of anybody's.
_NOT_LOOKED_AT = {"audit_record", "event", "idempotency_key", "api_key_use"}
#: Not written down, and why.
UNRECORDED = {
    "what recipients and agents did stands in timelines": {
        "reportEvents", "receiveEmail", "updateRecipient", "updateRecipientPortalStatus",
        "updateRecipientEntityUiStatus", "restoreRecipientEntityUiStatus",
    },
    "it is told once more, and nothing is changed": {"redeliverWebhook", "redeliverDeadWebhooks"},
}  # fmt: skip


def _bodies(ids: dict[str, str]) -> dict[str, Any]:
    """Operation → a body that is taken."""
    named = {"name": "walked"}
    everybody = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}
    step = {"content": {"text": "x"}}
    return {
        "createCampaign": named, "updateCampaign": named, "campaignsCreate": named, "campaignsUpdate": named,
        "imbraceCreateCampaign": named, "imbraceUpdateCampaign": named,
        "imbraceCreateTouchpoint": {**named, "type": "message", "message": "x"}, "imbraceUpdateTouchpoint": named,
        "createFlow": {**named, "touchpoints": [step]}, "updateFlow": named,
        "createTemplate": {**named, "text": "x"}, "updateTemplate": named,
        "createPortal": named, "updatePortal": named, "createWidget": {"headline": {"en": "x"}},
        "updateWidget": {"headline": {"en": "y"}},
        "createChannel": {**named, "kind": "null"}, "updateChannel": named,
        "createTarget": {**named, "entity_schema": "contact", "entity_filters": everybody}, "updateTarget": named,
        "createKey": {**named, "role": "viewer"},
        "createWebhook": {"url": "https://hooks.example/walked", "events": ["campaign.*"]},
        "updateWebhook": {"description": "walked"},
        "suppress": {"channel_kind": "smtp", "address": "walked@x.example"},
        "updateOrganization": {"time_zone": "Europe/Berlin"},
        "upsertEntity": {"_title": "walked"}, "updateEntity": {"note": "walked"},
        "updateRecipient": {"portal_status": "SEEN"}, "updateCampaignTargetStage": {"stage": "contacted"},
        "createAttachment": {"filename": "a.txt", "content": "aGVsbG8=", "content_type": "text/plain"},
        "createRecipient": {"recipient_id": ids["entity"]},
    }  # fmt: skip


@ONE_DATABASE
def test_every_change_is_recorded(api: Api, client: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    document = Document(client.get("/openapi.json", timeout=120).json())
    world = World(api.org_id, client)
    populate(api.database, world, "OWN")
    bodies = _bodies(world.ids)
    changed, silent = [], []
    operations = [one for one in document.operations() if one[0] not in ("get", "head")]
    for method, path, operation in sorted(operations, key=lambda one: one[0] == "delete"):
        name = operation["operationId"]
        schema = document.body_of(operation)
        body = bodies.get(name) or (None if schema is None else document.value(schema, None, ""))
        if isinstance(body, dict) and "name" in body:
            body = {**body, "name": f"walked by {name}"}  # another name than the one before
        own = {word: word_of(world, word) for word in re.findall(r"\{(\w+)\}", path)}
        before, records = _rows(api), _records(api)
        answer = client.request(method.upper(), path_of(path, own), json=body)
        assert answer.status_code < 500, (name, answer.text)
        if answer.is_success and _rows(api) != before:
            changed.append(name)
            if name not in {one.operation for one in _records(api)[len(records) :]}:
                silent.append(name)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(changed)} of {len(operations)} operations changed something\n")
    known = set().union(*UNRECORDED.values())
    assert set() == set(silent) - known, sorted(set(silent) - known)
    assert len(changed) >= 40


@dataclass
class Walk:
    """Does one request after another, each of which must be taken and leave a record with its name."""

    api: Api
    client: httpx.Client

    def do(self, name: str, method: str, path: str, **more: Any) -> Any:
        before = len(_records(self.api))
        answer = self.client.request(method, path, **more)
        assert answer.is_success, (name, answer.status_code, answer.text)
        assert name in {one.operation for one in _records(self.api)[before:]}, name
        body = answer.json() if answer.content else {}
        return body.get("data", body)

    def campaign(self, name: str) -> str:
        return str(make_campaign(self.api.database, self.api.org_id, name=name))


@pytest.fixture
def walk(api: Api, client: httpx.Client) -> Walk:
    return Walk(api, client)


@ONE_DATABASE
def test_a_campaigns_life_is_recorded(walk: Walk) -> None:
    started = walk.campaign("started")
    own = f"/api/v1/campaigns/{started}"
    walk.do("changeCampaignStatus", "POST", f"/v1/campaign/{started}/status", json={"status": "active"})
    walk.do("campaignsPause", "POST", f"{own}/pause")
    walk.do("campaignsResume", "POST", f"{own}/resume")
    later = walk.campaign("later")
    at = (walk.api.database.clock.now() + timedelta(hours=1)).isoformat()
    run = walk.do("campaignsExecute", "POST", f"/api/v1/campaigns/{later}/execute", json={"scheduledAt": at})
    walk.do("campaignsUnschedule", "DELETE", f"/api/v1/campaigns/{later}/executions/{run['executionId']}")
    tested = walk.campaign("tested")
    with walk.api.database.begin() as session:
        flow_id = session.get_one(Campaign, UUID(tested)).flow_id
        point = session.scalars(select(Touchpoint).where(Touchpoint.flow_id == flow_id)).one()
        point.variants = [{"id": "a", "weight": 1}, {"id": "b", "weight": 1}]
    test = {"name": "t", "metric": "clicked", "sample": 10, "decideAfterHours": 4}
    walk.do("createAbTest", "POST", f"/api/v1/campaigns/{tested}/ab-tests", json=test)
    walk.do("startAbTest", "POST", f"/api/v1/campaigns/{tested}/ab-tests:start")
    failed = UUID(walk.campaign("failed"))
    job = make_job(walk.api.database, walk.api.org_id, failed, status="finished")
    (recipient,) = add_recipients(walk.api.database, walk.api.org_id, failed, ["failed"], job_id=job)
    path = f"/v1/campaign/{failed}/automations:retrigger"
    body = {"recipient_ids": [str(recipient)]}
    walk.do("retriggerCampaignAutomations", "POST", path, json=body)
    walk.do("deleteCampaign", "DELETE", f"/v1/campaign/{walk.campaign('a')}")
    walk.do("campaignsDelete", "DELETE", f"/api/v1/campaigns/{walk.campaign('b')}")
    walk.do("imbraceDeleteCampaign", "DELETE", f"/channel-service/v1/campaign/{walk.campaign('c')}")


@ONE_DATABASE
def test_who_is_written_to_by_hand_is_recorded(walk: Walk) -> None:
    person = walk.do("upsertEntity", "POST", "/v1/entity/contact", json={"email": "a@x.example"})["_id"]
    walk.do("updateEntity", "PATCH", f"/v1/entity/contact/{person}", json={"note": "x"})
    as_csv = {"content-type": "text/csv"}
    path = "/v1/entity/contact:import"
    walk.do("importEntities", "POST", path, content="email\nb@x.example\n", headers=as_csv)
    lines = "medium,address\nemail,c@x.example\n"
    walk.do("importSuppressions", "POST", "/v1/suppression:import", content=lines, headers=as_csv)
    for kind in ("voice", "whatsapp"):
        _sender(walk.api, kind)
    campaign = walk.do("createCampaign", "POST", "/v1/campaign", json={"name": "enrolled"})["_id"]
    contact = {"call_opening_message": "Hello", "call_attempt_delays": [60], "whatsapp_first_message": "x"}
    walk.do("setFirstContact", "PUT", f"/v1/campaign/{campaign}/first-contact", json=contact)
    targets = f"/campaigns/{campaign}/targets"
    customer = {"customer_id": "C-1", "name": "Ada", "email": "ada@z.example"}
    walk.do("createCustomerAndEnroll", "POST", f"{targets}:create-customer", json=customer)
    walk.do("enrollTargetsBulk", "POST", f"{targets}:bulk", json={"items": [{"customer_id": person}]})
    target = walk.client.get(targets).json()["data"][0]["id"]
    walk.do("deleteCampaignTarget", "DELETE", f"{targets}/{target}")
    walk.do("restoreCampaignTarget", "POST", f"{targets}/{target}/restore")
    recipient = {"entity_id": person, "entity_schema": "contact", "portal_status": "sent"}
    path = f"/v1/campaign/{walk.campaign('portal')}/recipient"
    walk.do("createRecipient", "POST", path, json=recipient)
    walk.do("deleteEntity", "DELETE", f"/v1/entity/contact/{person}")


@ONE_DATABASE
def test_what_is_made_changed_and_removed_is_recorded(walk: Walk) -> None:
    key = walk.do("createKey", "POST", "/v1/key", json={"name": "k", "role": "viewer"})["_id"]
    walk.do("rotateKey", "POST", f"/v1/key/{key}:rotate", json={})
    target = {"name": "t", "entity_schema": "contact", "entity_filters": FILTERS}
    target_id = walk.do("createTarget", "POST", "/v1/target", json=target)["_id"]
    walk.do("updateTarget", "PATCH", f"/v1/target/{target_id}", json={"name": "u"})
    walk.do("deleteTarget", "DELETE", f"/v1/target/{target_id}")
    template = walk.do("createTemplate", "POST", "/v1/template", json={"name": "x", "text": "x"})["_id"]
    flow = {"name": "x", "touchpoints": [{"content": {"text": "x"}}]}
    flow_id = walk.do("createFlow", "POST", "/v1/flow", json=flow)["_id"]
    walk.do("deleteFlow", "DELETE", f"/v1/flow/{flow_id}")
    walk.do("deleteTemplate", "DELETE", f"/v1/template/{template}")
    portal = walk.do("createPortal", "POST", "/v1/portal", json={"name": "x"})["_id"]
    widgets = f"/v1/portal/{portal}/widget"
    widget = walk.do("createWidget", "POST", widgets, json={"headline": {"en": "x"}})["_id"]
    walk.do("deleteWidget", "DELETE", f"{widgets}/{widget}")


def _sender(api: Api, kind: str) -> None:
    """A channel of that kind, whose settings nobody looks at."""
    now = api.database.clock.now()
    with api.database.begin() as session:
        row = Channel(
            id=uuid4(),
            org_id=api.org_id,
            name=kind,
            kind=kind,
            settings={},
            doubt_policy="resend",
            created_at=now,
            updated_at=now,
        )
        session.add(row)


def _rows(api: Api) -> dict[str, list[str]]:
    found = rows_of(api.database, UUID(str(api.org_id)))
    return {name: rows for name, rows in found.items() if name not in _NOT_LOOKED_AT}


def _records(api: Api) -> list[AuditRecord]:
    with api.database.read() as session:
        return list(
            session.scalars(
                select(AuditRecord).where(AuditRecord.org_id == api.org_id).order_by(AuditRecord.id)
            )
        )
