"""What an import does not name stays: columns that a file lacks, names that a line lacks; what is empty empties."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import event, select

from engine.audience.attributes import MAX_BYTES
from engine.audience.importing import import_entities
from engine.audience.store import Mode, Row, store
from state.tables import Entity

CSV = "text/csv"
NDJSON = "application/x-ndjson"
FULL = "id,name,email,phone,consent,timezone\n1,Ada,ada@x.example,+4915112345678,yes,Europe/Oslo\n"
ADA = {
    "id": "1",
    "name": "Ada",
    "email": "ada@x.example",
    "phone": "+4915112345678",
    "consent": "yes",
    "timezone": "Europe/Oslo",
}


def load(database, org_id, text, content_type=CSV, **options):
    done = import_entities(
        database.begin,
        org_id,
        "contact",
        [text.encode()],
        content_type=content_type,
        **{"external_id": "id", **options},
    )
    return done.created, done.updated, done.skipped, done.rejected


def lines(*objects):
    return "\n".join(map(json.dumps, objects))


def stored(database, org_id):
    with database.read() as session:
        rows = session.scalars(select(Entity).where(Entity.org_id == org_id))
        return {row.external_id: (row.title, row.attributes) for row in rows}


def test_a_column_that_is_absent_changes_nothing(database, org_id):
    load(database, org_id, FULL, title="{name}")
    assert (1, 1, 0, 0) == load(database, org_id, "id,points\n1,120\n2,80\n")
    assert ("Ada", {**ADA, "points": "120"}) == stored(database, org_id)["1"]
    assert ("", {"id": "2", "points": "80"}) == stored(database, org_id)["2"]
    assert (0, 0, 2, 0) == load(database, org_id, "points,id\n120,1\n80,2\n")


def test_an_empty_cell_empties(database, org_id):
    load(database, org_id, FULL, title="{name}")
    assert (0, 1, 0, 0) == load(database, org_id, "id,email,phone\n1,,\n")
    assert ("Ada", {**ADA, "email": "", "phone": ""}) == stored(database, org_id)["1"]


def test_a_name_that_a_line_lacks_changes_nothing_and_null_empties(database, org_id):
    load(database, org_id, FULL, title="{name}")
    change = {"id": "1", "points": 1.5, "email": None, "tags": ["a"], "address": {"city": "Oslo"}}
    assert (0, 1, 0, 0) == load(database, org_id, lines(change), NDJSON)
    assert ("Ada", {**ADA, **change}) == stored(database, org_id)["1"]
    assert (0, 0, 1, 0) == load(database, org_id, lines({"id": "1", "email": None}), NDJSON)
    load(database, org_id, lines({"id": "1", "address": {"zip": "1"}, "tags": []}), NDJSON)
    found = stored(database, org_id)["1"][1]
    assert ({"zip": "1"}, []) == (found["address"], found["tags"])


def test_replace_forgets_what_the_file_does_not_name(database, org_id):
    load(database, org_id, FULL, title="{name}")
    assert (0, 1, 0, 0) == load(database, org_id, "id,points\n1,120\n", mode=Mode.REPLACE)
    assert ("Ada", {"id": "1", "points": "120"}) == stored(database, org_id)["1"]
    assert (0, 1, 0, 0) == load(database, org_id, lines({"id": "1", "a": 1}), NDJSON, mode=Mode.REPLACE)
    assert {"id": "1", "a": 1} == stored(database, org_id)["1"][1]


@pytest.mark.parametrize(("mode", "kept"), [(Mode.MERGE, {"a": 1, "b": 2, "c": 5}), (Mode.REPLACE, {"c": 5})])
def test_of_one_id_twice_in_a_file_the_later_line_is_merged_over_the_earlier(database, org_id, mode, kept):
    text = lines(
        {"id": "1", "a": 1, "title": "Ada"}, {"id": "2"}, {"id": "1", "b": 2, "c": 3}, {"id": "1", "c": 5}
    )
    assert (2, 0, 2, 0) == load(database, org_id, text, NDJSON, mode=mode)
    assert ("Ada", {"id": "1", **kept}) == stored(database, org_id)["1"]


def test_a_title_is_made_anew_only_of_all_its_names(database, org_id):
    options = {"content_type": NDJSON, "title": "{first} {last}"}
    load(database, org_id, lines({"id": "1", "first": "Ada", "last": "Byron"}), **options)
    change = lines({"id": "1", "last": "Lovelace"}, {"id": "2", "last": "Hopper"})
    assert (1, 1, 0, 0) == load(database, org_id, change, **options)
    titles = {key: title for key, (title, _) in stored(database, org_id).items()}
    assert {"1": "Ada Byron", "2": "Hopper"} == titles
    load(database, org_id, lines({"id": "1", "first": "Ada", "last": "Lovelace"}), **options)
    assert "Ada Lovelace" == stored(database, org_id)["1"][0]


def test_a_title_is_given_to_who_has_none(database, org_id):
    load(database, org_id, "id,last\n1,Hopper\n")
    options = {"content_type": NDJSON, "title": "{first} {last}"}
    assert (0, 1, 0, 0) == load(database, org_id, lines({"id": "1", "last": "Hopper"}), **options)
    assert "Hopper" == stored(database, org_id)["1"][0]


def test_merging_makes_nobody_larger_than_an_entity_may_be(database, org_id):
    half = "x" * (MAX_BYTES // 2)
    load(database, org_id, f"id,a\n1,{half}\n2,b\n")
    assert (0, 1, 0, 1) == load(database, org_id, f"id,b\n1,{half}\n2,{half}\n")
    assert {"id": "1", "a": half} == stored(database, org_id)["1"][1]
    assert half == stored(database, org_id)["2"][1]["b"]
    twice = lines({"id": "3", "a": half}, {"id": "3", "b": half}, {"id": "3", "c": 1})
    assert (1, 0, 1, 1) == load(database, org_id, twice, NDJSON)
    assert {"id": "3", "a": half, "c": 1} == stored(database, org_id)["3"][1]


def test_what_is_merged_is_one_form_in_both_databases(database, org_id):
    """Numbers, escapes and nulls of odd kinds, merged and then imported again: nothing differs."""
    odd = {
        "n": 1e300,
        "s": 5e-324,
        "i": -(2**63),
        "u": '\u0001é\u2028\\"',
        "z": None,
        "": 0,
        "o": {"b": 1, "a": []},
    }
    load(database, org_id, lines({"id": "1", "n": 1, "x": True}), NDJSON)
    assert (0, 1, 0, 0) == load(database, org_id, lines({"id": "1", **odd}), NDJSON)
    assert (0, 0, 1, 0) == load(database, org_id, lines({"id": "1", **odd}), NDJSON)
    assert {"id": "1", "x": True, **odd} == stored(database, org_id)["1"][1]


def test_a_batch_of_many_takes_a_handful_of_statements(database, org_id):
    rows = [Row(str(n), "", f'{{"a":{n}}}') for n in range(200)]
    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    for attributes in ('{"a":1}', '{"b":2}'):
        with database.begin() as session:
            store(session, org_id, "contact", [row._replace(attributes=attributes) for row in rows])
    assert len(seen) < 20
    assert {"a": 1, "b": 2} == stored(database, org_id)["7"][1]


def test_organizations_and_schemas_are_merged_apart(database, org_id):
    load(database, org_id, FULL)
    with database.begin() as session:
        store(session, org_id, "order", [Row("1", "", '{"a":1}')])
    with database.read() as session:
        found = session.execute(select(Entity.schema, Entity.attributes).where(Entity.org_id == org_id))
        assert {"contact": ADA, "order": {"a": 1}} == {row.schema: row.attributes for row in found}
