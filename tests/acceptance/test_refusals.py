"""A mail server that refuses some and defers others: what is recorded, what is tried again, and by whose wish."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from tests.acceptance.client import signed_in
from tests.harness.account import account
from tests.harness.providers import SmtpSink
from tests.harness.seeds import smtp_settings
from tests.harness.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.client import Client

pytestmark = [pytest.mark.services, pytest.mark.slow]

EACH = 40
GOOD, REFUSED, DEFERRED = "good.example", "refused.example", "deferred.example"


def contacts() -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("id", "name", "email"))
    for domain in (GOOD, REFUSED, DEFERRED):
        for number in range(EACH):
            writer.writerow((f"{domain}-{number}", f"{domain} {number}", f"p{number}@{domain}"))
    return file.getvalue().encode()


def draft(client: Client, port: int) -> str:
    assert client.import_csv("contact", contacts(), external_id="id", title="{name}")["created"] == 3 * EACH
    target = client.target("contact", {"key": "email", "operator": "NOT_EMPTY"})
    channel = client.make(
        "channel",
        name="mail",
        kind="smtp",
        settings=smtp_settings(port),
        retry_base_seconds=0.2,
        retry_span_seconds=0,
    )
    campaign = client.campaign(target, channel, subject="Hello {{ name }}", text="Hello")
    client.ask("PATCH", f"/v1/campaign/{campaign}", json={"limits": {"breaker": False}})
    return campaign


def by_domain(recipients: list[dict[str, Any]]) -> Counter[str]:
    """Their titles say where they are."""
    return Counter(recipient["title"].split()[0] for recipient in recipients)


def story(stack: Stack, campaign: str, recipient: str) -> dict[str, Any]:
    """What the command line tells of one recipient's only execution."""
    [execution] = json.loads(stack.run("why", campaign, recipient, "--json"))["executions"]
    return dict(execution)


def test_refused_deferred_and_retriggered(tmp_path: Path) -> None:
    options = ("--refuse-domain", REFUSED, "--defer-domain", DEFERRED)
    env = {"MUSTER_SWEEP_INTERVAL": "0.5"}
    with (
        SmtpSink(tmp_path, "smtp", *options) as sink,
        Stack(tmp_path, workers=2, api=True, smtp=False, env=env) as stack,
        signed_in(stack) as client,
    ):
        campaign = draft(client, sink.port)
        client.change_status(campaign, "active")
        counts = client.finish(campaign)["execution_counts"]
        assert (counts["success"], counts["failed"]) == (2 * EACH, EACH)

        failed = client.recipients(campaign, "failed")
        assert by_domain(failed) == {REFUSED: EACH}
        assert by_domain(client.recipients(campaign, "success")) == {GOOD: EACH, DEFERRED: EACH}
        refused = story(stack, campaign, failed[0]["entity_id"])
        assert refused["error_code"] == "SMTP_550"
        assert "5.1.1 no such user" in refused["error_text"]
        delivered = client.recipients(campaign, "success")
        deferred = next(one for one in delivered if one["title"].startswith(DEFERRED))
        assert story(stack, campaign, deferred["entity_id"])["attempt"] == 2
        found = account(stack.database, sink.journal, campaign_id=UUID(campaign), expected=3 * EACH)
        found.assert_whole()
        assert found.errors == {"SMTP_550": EACH}

        sink.stop()  # and somebody makes these mailboxes
        sink.command = [word for word in sink.command if word not in options]
        sink.start()
        again, left = failed[:5], failed[5:]
        barred = client.ask("GET", "/v1/suppression", params={"limit": 100})["results"]
        assert {one["reason"] for one in barred} == {"hard_bounce"}
        assert len(barred) == EACH
        for one in barred:
            assert client.http.delete(f"/v1/suppression/{one['id']}").is_success
        good, stranger = delivered[0]["entity_id"], str(uuid4())
        wanted = [good, again[0]["entity_id"], stranger, *(one["entity_id"] for one in again[1:])]
        answers = client.retrigger(campaign, *wanted)
        assert [answer["recipient_id"] for answer in answers] == wanted
        assert [answer["result"] for answer in answers] == [
            "invalid_status", "success", "not_found", *["success"] * 4,
        ]  # fmt: skip
        executions = {one["execution_id"] for one in answers if one["result"] == "success"}
        assert len(executions) == 5
        assert executions.isdisjoint(one["automation_execution_id"] for one in failed)
        client.finish(campaign)

        found = account(stack.database, sink.journal, campaign_id=UUID(campaign), expected=3 * EACH)
        found.assert_whole()
        assert found.statuses == {"success": 2 * EACH + 5, "failed": len(left)}
        assert found.received == {1: 2 * EACH + 5, 0: len(left)}
        assert {str(sent.execution_id) for sent in sink.journal.sent()[-5:]} == executions
        assert client.retrigger(campaign) == []
