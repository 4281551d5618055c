"""Entities one by one: upserts meet what is there, patches merge, bad input changes nothing."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from engine.audience.attributes import MAX_BYTES
from engine.audience.entities import (
    delete_entity,
    entity_json,
    get_entity,
    list_entities,
    patch_entity,
    upsert_entity,
)
from engine.kernel.inputs import Invalid
from state.errors import NotFound
from state.tables import Entity, Organization


def upsert(session, org_id, **body):
    return upsert_entity(session, org_id, "contact", body)


def test_what_goes_in_comes_out(database, org_id, clock):
    body = {
        "external_id": "c-1", "title": "Ada", "straße": "Ring 1", "n": 1000.0, "x": 0.1, "b": True, "nil": None,
        "l": [1, {"a": "ü"}], "big": 2**63 - 1, 'q"': "'",
    }  # fmt: skip
    with database.begin() as session:
        entity, created = upsert(session, org_id, **body)
        assert created
    with database.read() as session:
        given = entity_json(get_entity(session, org_id, "contact", entity.id))
    own = {key: given.pop(key) for key in list(given) if key.startswith("_")}
    assert {key: value for key, value in body.items() if key != "title"} == given
    assert isinstance(given["n"], int)
    assert {
        "_id": str(entity.id), "_org": str(org_id), "_schema": "contact", "_title": "Ada",
        "_created_at": clock.now().isoformat(), "_updated_at": clock.now().isoformat(),
    } == own  # fmt: skip


def test_upsert_by_external_id_replaces(database, org_id, clock):
    with database.begin() as session:
        first, _ = upsert(session, org_id, external_id="c-1", title="Ada", a=1)
        clock.forward(minutes=1)
        again, created = upsert(session, org_id, external_id=" c-1 ", b=2)
        assert (first.id, False, {"b": 2}, "") == (again.id, created, again.attributes, again.title)
        assert clock.now() == again.updated_at > again.created_at
        before = clock.now()
        clock.forward(minutes=1)
        same, _ = upsert(session, org_id, external_id="c-1", b=2.0)
        assert before == same.updated_at
        assert 1 == session.execute(select(func.count()).select_from(Entity)).scalar_one()


def test_upsert_by_id(database, org_id):
    mine = uuid4()
    with database.begin() as session:
        entity, created = upsert(session, org_id, _id=str(mine), a=1)
        assert (mine, True) == (entity.id, created)
        entity, created = upsert(session, org_id, _id=str(mine), external_id="c-1", a=2)
        assert (mine, False, "c-1", {"a": 2}) == (entity.id, created, entity.external_id, entity.attributes)


def test_without_a_key_each_is_new(database, org_id):
    with database.begin() as session:
        assert upsert(session, org_id, a=1)[1]
        assert upsert(session, org_id, a=1, external_id="")[1]
        assert 2 == list_entities(session, org_id, "contact").total


def test_what_is_anothers_is_not_taken(database, org_id, clock):
    with database.begin() as session:
        stranger = Organization(name="stranger", created_at=clock.now())
        session.add(stranger)
        session.flush()
        theirs, _ = upsert(session, stranger.id, external_id="c-1", a=1)
        mine, created = upsert(session, org_id, external_id="c-1", a=2)
        assert created
        other, _ = upsert(session, org_id, external_id="c-2")
        for body, field in (
            ({"_id": str(theirs.id)}, "_id"),
            ({"_id": str(mine.id), "external_id": "c-2"}, "external_id"),
            ({"_id": str(uuid4()), "external_id": "c-2"}, "external_id"),
        ):
            with pytest.raises(Invalid) as refusal:
                upsert(session, org_id, **body, a=3)
            assert field == refusal.value.field
        with pytest.raises(Invalid, match=r"_id: .* is of the schema contact"):
            upsert_entity(session, org_id, "order", {"_id": str(mine.id)})
        with pytest.raises(NotFound):
            get_entity(session, org_id, "contact", theirs.id)
        assert {"a": 2} == get_entity(session, org_id, "contact", mine.id).attributes
        assert {} == get_entity(session, org_id, "contact", other.id).attributes


def test_a_patch_merges(database, org_id, clock):
    with database.begin() as session:
        entity, _ = upsert(session, org_id, external_id="c-1", title="Ada", a=1, b={"x": 1})
        echo = entity_json(entity)
        before = clock.now()
        clock.forward(minutes=1)
        assert before == patch_entity(session, org_id, "contact", entity.id, echo).updated_at
        patched = patch_entity(session, org_id, "contact", entity.id, {"b": {"y": 2}, "c": None})
        assert {"a": 1, "b": {"y": 2}, "c": None} == patched.attributes
        assert ("Ada", "c-1", clock.now()) == (patched.title, patched.external_id, patched.updated_at)
        patched = patch_entity(session, org_id, "contact", entity.id, {"title": "Ida", "external_id": None})
        assert ("Ida", None) == (patched.title, patched.external_id)
        upsert(session, org_id, external_id="c-2")
        with pytest.raises(Invalid, match="external_id: 'c-2' is another entity's"):
            patch_entity(session, org_id, "contact", entity.id, {"external_id": "c-2"})
        with pytest.raises(Invalid, match="_id: cannot be changed"):
            patch_entity(session, org_id, "contact", entity.id, {"_id": str(uuid4())})
        with pytest.raises(NotFound):
            patch_entity(session, org_id, "order", entity.id, {})


def test_delete(database, org_id):
    with database.begin() as session:
        entity, _ = upsert(session, org_id)
        with pytest.raises(NotFound):
            delete_entity(session, org_id, "order", entity.id)
        delete_entity(session, org_id, "contact", entity.id)
        with pytest.raises(NotFound):
            delete_entity(session, org_id, "contact", entity.id)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "body: must be an object"),
        ({"a": "x\0"}, "a: must not contain NUL"),
        ({"a": {"b\0": 1}}, "NUL"),
        ({"a": ["\ud800"]}, "surrogate"),
        ({"a": float("nan")}, "finite"),
        ({"a": 2**64}, "a: must fit into 64 bits"),
        ({"a": "x" * MAX_BYTES}, f"at most {MAX_BYTES}"),
        ({"title": 7}, "title: must be a text"),
        ({"title": "x" * 1001}, "title: has 1001 characters"),
        ({"external_id": ["x"]}, "external_id: must be a text or an integer"),
        ({"external_id": True}, "external_id"),
        ({"external_id": "x" * 256}, "external_id: has 256 characters"),
        ({"_id": "7"}, "_id: must be a UUID"),
        ({"_id": 7}, "_id: must be a UUID"),
    ],
)
def test_bad_input_is_refused_by_field(database, org_id, body, message):
    with database.begin() as session:
        with pytest.raises(Invalid, match=message):
            upsert_entity(session, org_id, "contact", body)
        assert 0 == list_entities(session, org_id, "contact").total


@pytest.mark.parametrize("schema", ["", "7up", "a b", "x" * 65, "a:import", "a\n", "ä"])
def test_schemas_have_names(database, org_id, schema):
    with database.begin() as session, pytest.raises(Invalid, match="schema: must begin with a letter"):
        upsert_entity(session, org_id, schema, {})


def test_lists_are_walked_by_cursor(database, org_id):
    with database.begin() as session:
        ids = {upsert(session, org_id, external_id=f"Ä{n}", title=f"T{n % 2}_")[0].id for n in range(11)}
        upsert_entity(session, org_id, "order", {})
        seen, cursor = [], None
        while True:
            page = list_entities(session, org_id, "contact", limit=4, next=cursor)
            assert 11 == page.total
            seen += [entity.id for entity in page.results]
            if (cursor := page.next) is None:
                break
        assert sorted(ids, key=lambda id_: id_.bytes) == seen
        assert 5 == list_entities(session, org_id, "contact", q="t1_").total
        assert 1 == list_entities(session, org_id, "contact", q="ä10").total
        assert 0 == list_entities(session, org_id, "contact", q="%").total


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"next": "???"}, "next"), ({"next": "e30"}, "next"),
     ({"next": "WyJ4Il0"}, "next"), ({"q": "\0"}, "q")],
)  # fmt: skip
def test_bad_list_arguments_are_refused(database, org_id, arguments, field):
    with database.read() as session, pytest.raises(Invalid) as refusal:
        list_entities(session, org_id, "contact", **arguments)
    assert field == refusal.value.field
