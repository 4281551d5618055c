"""A request that is sent twice with one `Idempotency-Key` is done once (docs/contract/own-routes.md)."""

from __future__ import annotations

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from engine.api.targeting import views
from engine.campaigns import portals
from engine.kernel import idempotency
from engine.kernel.idempotency import ABANDONED, KEPT, Fingerprints, KeyConflict, Reservation, Stored
from engine.kernel.inputs import Invalid
from state.tables import IdempotencyKey, Portal
from tests.api.world import add_recipients, make_campaign, make_job

KEY = {"idempotency-key": "one"}


def portals_in(api):
    with api.database.read() as session:
        return session.query(Portal).count()


def test_the_same_request_is_done_once_and_answered_alike(api, client):
    first = client.post("/v1/portal", json={"name": "p"}, headers=KEY)
    again = client.post("/v1/portal", json={"name": "p"}, headers=KEY)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert portals_in(api) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/v1/portal", {"name": "q"}), ("POST", "/v1/template", {"name": "p"}),
     ("POST", "/v1/portal?x=1", {"name": "p"})],
)  # fmt: skip
def test_another_request_with_the_key_is_409(api, client, method, path, body):
    client.post("/v1/portal", json={"name": "p"}, headers=KEY)
    answer = client.request(method, path, json=body, headers=KEY)
    assert answer.status_code == 409
    assert list(answer.json()) == ["message"]
    assert portals_in(api) == 1


def test_a_key_is_of_one_organization(client, stranger):
    assert client.post("/v1/portal", json={"name": "p"}, headers=KEY).status_code == 201
    answer = stranger.post("/v1/portal", json={"name": "other"}, headers=KEY)
    assert (answer.status_code, answer.json()["name"]) == (201, "other")


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel".encode()])
def test_a_key_that_cannot_be_kept_is_400(api, client, key):
    answer = client.post("/v1/portal", json={"name": "p"}, headers={"idempotency-key": key})
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["message"]
    assert portals_in(api) == 0


def test_a_refusal_is_an_answer_too(api, client):
    campaign_id = make_campaign(api.database, api.org_id, target=False)
    path = f"/v1/campaign/{campaign_id}/status"
    first = client.post(path, headers=KEY)
    assert (first.status_code, first.json()) == (400, {"code": "CAMPAIGN_HAS_NO_TARGET"})
    again = client.post(path, headers=KEY)
    assert (again.status_code, again.content) == (400, first.content)
    assert again.headers["idempotent-replayed"] == "true"


def test_an_empty_answer_is_replayed_empty(client):
    portal = client.post("/v1/portal", json={"name": "p"}).json()["_id"]
    for _ in range(2):
        answer = client.delete(f"/v1/portal/{portal}", headers=KEY)
        assert (answer.status_code, answer.content) == (204, b"")


def test_reading_does_not_use_up_a_key(api, client):
    client.get("/v1/portal", headers=KEY)
    assert client.post("/v1/portal", json={"name": "p"}, headers=KEY).status_code == 201


def test_of_many_at_once_one_works(api):
    """The others are told that it runs, or get its answer; never a second portal."""
    together = Barrier(8)

    def send(_):
        with api.client() as client:
            together.wait(20)
            return client.post("/v1/portal", json={"name": "p"}, headers=KEY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = {answer.content for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert portals_in(api) == 1


def test_toggling_at_once_with_one_key_toggles_once(api):
    campaign_id = make_campaign(api.database, api.org_id)
    together = Barrier(6)

    def send(_):
        with api.client() as client:
            together.wait(20)
            return client.post(f"/v1/campaign/{campaign_id}/status", headers=KEY).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(send, range(6))) <= {200, 409}
    assert len(api.wakeups.take()) == 1


def test_retriggering_twice_with_one_key_runs_once(api, client):
    campaign_id = make_campaign(api.database, api.org_id)
    job_id = make_job(api.database, api.org_id, campaign_id, total=1, failed=1)
    [failed] = add_recipients(api.database, api.org_id, campaign_id, ["failed"], job_id=job_id)
    path = f"/v1/campaign/{campaign_id}/automations:retrigger"
    answers = [client.post(path, json={"recipient_ids": [str(failed)]}, headers=KEY) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["results"][0]["result"] == "success"
    assert len(api.wakeups.take()) == 1


def test_the_answer_is_stored_in_the_transaction_of_the_work(api, client, monkeypatch):
    """A fault after the answer was made takes the work with it; the key is free again."""
    made = views.portal

    def broken(row):
        raise RuntimeError(made(row)["name"])

    monkeypatch.setattr(views, "portal", broken)
    answer = client.post("/v1/portal", json={"name": "p"}, headers=KEY)
    assert (answer.status_code, answer.json()) == (500, {"status": 500, "message": "internal error"})
    assert portals_in(api) == 0
    monkeypatch.undo()
    assert client.post("/v1/portal", json={"name": "p"}, headers=KEY).status_code == 201
    assert portals_in(api) == 1


def test_the_key_is_reserved_before_the_work_starts(api, client, monkeypatch):
    seen: list[tuple[str, int | None]] = []
    create = portals.create_portal

    def looking(session, org_id, given):
        # On SQLite the work holds the only write lock; what others have committed can be read all the same.
        with api.database.read() as other:
            seen.extend((row.key, row.status) for row in other.query(IdempotencyKey))
        return create(session, org_id, given)

    monkeypatch.setattr(portals, "create_portal", looking)
    assert client.post("/v1/portal", json={"name": "p"}, headers=KEY).status_code == 201
    assert seen == [("one", None)]


def test_nothing_is_reserved_without_a_key(api, client):
    client.post("/v1/portal", json={"name": "p"})
    with api.database.read() as session:
        assert session.query(IdempotencyKey).count() == 0


def reserve(database, org_id, request=b"r", keys=(b"key",)):
    with database.begin() as session:
        return idempotency.reserve(session, org_id, "k", Fingerprints(keys, request))


def finish(database, taken):
    with database.begin() as session:
        idempotency.store(session, taken, status=200, answer=b"{}", headers={"a": "b"})


def test_a_reservation_that_is_abandoned_may_be_taken_over(database, org_id, clock):
    lost = reserve(database, org_id)
    clock.forward(seconds=ABANDONED.total_seconds())
    with pytest.raises(KeyConflict, match="still runs"):
        reserve(database, org_id)
    clock.forward(seconds=1)
    taken = reserve(database, org_id, b"x")
    assert isinstance(taken, Reservation)
    with pytest.raises(KeyConflict, match="taken over"):
        finish(database, lost)
    with database.begin() as session:
        assert not idempotency.renew(session, lost)
        idempotency.release(session, lost)
    finish(database, taken)
    assert isinstance(reserve(database, org_id, b"x"), Stored)


def test_a_reservation_that_is_renewed_is_kept(database, org_id, clock):
    taken = reserve(database, org_id)
    for _ in range(5):
        clock.forward(seconds=ABANDONED.total_seconds() - 1)
        with database.begin() as session:
            assert idempotency.renew(session, taken)
    with pytest.raises(KeyConflict, match="still runs"):
        reserve(database, org_id)


def test_an_answer_is_kept_for_a_day_and_then_forgotten(database, org_id, clock):
    finish(database, reserve(database, org_id))
    clock.forward(seconds=KEPT.total_seconds())
    assert reserve(database, org_id) == Stored(200, b"{}", {"a": "b"})
    clock.forward(seconds=1)
    assert isinstance(reserve(database, org_id), Reservation)
    clock.forward(seconds=KEPT.total_seconds() + 1)
    with database.begin() as session:
        assert idempotency.expire(session) == 1
        assert idempotency.expire(session) == 0


def test_releasing_does_not_forget_an_answer(database, org_id):
    taken = reserve(database, org_id)
    finish(database, taken)
    with database.begin() as session:
        idempotency.release(session, taken)
    assert isinstance(reserve(database, org_id), Stored)


def test_of_many_reservations_at_once_one_is_given(database, org_id):
    together = Barrier(8)

    def attempt(_):
        together.wait(20)
        try:
            return isinstance(reserve(database, org_id), Reservation)
        except KeyConflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_what_is_kept_of_a_request_needs_the_key(database, org_id):
    """Nobody who has the database alone can find out whose request it was; a new key still knows it."""
    finish(database, reserve(database, org_id))
    with database.read() as session:
        kept = session.query(IdempotencyKey.fingerprint).scalar()
    digest = hashlib.sha256(len(b"r").to_bytes(8, "big") + b"r").digest()
    assert kept == hmac.digest(b"key", digest, "sha256")
    assert isinstance(reserve(database, org_id, keys=(b"new", b"key")), Stored)
    with pytest.raises(KeyConflict, match="another request"):
        reserve(database, org_id, keys=(b"new",))


def test_keys_are_trimmed():
    assert idempotency.check_key(" k ") == "k"
    with pytest.raises(Invalid):
        idempotency.check_key("a\nb")
