"""`matchCampaigns`, `matchTargets` and `getTargetQueries` (docs/contract/targeting.md)."""

from __future__ import annotations

from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, insert

from engine.authentication.api_keys import create_key
from engine.campaigns.matching import EntityRef, match_targets
from state.tables import Campaign, Entity, Target
from tests.targeting.world import equals, only

MATCHES = [("/v1/campaign:match", "campaign"), ("/v1/target:match", "target")]


def ref(entity_id, schema="contact"):
    return {"entity_id": str(entity_id), "entity_schema": schema}


@pytest.fixture
def ask(world):
    """Asks which of the targets, or of campaigns made of one target each, match; answers with target ids."""

    def asked(refs, target_ids):
        target_ids = [str(one) for one in target_ids]
        targets = world.client.post("/v1/target:match", json={"entity_refs": refs, "target_ids": target_ids})
        found = [one["target"]["_id"] for one in only(targets, 200, "hits", "results")["results"]]
        assert targets.json()["hits"] == len(found)
        campaigns = {
            world.client.post("/v1/campaign", json={"name": "c", "target_ids": [one]}).json()["_id"]: one
            for one in target_ids
        }
        answer = world.client.post(
            "/v1/campaign:match", json={"entity_refs": refs, "campaign_ids": list(campaigns)}
        )
        body = only(answer, 200, "hits", "results")
        assert [campaigns[one["campaign"]["_id"]] for one in body["results"]] == found
        assert body["hits"] == len(found)
        return found

    return asked


@contextmanager
def statements(database):
    """What was sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_one_entity_that_is_in_it_is_enough(world, ask):
    """docs/contract/targeting.md: ANY of the references."""
    green, grey = (world.entity(tariff=word) for word in ("green", "grey"))
    targets = [str(world.target(entity_filters=equals("tariff", word))) for word in ("green", "grey", "x")]
    assert ask([ref(green)], targets) == targets[:1]
    assert ask([ref(grey), ref(green)], targets) == targets[:2]
    assert ask([ref(grey)], reversed(targets)) == [targets[1]]


def test_a_reference_of_another_schema_never_counts(world, ask):
    """docs/contract/targeting.md: neither by what the reference says, nor by what the entity is."""
    contact, contract = world.entity(tariff="green"), world.entity("contract", tariff="green")
    targets = [
        str(world.target(entity_schema=schema, entity_filters=equals("tariff", "green")))
        for schema in ("contact", "contract")
    ]
    assert ask([ref(contact), ref(contract, "contract")], targets) == targets
    assert ask([ref(contact)], targets) == targets[:1]
    assert ask([ref(contact, "contract"), ref(contract)], targets) == []


def test_no_status_is_asked_for(world):
    """docs/contract/targeting.md: only discover says active."""
    entity = world.entity(email="a@b.example")
    ids = []
    for state in ("draft", "activating", "active", "paused", "completed", "cancelled"):
        ids.append(str(world.campaign()))
        world.set_campaign(UUID(ids[-1]), status=state)
    body = {"entity_refs": [ref(entity)], "campaign_ids": ids}
    found = world.client.post("/v1/campaign:match", json=body).json()
    assert [one["campaign"]["_id"] for one in found["results"]] == ids


def test_a_campaign_of_several_targets_is_matched_by_any(world):
    entity = world.entity(tariff="green")
    targets = [str(world.target(entity_filters=equals("tariff", word))) for word in ("grey", "green")]
    made = world.client.post("/v1/campaign", json={"name": "c", "target_ids": targets}).json()["_id"]
    body = {"entity_refs": [ref(entity)], "campaign_ids": [made]}
    assert world.client.post("/v1/campaign:match", json=body).json()["hits"] == 1


def test_no_references_are_no_hits(world, ask):
    """docs/contract/targeting.md."""
    assert ask([], [world.target()]) == []


def test_unknown_ids_are_silently_absent(world, ask, stranger):
    """docs/contract/targeting.md, for entities and for what is matched."""
    entity, target = world.entity(email="a@b.example"), str(world.target())
    body = {"entity_refs": [ref(entity), ref(uuid4())], "target_ids": [str(uuid4()), target]}
    assert world.client.post("/v1/target:match", json=body).json()["hits"] == 1
    body = {"entity_refs": [ref(entity)], "campaign_ids": [str(uuid4())]}
    assert world.client.post("/v1/campaign:match", json=body).json() == {"hits": 0, "results": []}
    theirs = stranger.post("/v1/entity/contact", json={"email": "a@b.example"}).json()["_id"]
    assert ask([ref(theirs)], [target]) == []
    body = {"entity_refs": [ref(theirs)], "target_ids": [target]}
    assert stranger.post("/v1/target:match", json=body).json()["hits"] == 0


def test_matches_take_a_hundred_ids_and_queries_any_number(world):
    """docs/contract/targeting.md."""
    many = [str(uuid4()) for _ in range(101)]
    for path, word in MATCHES:
        body = {"entity_refs": [], f"{word}_ids": many[:100]}
        assert world.client.post(path, json=body).json() == {"hits": 0, "results": []}
        answer = world.client.post(path, json={"entity_refs": [], f"{word}_ids": many})
        assert f"{word}_ids: " in only(answer, 400, "message")["message"]
    answer = world.client.post("/v1/target/queries", json={"target_ids": many})
    assert len(only(answer, 200, "results")["results"]) == 101


def test_lists_of_ids_are_not_empty_and_hold_none_twice(world):
    twice = [str(uuid4())] * 2
    for path, word in (*MATCHES, ("/v1/target/queries", "target")):
        more: dict[str, list[str]] = {} if path.endswith("queries") else {"entity_refs": []}
        for ids in ([], twice, ["x"], None, "x", [7]):
            answer = world.client.post(path, json={f"{word}_ids": ids, **more})
            assert only(answer, 400, "message")["message"].startswith(f"{word}_ids")
        answer = world.client.post(path, json=more)
        assert only(answer, 400, "message")["message"] == f"{word}_ids: is required"


def test_match_requests_are_closed(world):
    one = str(uuid4())
    for path, word in MATCHES:
        ids = {f"{word}_ids": [one]}
        for body, field in (
            ({**ids, "entity_refs": [], "limit": 1}, "limit"),
            ({**ids, "entity_refs": [{**ref(one), "extra": 1}]}, "entity_refs[0].extra"),
            ({**ids, "entity_refs": [{"entity_id": one}]}, "entity_refs[0].entity_schema"),
            (ids, "entity_refs"),
        ):
            answer = world.client.post(path, json=body)
            assert only(answer, 400, "message")["message"].startswith(f"{field}: ")


def test_queries_are_lucene_of_the_same_tree(world):
    target = world.target(
        entity_filters={
            "filter": {
                "items": [
                    {"key": "status", "operator": "EQUALS", "value": "active"},
                    {"key": "email", "operator": "EMPTY"},
                ],
                "combination": "OR",
            }
        }
    )
    answer = world.client.post("/v1/target/queries", json={"target_ids": [str(target)]})
    query = '_schema:"contact" AND (status:"active" OR NOT _exists_:email)'
    assert only(answer, 200, "results")["results"] == [{"target_id": str(target), "query": query}]


def test_a_target_that_fails_is_null_with_an_error_and_hinders_no_other(world):
    """docs/contract/targeting.md "Filters", targeting.md: query is nullable; a failed target is no failed request."""
    good, bad, unknown = world.target(), world.target(), uuid4()
    with world.api.database.begin() as session:
        session.get_one(Target, bad).entity_filters = {
            "filter": {"items": [{"key": "a", "operator": "LIKE"}]}
        }
    body = {"target_ids": [str(one) for one in (bad, unknown, good)]}
    found = world.client.post("/v1/target/queries", json=body).json()["results"]
    assert [one["target_id"] for one in found] == body["target_ids"]
    assert [one["query"] for one in found] == [None, None, '_schema:"contact" AND _exists_:email']
    assert "operator" in found[0]["error"]
    assert "does not exist" in found[1]["error"]
    assert "error" not in found[2]
    entity = world.entity(email="a@b.example")
    body = {"entity_refs": [ref(entity)], "target_ids": [str(bad), str(good)]}
    assert world.client.post("/v1/target:match", json=body).json()["hits"] == 1


def test_a_viewer_may_ask(world):
    """What only reads needs no more than a reader's key, although it is posted."""
    with world.api.client("viewer") as viewer:
        body = {"target_ids": [str(uuid4())]}
        assert viewer.post("/v1/target/queries", json=body).status_code == 200
        assert viewer.post("/v1/target:match", json={**body, "entity_refs": []}).status_code == 200


def test_a_hundred_targets_and_a_thousand_references_are_one_pass(database, org_id):
    """The number of statements hangs neither on the targets nor on the references."""
    now = database.clock.now()
    times = {"org_id": org_id, "created_at": now, "updated_at": now}
    entities = [uuid4() for _ in range(1000)]
    targets = [uuid4() for _ in range(100)]
    with database.begin() as session:
        session.execute(
            insert(Entity),
            [
                {"id": key, "schema": "contact", "title": "", "attributes": {"n": number % 250}, **times}
                for number, key in enumerate(entities)
            ],
        )
        session.execute(
            insert(Target),
            [
                {
                    "id": key,
                    "name": "t",
                    "entity_schema": "contact",
                    "entity_filters": equals("n", str(number * 5)),
                    "extras": {},
                    **times,
                }
                for number, key in enumerate(targets)
            ],
        )
    refs = [EntityRef(key, "contact") for key in entities]
    with database.read() as session, statements(database) as sent:
        found = match_targets(session, org_id, refs, targets)
    assert [one.id for one in found] == targets[:50]
    assert len([one for one in sent if one.lstrip().startswith(("SELECT", "WITH"))]) == 2
    with database.read() as session, statements(database) as fewer:
        match_targets(session, org_id, refs[:1], targets[:1])
    assert len(fewer) == len(sent)


def test_filters_with_very_many_values_are_spread_over_statements(database, org_id):
    now = database.clock.now()
    times = {"org_id": org_id, "created_at": now, "updated_at": now}
    with database.begin() as session:
        entity = Entity(schema="contact", title="", attributes={"n": "v1999"}, **times)
        session.add(entity)
        items = [{"key": "n", "operator": "IS_ONE_OF", "value": [f"v{i}" for i in range(2000)]}]
        targets = [
            Target(
                name="t",
                entity_schema="contact",
                entity_filters={"filter": {"items": items, "combination": "AND"}},
                **times,
            )
            for _ in range(7)
        ]
        session.add_all(targets)
        session.flush()
        ids = [target.id for target in targets]
        found = match_targets(session, org_id, [EntityRef(entity.id, "contact")], ids)
    assert [one.id for one in found] == ids


def test_a_campaign_whose_target_is_gone_matches_nobody(world):
    entity, target = world.entity(email="a@b.example"), world.target()
    made = world.client.post("/v1/campaign", json={"name": "c", "target_ids": [str(target)]}).json()["_id"]
    assert world.client.delete(f"/v1/target/{target}").status_code == 204
    with world.api.database.read() as session:
        assert session.get_one(Campaign, UUID(made)).target_ids == [str(target)]
    body = {"entity_refs": [ref(entity)], "campaign_ids": [made]}
    assert world.client.post("/v1/campaign:match", json=body).json()["hits"] == 0


def test_strangers_keys_see_nothing_of_ours(world, stranger):
    entity, campaign = world.entity(email="a@b.example"), world.campaign()
    body = {"entity_refs": [ref(entity)], "campaign_ids": [str(campaign)]}
    assert world.client.post("/v1/campaign:match", json=body).json()["hits"] == 1
    assert stranger.post("/v1/campaign:match", json=body).json()["hits"] == 0
    with world.api.database.begin() as session:
        key = create_key(session, world.api.org_id, "second", "viewer")[1]
    with world.api.client(key=key) as second:
        assert second.post("/v1/campaign:match", json=body).json()["hits"] == 1
