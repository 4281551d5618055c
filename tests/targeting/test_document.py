"""Our OpenAPI document holds all of theirs (issue of the Targeting API, point 2)."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from engine.api.app import create_app
from engine.kernel.runtime import Runtime
from engine.kernel.wakeups import MemoryWakeups
from tests.conftest import missing_service
from tests.targeting.superset import Document, lacking

#: The machine-readable contract lies beside the repository, where it is there at all.
SHARED = Path(os.environ.get("MUSTER_SHARED", Path(__file__).parents[3] / "shared"))

#: docs/contract/targeting.md: the twelve of the seeds and the four that today's client calls besides.
OPERATIONS = {
    "changeCampaignStatus": "post /v1/campaign/{campaign_id}/status",
    "getCampaignJobStatus": "get /v1/campaign/{campaign_id}/job",
    "getCampaignPortals": "get /v1/campaign/{campaign_id}/portals",
    "retriggerCampaignAutomations": "post /v1/campaign/{campaign_id}/automations:retrigger",
    "setupCampaign": "post /v1/campaign:setup",
    "matchCampaigns": "post /v1/campaign:match",
    "matchTargets": "post /v1/target:match",
    "getTargetQueries": "post /v1/target/queries",
    "createRecipient": "post /v1/campaign/{campaign_id}/recipient",
    "updateRecipient": "patch /v1/campaign/{campaign_id}/recipient/{recipient_id}",
    "updateRecipientPortalStatus": "patch /v1/campaign/{campaign_id}/recipient/{recipient_id}/portal:status",
    "getRecipients": "get /v1/campaign/{campaign_id}/recipients",
    "discoverCampaigns": "post /v1/campaign:discover",
    "updateRecipientEntityUiStatus": (
        "patch /v1/campaign/{campaign_id}/recipient/{recipient_id}/entity_ui:status"
    ),
    "restoreRecipientEntityUiStatus": (
        "post /v1/campaign/{campaign_id}/recipient/{recipient_id}/entity_ui:restore"
    ),
    "getEmailStats": "get /v1/campaign/{campaign_id}/email-stats",
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("document")
    settings = Settings(
        database_url=f"sqlite:///{folder}/muster.db", data_dir=folder, broker_url="embedded://"
    )
    runtime = Runtime(settings, wakeups=MemoryWakeups())
    document = create_app(runtime).openapi()
    runtime.close()
    return document


def test_every_operation_has_its_name_and_its_place(ours):
    found = {name: f"{method} {path}" for name, (path, method, _) in Document(ours).operations().items()}
    assert {name: found.get(name) for name in OPERATIONS} == OPERATIONS


def test_every_reference_leads_somewhere(ours):
    document = Document(ours)
    waiting: list[Any] = [ours]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            document.follow(node)
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    json.dumps(ours)


def test_absent_values_are_left_out_and_only_next_and_query_may_be_null(ours):
    """docs/contract/targeting.md: none nullable; `next` and a query that failed are."""
    answers = {"Campaign", "Recipient", "Recipients", "Target", "TargetQueryResult", "JobStatus"}
    nullable = {
        (name, field)
        for name in answers
        for field, its in ours["components"]["schemas"][name]["properties"].items()
        if {"type": "null"} in its.get("anyOf", ())
    }
    assert nullable == {("Recipients", "next"), ("TargetQueryResult", "query")}


def test_it_is_a_superset_of_the_public_document(ours):
    file = SHARED / "openapi" / "targeting.json"
    if not file.exists():
        missing_service("the public Targeting document", file)
    assert lacking(Document(json.loads(file.read_text())), Document(ours)) == []


def test_what_is_taken_away_is_noticed(ours):
    """The comparison finds a lost operation, status, parameter, field, word, and a field that was closed."""
    less = copy.deepcopy(ours)
    paths, schemas = less["paths"], less["components"]["schemas"]
    del paths["/v1/campaign:match"]
    del paths["/v1/campaign/{campaign_id}/recipient/{recipient_id}/portal:status"]["patch"]["responses"][
        "409"
    ]
    listing = paths["/v1/campaign/{campaign_id}/recipients"]["get"]
    listing["parameters"] = [one for one in listing["parameters"] if one["name"] != "q"]
    del schemas["Recipient"]["properties"]["portal_state"]
    schemas["PortalStatus"]["enum"].remove("clicked")
    schemas["UpdatePortalStatusRequest"]["additionalProperties"] = False
    schemas["UpdatePortalStatusRequest"]["required"].append("reason")
    found = "\n".join(lacking(Document(ours), Document(less)))
    for part in (
        "matchCampaigns: no such operation",
        "updateRecipientPortalStatus: status 409: is not declared",
        "getRecipients: parameter ('query', 'q'): there is none",
        "schema Recipient.portal_state: there is none",
        "schema PortalStatus: has",
        "updateRecipientPortalStatus: body: is closed",
        "updateRecipientPortalStatus: body: requires ['reason']",
    ):
        assert part in found, found
