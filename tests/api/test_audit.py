"""The audit log: each change has an author, in its own transaction, without secrets and without people."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, select

from engine.audit import Author, watched
from state.tables import AuditRecord, Channel, Event
from tests.api.test_nouns import NOUNS, make

SECRET = "sesame-sesame-sesame"


@pytest.fixture
def log(client):
    """The records so far, newest first."""

    def read(**query):
        answer = client.get("/v1/audit", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    return read


@pytest.mark.parametrize("noun", NOUNS)
def test_making_changing_and_deleting_a_noun_leaves_a_record_each(client, log, noun):
    made = make(client, noun)
    change = NOUNS[noun][1]
    assert client.patch(f"/v1/{noun}/{made['_id']}", json=change).status_code == 200
    assert client.delete(f"/v1/{noun}/{made['_id']}").status_code in (200, 204)

    about = [
        (record["author"], record["address"], one["action"])
        for record in reversed(log(limit=100))
        for one in record["changes"]
        if one["kind"] == noun and one.get("id") == made["_id"]
    ]

    assert [action for _, _, action in about] == ["create", "update", "delete"]
    assert {author[:4] for author, _, _ in about} == {"key:"}
    assert {address for _, address, _ in about} == {"127.0.0.1"}


def test_a_change_tells_what_was_and_what_is(client, log):
    made = make(client, "template")
    client.patch(f"/v1/template/{made['_id']}", json={"subject": "Bye"})

    (change,) = log()[0]["changes"]

    assert (change["before"]["subject"], change["after"]["subject"]) == ("Hi {{ name }}", "Bye")


def test_no_record_holds_a_secret(client, log, database, org_id):
    body = {
        "name": "mail", "kind": "smtp", "settings": {"host": "127.0.0.1", "from_email": "a@example.com"},
        "credentials": {"username": "u", "password": SECRET},
    }  # fmt: skip
    channel = client.post("/v1/channel", json=body).json()
    client.patch(
        f"/v1/channel/{channel['_id']}", json={"credentials": {"username": "u", "password": SECRET + "2"}}
    )
    hook = {"url": f"https://hooks.example/{SECRET}", "events": ["*"], "secret": SECRET}
    client.post("/api/v1/webhooks", json=hook)

    records = log(limit=100)

    assert {change["kind"] for record in records for change in record["changes"]} >= {"channel", "webhook"}
    assert SECRET not in json.dumps(records)


def test_no_record_holds_what_is_known_of_a_person(client, log):
    person = {"external_id": "ext-77", "email": "ada@example.com", "title": "Ada Lovelace"}
    made = client.post("/v1/entity/contact", json=person).json()
    client.patch(f"/v1/entity/contact/{made['_id']}", json={"email": "countess@example.com"})
    client.post("/v1/suppression", json={"channel_kind": "smtp", "address": "ada@example.com"})
    client.delete(f"/v1/entity/contact/{made['_id']}")

    text = json.dumps(log(limit=100))

    assert "attributes" in text
    for known in ("ext-77", "ada@", "Ada", "countess"):
        assert known not in text


def test_a_change_that_is_rolled_back_leaves_no_record(database, org_id):
    who = Author("cli:test", "admin", "test", org_id)

    def fail():
        with database.begin() as session, watched(session, who):
            session.add(
                Channel(org_id=org_id, name="c", kind="null", doubt_policy="hold", **_times(database))
            )
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    with database.read() as session:
        assert session.execute(select(func.count()).select_from(AuditRecord)).scalar_one() == 0


def test_activating_a_campaign_is_recorded_under_its_operation(client, log):
    made = make(client, "campaign")
    client.put(f"/api/v1/campaigns/{made['_id']}", json={"status": "cancelled"})

    record = log()[0]

    assert [
        (one["kind"], one["after"]["status"]) for one in record["changes"] if one["kind"] == "campaign"
    ] == [("campaign", "cancelled")]


def test_imports_and_exports_are_recorded(client, log):
    csv = {"content-type": "text/csv"}
    client.post("/v1/entity/contact:import", content=b"email\na@example.com\n", headers=csv)
    client.get("/v1/suppression:export")

    records = log()

    assert [(record["operation"], record["changes"][0]["action"]) for record in records] == [
        ("exportSuppressions", "export"), ("importEntities", "import"),
    ]  # fmt: skip


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_the_log_is_for_administrators(api, role):
    with api.client(role) as client:
        assert client.get("/v1/audit").status_code == 403


def test_another_organization_sees_none_of_it(client, stranger, log):
    make(client, "template")

    assert log()
    assert stranger.get("/v1/audit").json()["results"] == []


def test_pages_go_on_where_the_one_before_ended(client, log):
    for _ in range(3):
        make(client, "portal")
    first = client.get("/v1/audit", params={"limit": 2}).json()
    second = client.get("/v1/audit", params={"limit": 2, "next": first["next"]}).json()

    ids = [record["_id"] for record in first["results"] + second["results"]]

    assert (first["total"], second["next"]) == (3, None)
    assert ids == sorted(set(ids), key=int, reverse=True)


def test_a_webhook_that_names_the_log_is_told_and_star_is_not(client, database, org_id):
    make(client, "portal")
    client.post(
        "/api/v1/webhooks", json={"url": "https://hooks.example/a", "events": ["*"], "secret": SECRET}
    )
    make(client, "portal")
    client.post(
        "/api/v1/webhooks", json={"url": "https://hooks.example/b", "events": ["audit.*"], "secret": SECRET}
    )
    make(client, "portal")

    with database.read() as session:
        told = session.execute(select(Event.data).where(Event.name == "audit.recorded")).scalars().all()

    assert [event["operation"] for event in told][-1] == "createPortal"
    assert all(set(change) <= {"kind", "id", "action"} for event in told for change in event["changes"])
    assert len(told) <= 2  # the webhook's own making may be told to it


def _times(database):
    now = database.clock.now()
    return {"created_at": now, "updated_at": now}
