"""Targets are kept only with filters that can be used, and their audience is walked by id without gaps or repeats."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from engine.filters.filters import FilterError
from engine.filters.targets import (
    TargetChange,
    TargetInput,
    audience_page,
    count,
    create_target,
    delete_target,
    get_target,
    list_targets,
    matching_ids,
    update_target,
)
from engine.kernel.inputs import Invalid, read
from state.errors import NotFound
from state.tables import Entity, Organization

RETIRED = {
    "filter": {"items": [{"key": "job", "operator": "EQUALS", "value": "retired"}], "combination": "AND"}
}


@pytest.fixture
def people(database, org_id, clock):
    """Forty entities, every second of them retired, and some of other schemas and organizations; ids by job."""
    rows: dict[str, set[UUID]] = {"retired": set(), "student": set()}
    with database.begin() as session:
        stranger = Organization(name="stranger", created_at=clock.now())
        session.add(stranger)
        session.flush()
        for number in range(40):
            job = ("retired", "student")[number % 2]
            rows[job].add(_add(session, org_id, "contact", job, clock))
        _add(session, org_id, "contract", "retired", clock)
        _add(session, stranger.id, "contact", "retired", clock)
    return SimpleNamespace(**rows)


def _add(session, org_id, schema, job, clock):
    entity = Entity(
        id=uuid4(), org_id=org_id, schema=schema, title=job, attributes={"job": job},
        created_at=clock.now(), updated_at=clock.now(),
    )  # fmt: skip
    session.add(entity)
    return entity.id


def make(session, org_id, **fields):
    fields = {"name": "Retired", "entity_schema": "contact", "entity_filters": RETIRED, **fields}
    return create_target(session, org_id, read(TargetInput, fields))


@pytest.mark.parametrize("limit", [1, 7, 20, 100])
def test_pages_cover_the_audience_once_and_in_order(database, org_id, people, clock, limit):
    seen, after = [], None
    with database.begin() as session:
        target = make(session, org_id)
        while page := session.execute(
            audience_page(session, org_id, target, after=after, limit=limit, now=clock.now())
        ).all():
            assert len(page) <= limit
            seen += [row.id for row in page]
            assert ("contact", "retired") == (page[0].schema, page[0].title)
            after = page[-1].id
    assert sorted(people.retired, key=lambda id_: id_.bytes) == seen


def test_ids_order_bytewise_in_each_database(database, org_id, clock):
    numbers = (1, 9, 10, 15, 16, 0xA0, 0xFF)
    ids = {UUID(int=number << shift) for number in numbers for shift in (0, 56, 64, 116, 120)}
    rest = {"org_id": org_id, "schema": "contact", "created_at": clock.now(), "updated_at": clock.now()}
    with database.begin() as session:
        session.add_all(Entity(id=id_, attributes={}, **rest) for id_ in ids)
        session.flush()
        found = list(session.scalars(select(Entity.id).order_by(Entity.id)))
        assert sorted(ids, key=lambda id_: id_.bytes) == found
        for number, id_ in enumerate(found):
            later = session.execute(select(func.count()).where(Entity.id > id_)).scalar_one()
            assert len(found) - number - 1 == later


def test_count_and_matching_ids(database, org_id, people, clock):
    with database.begin() as session:
        target = make(session, org_id)
        assert 20 == count(session, org_id, target, clock.now())
        asked = {*list(people.retired)[:3], *list(people.student)[:3], uuid4()}
        assert asked & people.retired == matching_ids(session, org_id, target, asked, clock.now())
        assert set() == matching_ids(session, org_id, target, [], clock.now())
        everybody = make(session, org_id, entity_filters=None)
        assert 0 == count(session, org_id, everybody, clock.now()), "no campaign is for everybody"


def test_a_target_is_kept_changed_and_removed(database, org_id, clock):
    with database.begin() as session:
        target = make(session, org_id, description="Who has time", extras={"_tags": ["a"]})
        assert {"_tags": ["a"]} == get_target(session, org_id, target.id).extras
        clock.forward(minutes=1)
        change = read(TargetChange, {"name": "Gone fishing", "entity_filters": None})
        update_target(session, org_id, target.id, change)
    with database.begin() as session:
        found = get_target(session, org_id, target.id)
        assert ("Gone fishing", "Who has time", "contact", None) == (
            found.name, found.description, found.entity_schema, found.entity_filters,
        )  # fmt: skip
        assert clock.now() == found.updated_at
        delete_target(session, org_id, target.id)
        with pytest.raises(NotFound):
            get_target(session, org_id, target.id)
        with pytest.raises(NotFound):
            delete_target(session, org_id, target.id)


def test_targets_are_listed_by_name_and_page(database, org_id, clock):
    with database.begin() as session:
        for name in ("Älter als 60", "Jünger", "100%"):
            make(session, org_id, name=name)
            clock.forward(seconds=1)
        assert ["100%", "Jünger", "Älter als 60"] == [t.name for t in list_targets(session, org_id).results]
        assert ["Älter als 60"] == [t.name for t in list_targets(session, org_id, q="äLTER").results]
        assert ["100%"] == [t.name for t in list_targets(session, org_id, q="%").results]
        page = list_targets(session, org_id, limit=2)
        assert 3 == page.total
        assert ["Älter als 60"] == [
            t.name for t in list_targets(session, org_id, limit=2, next=page.next).results
        ]
        with pytest.raises(Invalid, match="q: must not contain NUL"):
            list_targets(session, org_id, q="\0")


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (
            {"entity_filters": {"filter": {"items": [{"key": "a", "operator": "LIKE"}]}}},
            FilterError,
            "CONTAINS",
        ),
        ({"entity_schema": "no spaces"}, Invalid, "entity_schema: must begin with a letter"),
        ({"name": ""}, Invalid, "name"),
        ({"nam": "x"}, Invalid, "did you mean 'name'"),
    ],
)
def test_bad_targets_are_refused(database, org_id, fields, error, message):
    with database.begin() as session:
        with pytest.raises(error, match=message):
            make(session, org_id, **fields)
        assert 0 == list_targets(session, org_id).total


def test_no_change_with_bad_filters(database, org_id):
    with database.begin() as session:
        target = make(session, org_id)
        change = read(TargetChange, {"entity_filters": {"filter": {"items": [{"key": "a"}]}}})
        with pytest.raises(FilterError, match="operator"):
            update_target(session, org_id, target.id, change)
        session.expire_all()
        assert RETIRED == get_target(session, org_id, target.id).entity_filters
