"""The largest filters that are allowed can be evaluated by both databases; what is larger is refused when saved."""

from __future__ import annotations

import pytest

from engine.filters.filters import MAX_CONDITIONS, MAX_ITEMS, MAX_TEXTS, FilterError, parse_filters
from engine.filters.targets import TargetInput, count, create_target
from engine.kernel.inputs import read

pytestmark = pytest.mark.slow

#: What costs the databases most.
KINDS = {
    "order of dates": {"operator": "LESS_THAN_OR_EQUAL", "value": "TODAY", "data_type": "date"},
    "truth": {"operator": "EQUALS", "value": "yes", "data_type": "boolean"},
    "part of a text": {"operator": "NOT_CONTAINS", "value": "Σ"},
}


def grouped(conditions, *, outer="AND", inner="OR"):
    groups = [
        {"items": conditions[start : start + MAX_ITEMS], "combination": inner}
        for start in range(0, len(conditions), MAX_ITEMS)
    ]
    return {"filter": {"items": groups, "combination": outer}}


def counted(database, org_id, clock, filters):
    with database.begin() as session:
        given = {"name": "t", "entity_schema": "contact", "entity_filters": filters}
        target = create_target(session, org_id, read(TargetInput, given))
        return count(session, org_id, target, clock.now())


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_conditions_as_are_allowed_are_evaluated(database, org_id, clock, kind):
    conditions = [{"key": f"a{number}", **KINDS[kind]} for number in range(MAX_CONDITIONS)]
    assert counted(database, org_id, clock, grouped(conditions)) == 0


def test_as_many_values_as_are_allowed_are_evaluated(database, org_id, clock):
    values = [str(number) for number in range(MAX_TEXTS // 2)]
    conditions = [{"key": "a", "operator": word, "value": values} for word in ("IS_ONE_OF", "IS_NONE_OF")]
    assert counted(database, org_id, clock, grouped(conditions)) == 0


@pytest.mark.parametrize(
    "filters",
    [
        grouped([{"key": "a", "operator": "EMPTY"}] * (MAX_CONDITIONS + 1)),
        grouped([{"key": "a", "operator": "EQUALS", "value": "1"}] * 100 * 100),
        grouped([{"key": "a", "operator": "IS_ONE_OF", "value": ["b"] * 10_000}] * (MAX_TEXTS // 10_000 + 1)),
    ],
    ids=["conditions", "a hundred groups of a hundred", "values"],
)
def test_more_is_refused_by_its_field(filters):
    with pytest.raises(FilterError, match=r"entity_filters\.filter: .*altogether"):
        parse_filters(filters)
