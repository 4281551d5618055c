"""Filter trees that cannot be used are refused by name, and nothing half-understood gets through."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.filters.dates import DATE_WORDS, Days, Second, read_date
from engine.filters.filters import Condition, FilterError, Operator, parse_filters
from engine.kernel.inputs import Invalid

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def condition(**fields):
    return {
        "filter": {
            "items": [{"key": "a", "operator": "EQUALS", "value": "x", **fields}],
            "combination": "AND",
        }
    }


@pytest.mark.parametrize("nothing", [None, {}, {"filter": None}, {"filter": {}}, {"filter": {"items": []}}])
def test_a_tree_without_items_is_no_filter(nothing):
    assert parse_filters(nothing) is None


def test_the_twelve_operators_are_known():
    assert len(Operator) == 12
    for operator in Operator:
        assert parse_filters(condition(operator=operator.value)) is not None


def test_literals_may_come_as_json_numbers_and_booleans():
    tree = parse_filters(condition(operator="IS_ONE_OF", value=[1000, 1000.0, 0.1, True, "x", 1e-7]))
    assert tree is not None
    (found,) = tree.items
    assert isinstance(found, Condition)
    assert ("1000", "1000", "0.1", "true", "x", "0.0000001") == found.literals


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"operator": "LIKE"}, ".operator", "operator 'LIKE' is not known; did you mean CONTAINS?"),
        ({"operator": "equals"}, ".operator", "did you mean EQUALS?"),
        ({"operator": "GREATER_THEN"}, ".operator", "did you mean GREATER_THAN?"),
        ({"operator": "BANANA"}, ".operator", "use one of EQUALS, NOT_EQUALS"),
        ({"operator": 7}, ".operator", ""),
        ({"key": ""}, ".key", "at least 1 character"),
        ({"key": "a\0"}, ".key", "NUL"),
        ({"value": "a\0"}, ".value", "NUL"),
        ({"value": "\ud800"}, ".value", "surrogate"),
        ({"value": {"a": 1}}, ".value", "text or a list of texts"),
        ({"value": ["a", "b"]}, "", "EQUALS takes one value; use IS_ONE_OF for several"),
        ({"operator": "NOT_EQUALS", "value": ["a", "b"]}, "", "use IS_NONE_OF"),
        ({"value": None}, "", "EQUALS needs a value"),
        ({"operator": "IS_ONE_OF", "value": []}, "", "IS_ONE_OF needs a value"),
        ({"operator": "IS_ONE_OF", "value": ["x"] * 10_001}, ".value", "at most 10000 values"),
        ({"value": "x" * 5000}, ".value", "at most 4096 characters"),
        ({"operator": "CONTAINS", "value": ""}, "", "must not be empty"),
        ({"operator": "LESS_THAN", "value": ""}, "", "needs a value that is not empty"),
        ({"operator": "LESS_THAN", "data_type": "boolean", "value": "true"}, "", "booleans have no order"),
        ({"data_type": "number", "value": "ten"}, "", "'ten' does not read as a number"),
        (
            {"data_type": "boolean", "value": "perhaps"},
            "",
            "does not read as a boolean; use one of true, t, yes",
        ),
        ({"operator": "GREATER_THAN", "value": True}, ".value", "booleans have no order"),
        ({"data_type": "date", "value": "31-02-2026"}, "", "does not read as a date"),
        ({"data_type": "money"}, ".data_type", "'string', 'number', 'boolean' or 'date'"),
        ({"key": "_created_at", "value": "soon"}, "", "does not read as a date"),
        ({"key": "_created_at", "operator": "CONTAINS"}, "", "is an instant"),
        ({"colour": "red"}, ".colour", "this field is not known"),
        ({"condition": "red"}, ".condition", "this field is not known"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(fields, path, words):
    with pytest.raises(FilterError) as refusal:
        parse_filters(condition(**fields))
    assert f"entity_filters.filter.items[0]{path}" == refusal.value.field
    assert words in refusal.value.message
    assert isinstance(refusal.value, Invalid)


def test_groups_nest_one_level_deep():
    leaf = {"key": "a", "operator": "EMPTY"}
    one = {"items": [leaf], "combination": "OR"}
    assert parse_filters({"filter": {"items": [leaf, one], "combination": "AND"}}) is not None
    with pytest.raises(FilterError, match=r"items\[0\].items: groups nest one level deep only"):
        parse_filters({"filter": {"items": [{"items": [one], "combination": "AND"}], "combination": "AND"}})


@pytest.mark.parametrize("bad", ["text", 7, [], {"filters": {}}, {"filter": {"items": [7]}}, {"filter": 7}])
def test_other_shapes_are_refused(bad):
    with pytest.raises(FilterError, match="entity_filters"):
        parse_filters(bad)


@pytest.mark.parametrize(
    "value", ["1,234.50", "12,5", "1.234,5", "1 000", "1\u202f000", "1'000", "50 %", "€5", "\u22125"]
)
@pytest.mark.parametrize("operator", ["LESS_THAN", "GREATER_THAN_OR_EQUAL"])
def test_a_number_as_another_country_writes_it_has_no_order(value, operator):
    condition = {"key": "score", "operator": operator, "value": value}
    with pytest.raises(FilterError, match=r"does not read as a number; write it like 1234\.5"):
        parse_filters({"filter": {"items": [condition]}})
    assert parse_filters({"filter": {"items": [{**condition, "data_type": "string"}]}}) is not None
    assert parse_filters({"filter": {"items": [{**condition, "operator": "EQUALS"}]}}) is not None


@pytest.mark.parametrize(
    "value", ["17", "-1.5", "15.01.2026", "2026-01-15", "10.0.0.1", "M", "1e5", "12345678901234567"]
)
def test_other_values_of_an_order_are_no_such_numbers(value):
    condition = {"key": "score", "operator": "LESS_THAN", "value": value}
    assert parse_filters({"filter": {"items": [condition]}}) is not None


@pytest.mark.parametrize(
    "value",
    [
        "03/02/2026", "3/2/26", "2026-3-2", "2026.03.02", "31.02.2026", "2026-02-30", "13-14-2026", "3 Feb 2026",
        "3. Februar 2026", "Feb 3, 2026", "February 3rd, 2026", "Tue, 3 Feb 2026 10:00:00 +0000", "03-Feb-26",
        "03/02/2026 10:00 AM", "03.02.26", "today", " Today ", "this week", "LAST-MONTH", "now", "30 days ago",
    ],
)  # fmt: skip
@pytest.mark.parametrize("operator", ["LESS_THAN", "GREATER_THAN_OR_EQUAL"])
def test_a_date_of_another_form_has_no_order(value, operator):
    condition = {"key": "joined", "operator": operator, "value": value}
    with pytest.raises(FilterError, match="does not read as a date; write it like 2026-03-02 or TODAY"):
        parse_filters({"filter": {"items": [condition]}})
    with pytest.raises(FilterError, match="does not read as a date; use 2026-03-02"):
        parse_filters({"filter": {"items": [{**condition, "data_type": "date"}]}})
    assert parse_filters({"filter": {"items": [{**condition, "data_type": "string"}]}}) is not None
    assert parse_filters({"filter": {"items": [{**condition, "operator": "EQUALS"}]}}) is not None


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-02",
        "02.03.2026",
        "2026/3/2",
        "TODAY",
        "LAST_WEEK",
        "1.2.3",
        "2026-02",
        "A/B",
        "March",
        "v1.2.2026",
    ],
)
def test_other_values_of_an_order_are_no_such_dates(value):
    condition = {"key": "joined", "operator": "LESS_THAN", "value": value}
    assert parse_filters({"filter": {"items": [condition]}}) is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
shapes = st.fixed_dictionaries(
    {},
    optional={
        "key": json_values, "operator": st.sampled_from(list(Operator)) | json_values, "value": json_values,
        "data_type": json_values, "items": json_values, "combination": json_values,
    },
)  # fmt: skip


@given(st.one_of(json_values, shapes.map(lambda item: {"filter": {"items": [item]}})))
def test_whatever_comes_is_parsed_or_refused(filters):
    with suppress(FilterError):
        tree = parse_filters(filters)
        assert tree is None or tree.items


@pytest.mark.parametrize(
    ("word", "first", "last"),
    [
        ("TODAY", (2026, 3, 2), (2026, 3, 2)),
        ("YESTERDAY", (2026, 3, 1), (2026, 3, 1)),
        ("TOMORROW", (2026, 3, 3), (2026, 3, 3)),
        ("THIS_WEEK", (2026, 3, 2), (2026, 3, 8)),
        ("LAST_WEEK", (2026, 2, 23), (2026, 3, 1)),
        ("NEXT_WEEK", (2026, 3, 9), (2026, 3, 15)),
        ("THIS_MONTH", (2026, 3, 1), (2026, 3, 31)),
        ("LAST_MONTH", (2026, 2, 1), (2026, 2, 28)),
        ("NEXT_MONTH", (2026, 4, 1), (2026, 4, 30)),
        ("THIS_YEAR", (2026, 1, 1), (2026, 12, 31)),
        ("LAST_YEAR", (2025, 1, 1), (2025, 12, 31)),
        ("NEXT_YEAR", (2027, 1, 1), (2027, 12, 31)),
    ],
)
def test_date_words(word, first, last):
    assert Days(date(*first), date(*last)) == read_date(word, NOW)
    assert word in DATE_WORDS


def test_no_date_word_is_left_out():
    assert 12 == len(DATE_WORDS)


def test_instants_are_read_in_their_zone():
    assert Second(datetime(2026, 3, 2, 7, 30, 15, tzinfo=UTC)) == read_date(
        "2026-03-02T09:30:15.9+02:00", NOW
    )
    assert Second(datetime(2026, 3, 2, 9, 30, tzinfo=UTC)) == read_date("2026-03-02 09:30", NOW)
    assert read_date("2026-03-02T25:00", NOW) is None


def test_the_last_day_there_is_has_an_end():
    found = read_date("9999-12-31", NOW)
    assert found is not None
    assert found.instants()[1].year == 9999
