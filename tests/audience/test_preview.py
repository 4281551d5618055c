"""A target's preview: how many are in it, and how many values its conditions cannot read."""

from __future__ import annotations

import json

import pytest

from engine.audience.importing import import_entities
from engine.audience.preview import preview_target
from engine.filters.targets import TargetInput, create_target
from engine.kernel.inputs import read

PEOPLE = [
    {
        "id": 1,
        "age": 17,
        "balance": "12.50",
        "joined": "2026-01-15",
        "news": "TRUE",
        "timezone": "Europe/Oslo",
    },
    {"id": 2, "age": "18", "balance": "1,234.50", "joined": "15/01/26", "news": "maybe", "timezone": "Mars"},
    {"id": 3, "age": "", "balance": "12,5", "joined": "soon", "news": "no", "Country": "Atlantis"},
    {"id": 4, "age": "old", "balance": None, "joined": 5, "news": None},
    {"id": 5, "age": [1], "balance": {"eur": 1}, "joined": "2026-01-15T12:00:00+01:00", "news": ["x"]},
    {"id": 6, "age": True},
]


def preview(database, org_id, clock, *conditions, combination="AND"):
    items = [dict(zip(("key", "operator", "value", "data_type"), one, strict=False)) for one in conditions]
    filters = {"filter": {"items": items, "combination": combination}} if items else None
    with database.begin() as session:
        given = read(TargetInput, {"name": "T", "entity_schema": "contact", "entity_filters": filters})
        target = create_target(session, org_id, given)
        found = preview_target(session, org_id, target, clock.now())
    return found.count, [note.message for note in found.notes]


@pytest.fixture
def people(database, org_id):
    text = "\n".join(map(json.dumps, PEOPLE)).encode()
    import_entities(
        database.begin, org_id, "contact", [text], content_type="application/x-ndjson", external_id="id"
    )


@pytest.mark.usefixtures("people")
def test_values_that_are_no_numbers_dates_or_truths_are_counted(database, org_id, clock):
    everybody = ("id", "NOT_EMPTY")
    for condition, said in {
        ("age", "LESS_THAN", "18"): ["age: 3 values are no numbers"],
        ("age", "EQUALS", "18", "number"): ["age: 2 values are no numbers"],
        ("balance", "GREATER_THAN", "1"): ["balance: 3 values are no numbers"],
        ("joined", "LESS_THAN", "2026-02-01"): ["joined: 3 values are no dates"],
        ("joined", "GREATER_THAN", "2026-01-15T09:00:00Z"): ["joined: 3 values are no dates"],
        ("joined", "EQUALS", "TODAY"): ["joined: 3 values are no dates"],
        ("news", "EQUALS", "true"): ["news: 1 value is neither yes nor no"],
        ("news", "IS_ONE_OF", ("yes",), "boolean"): ["news: 1 value is neither yes nor no"],
        ("age", "EQUALS", "18"): [],
        ("age", "CONTAINS", "1"): [],
        ("news", "GREATER_THAN", "m"): [],
        ("absent", "LESS_THAN", "1"): ["absent: no contact has this attribute"],
        ("Balance", "GREATER_THAN", "1"): ["Balance: no contact has this attribute; did you mean 'balance'?"],
        ("joinde", "EMPTY"): ["joinde: no contact has this attribute; did you mean 'joined'?"],
        ("external_id", "LESS_THAN", "3"): [],
        ("_created_at", "LESS_THAN", "TODAY"): [],
    }.items():
        _, notes = preview(database, org_id, clock, condition, everybody, combination="OR")
        assert said == notes[: len(notes) - 1], condition
        assert "2 people have a time zone or country that cannot be read" in notes[-1]


@pytest.mark.usefixtures("people")
def test_the_count_is_the_audiences_and_conditions_are_counted_once_each(database, org_id, clock):
    count, notes = preview(
        database,
        org_id,
        clock,
        ("age", "GREATER_THAN", "1"),
        ("age", "LESS_THAN", "18"),
        ("news", "EQUALS", "true"),
    )
    assert (1, ["age: 3 values are no numbers", "news: 1 value is neither yes nor no"]) == (count, notes)


@pytest.mark.usefixtures("people")
def test_a_target_without_filters_is_for_nobody(database, org_id, clock):
    assert (0, ["has no filters: a campaign for it would be for nobody"]) == preview(database, org_id, clock)
