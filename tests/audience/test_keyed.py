"""People who are known by an attribute: matched in any case, brought up to date, created once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from engine.audience import importing
from engine.audience.importing import import_entities
from engine.audience.store import Mode
from state.tables import Entity


def load(database, org_id, text, content_type="text/csv", **options):
    options = {"key": "email", **options}
    done = import_entities(
        database.begin, org_id, "contact", [text.encode()], content_type=content_type, **options
    )
    return (done.created, done.updated, done.skipped, done.rejected), done


def people(database, org_id):
    with database.read() as session:
        rows = session.scalars(select(Entity).where(Entity.org_id == org_id))
        return sorted(
            (row.attributes["email"], row.external_id, row.title, row.attributes.get("a")) for row in rows
        )


def test_rows_are_matched_by_an_attribute_and_merged(database, org_id):
    load(database, org_id, "email,name,a\nAda@x.example,Ada,1\n", title="{name}")
    text = "email,a\n ada@X.EXAMPLE ,2\nbo@x.example,3\nBO@x.example,4\n"
    assert (1, 1, 1, 0) == load(database, org_id, text)[0]
    assert [(" ada@X.EXAMPLE ", None, "Ada", "2"), ("BO@x.example", None, "", "4")] == people(
        database, org_id
    )
    assert (0, 0, 3, 0) == load(
        database, org_id, "email,a\n ada@X.EXAMPLE ,2\nBO@x.example,4\nBO@x.example,4\n"
    )[0]
    with database.read() as session:
        assert "Ada" == session.scalars(select(Entity).where(Entity.title == "Ada")).one().attributes["name"]


def test_who_has_an_external_id_keeps_it(database, org_id):
    load(database, org_id, "id,email,a\n1,ada@x.example,1\n", key=None, external_id="id")
    assert (0, 1, 0, 0) == load(database, org_id, "email,a\nADA@x.example,2\n")[0]
    assert [("ADA@x.example", "1", "", "2")] == people(database, org_id)
    assert (0, 1, 0, 0) == load(database, org_id, "email,b\nADA@x.example,2\n", mode=Mode.REPLACE)[0]
    assert [("ADA@x.example", "1", "", None)] == people(database, org_id)


def test_a_value_of_several_entities_is_nobodys(database, org_id):
    for key in ("1", "2"):
        load(database, org_id, f"id,email\n{key},ada@x.example\n", key=None, external_id="id")
    counts, done = load(database, org_id, "email,a\nbo@x.example,1\nada@x.example,2\n,3\n")
    assert (1, 0, 0, 2) == counts
    assert {
        3: "email: 2 entities have 'ada@x.example'; it must be that of one",
        4: "email: is absent or empty; it must hold what entities are known by",
    } == {error.line: error.message for error in done.errors}


def test_ndjson_and_other_organizations(database, org_id):
    line = '{"email": "ada@x.example", "a": 1}'
    assert (1, 0, 0, 0) == load(database, org_id, line, "application/x-ndjson")[0]
    assert (0, 0, 1, 0) == load(database, org_id, line, "application/x-ndjson")[0]
    with database.begin() as session:
        session.add(Entity(org_id=org_id, schema="other", attributes={"email": "bo@x.example"},
                           created_at=database.clock.now(), updated_at=database.clock.now()))  # fmt: skip
    assert (1, 0, 0, 0) == load(database, org_id, '{"email": "bo@x.example"}', "application/x-ndjson")[0]


def test_two_imports_at_once_make_nobody_twice(database, org_id, monkeypatch):
    monkeypatch.setattr(importing, "_BATCH_ROWS", 2)
    text = "email,a\n" + "".join(f"p{n}@x.example,1\n" for n in range(60))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: load(database, org_id, text)[0], range(2)))
    assert 60 == sum(created for created, *_ in found) == len(people(database, org_id))


@pytest.mark.parametrize(("options", "warned"), [({"key": None}, True), ({}, False)])
def test_who_will_not_be_known_again_is_told(database, org_id, options, warned):
    _, done = load(database, org_id, "email\na@x.example\n", **options)
    assert warned == any("knows people again" in note.message for note in done.notes)
