"""Health, metrics, documentation, and what happens when something is away or broken."""

from __future__ import annotations

import re
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.settings import Settings
from engine.api.health import readiness
from engine.campaigns import portals
from engine.kernel.runtime import Runtime
from engine.kernel.wakeups import MemoryWakeups
from state.database import Database
from state.migrate import upgrade
from tests.api.world import add_recipients, make_campaign, make_job
from tests.conftest import RABBITMQ, REDIS

NOWHERE = "redis://127.0.0.1:1/0"
#: Operations that are posted and change nothing: no repeat of theirs needs a key.
QUESTIONS = {
    "discoverCampaigns",
    "getTargetQueries",
    "matchCampaigns",
    "matchTargets",
    "planCampaign",
    "previewTemplate",
}


def migrated(tmp_path, **values):
    url = f"sqlite:///{tmp_path}/migrated.db"
    upgrade(url)
    return Runtime(Settings(database_url=url, **values), wakeups=MemoryWakeups())


def test_live_needs_nothing(api, client):
    answer = client.get("/health/live", headers={"authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


def test_ready_names_what_is_missing(client):
    """The tests' tables were made without migrations, and that is said."""
    answer = client.get("/health/ready", headers={"authorization": ""})
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    checks = answer.json()["checks"]
    assert (checks["database"], checks["broker"]) == ("ok", "ok")
    assert "muster db upgrade" in checks["migrations"]


@pytest.mark.parametrize("broker", ["embedded://", REDIS, RABBITMQ])
def test_all_is_ready_on_every_broker(tmp_path, broker):
    runtime = migrated(tmp_path, broker_url=broker)
    found = readiness(runtime)
    assert found.checks == {"database": "ok", "migrations": "ok", "broker": "ok"}
    assert found.ready
    assert found.warnings == ["no worker has ever been seen", "no scheduler has ever been seen"]
    runtime.close()


@pytest.mark.parametrize("broker", [NOWHERE, "amqp://guest:s3cret@127.0.0.1:1/"])
def test_a_broker_that_is_away_is_named_without_its_password(tmp_path, broker):
    runtime = migrated(tmp_path, broker_url=broker)
    found = readiness(runtime)
    checks = found.checks
    assert found.ready, "the broker is for speed only"
    assert checks["broker"] in found.warnings[-1]
    assert (checks["database"], checks["migrations"]) == ("ok", "ok")
    assert "does not answer" in checks["broker"]
    assert "s3cret" not in str(checks)
    runtime.close()


def test_a_database_that_is_away_is_named_without_its_password():
    url = "postgresql+psycopg://muster:s3cret@127.0.0.1:1/muster"
    runtime = Runtime(
        Settings(database_url=url, broker_url="embedded://"),
        database=Database(url, pool_size=2),
        wakeups=MemoryWakeups(),
    )
    found = readiness(runtime)
    checks = found.checks
    assert not found.ready
    assert checks["database"] != "ok"
    assert checks["migrations"].startswith("unknown")
    assert checks["broker"] == "ok"
    assert "s3cret" not in str(checks)
    runtime.close()


def test_metrics_count_requests_jobs_recipients_and_queues(api, client):
    campaign_id = make_campaign(api.database, api.org_id)
    make_job(
        api.database, api.org_id, campaign_id, status="finished", total=9, success=5, failed=3, cancelled=1
    )
    make_job(api.database, api.org_id, campaign_id, status="processing", total=2, success=1)
    add_recipients(api.database, api.org_id, campaign_id, ["success"])
    client.get(f"/v1/campaign/{campaign_id}")
    answer = client.get("/metrics", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.text
    for line in (
        'muster_api_requests_total{method="GET",route="/v1/campaign/{campaign_id}",status="200"} 1.0',
        'muster_jobs{status="finished"} 1.0',
        'muster_jobs{status="processing"} 1.0',
        'muster_jobs{status="queued"} 0.0',
        'muster_recipients{status="success"} 6.0',
        'muster_recipients{status="failed"} 3.0',
        'muster_recipients{status="open"} 1.0',
        'muster_queue_depth{queue="delivery"}',
        'muster_up{service="database"} 1.0',
        'muster_up{service="broker"} 1.0',
        'muster_processes{kind="worker"} 0.0',
    ):
        assert line in text, line
    assert str(campaign_id) not in text, "ids make no series of their own"


def test_a_scrape_answers_while_the_database_is_away(api, client, monkeypatch):
    monkeypatch.setattr(api.database, "read", away)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert 'muster_up{service="database"} 0.0' in answer.text
    assert "muster_jobs{" not in answer.text


@contextmanager
def away(*_, **__):
    raise OperationalError("SELECT 1", {}, Exception("connection refused"))
    yield


@contextmanager
def busy(*_, **__):
    raise PoolTimeout("QueuePool limit of size 8 reached")
    yield


@pytest.mark.parametrize("trouble", [away, busy])
def test_a_database_that_is_away_is_503_in_the_servers_shape(api, client, monkeypatch, trouble):
    monkeypatch.setattr(api.database, "read", trouble)
    answer = client.get("/v1/campaign")
    assert answer.status_code == 503
    assert answer.json() == {"status": 503, "message": "the database does not answer"}
    assert answer.headers["retry-after"]
    monkeypatch.undo()
    assert client.get("/v1/campaign").status_code == 200


def test_a_bug_is_500_in_the_servers_shape_and_says_nothing_of_itself(client, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(portals, "list_portals", broken)
    answer = client.get("/v1/portal")
    assert (answer.status_code, answer.json()) == (500, {"status": 500, "message": "internal error"})


def test_an_unsubscribe_link_needs_no_key_and_a_forged_one_does_nothing(api, client):
    for method in ("GET", "POST"):
        answer = client.request(method, "/u/forged", headers={"authorization": ""})
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
    assert client.get("/v1/suppression").json()["total"] == 0


def test_every_answer_has_a_request_id_and_a_fit_one_is_kept(client):
    assert re.fullmatch(r"[0-9a-f]{32}", client.get("/v1/campaign").headers["x-request-id"])
    given = {"x-request-id": "trace-1"}
    for path in ("/v1/campaign", "/nope", "/health/live"):
        assert client.get(path, headers=given).headers["x-request-id"] == "trace-1"
    for unfit in ("x" * 129, "é".encode("latin-1")):
        assert len(client.get("/v1/campaign", headers={"x-request-id": unfit}).headers["x-request-id"]) == 32


def test_the_documentation_names_the_operations_of_the_contract(client):
    assert "swagger" in client.get("/docs", headers={"authorization": ""}).text.lower()
    document = client.get("/openapi.json", headers={"authorization": ""}).json()
    operations = {
        operation["operationId"]: (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert {
        "changeCampaignStatus": ("post", "/v1/campaign/{campaign_id}/status"),
        "getCampaignJobStatus": ("get", "/v1/campaign/{campaign_id}/job"),
        "getRecipients": ("get", "/v1/campaign/{campaign_id}/recipients"),
        "retriggerCampaignAutomations": ("post", "/v1/campaign/{campaign_id}/automations:retrigger"),
    }.items() <= operations.items()
    without_key = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert ("422" in operation["responses"]) == path.startswith("/campaigns/"), path
            if path.startswith("/v1/") and not path.startswith("/v1/inbound/"):
                assert operation["security"] == [{"ApiKey": []}]
                assert {"400", "401", "403", "500"} <= set(operation["responses"])
                named = {parameter["name"] for parameter in operation.get("parameters", ())}
                assert method != "get" or "Idempotency-Key" not in named, path
                if method != "get" and "Idempotency-Key" not in named:
                    without_key.add(operation["operationId"])
    assert without_key == QUESTIONS
    assert "HTTPValidationError" not in document["components"]["schemas"]
