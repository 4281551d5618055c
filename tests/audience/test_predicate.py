"""The same filter selects the same entities on PostgreSQL, on SQLite and by the rules in plain Python."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from engine.audience.attributes import read_entity
from engine.filters.filters import FilterError, parse_filters
from engine.filters.predicate import predicate
from state.tables import Entity
from tests.audience.reference import ABSENT, WORDS, matches

NOW = datetime(2026, 3, 31, 9, 0, tzinfo=UTC)
KEYS = ["a", "b", "a.b", "straße", "a b", 'in"ch', "x\\y", "l.c"]

DAYS = [
    "2026-03-31", "31-03-2026", "31.03.2026", "2026-02-28", "31-02-2026", "2025-12-31", "01.01.2026", "2026-13-01",
     "2026-03-30T23:30:00-01:00", "2026-03-31T00:30:00Z", "2026-03-31 00:30", "2026-03-31T00:30:00.999+00:00",
     "2026-03-31T24:00:00Z", "2026-03-31T00:30:00 Z", "31.03-2026", "2026-3-31", "2026-03-31T00:30:59.9999",
     "2026-02-31T00:00:00+14:00", "2026-03-31T00:30.5", "2026-03-31T", "2026-03-31T00:30:0", "2026-03-31T00:30:00z",
     "2026-03-31 12:00:00+00", "2026-03-30T23:30:00.000-0130", "2026-03-31 00:30:00 UTC", "2026-03-31t00:30:00z",
     "9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59Z", "9999-12-31", "0001-01-01", "2026-03-30 22:30:00 -0200 UTC",
     "31.03.2026 9:00", "1.4.2026", "2026/3/31", "2026/03/30 23:59", " 2026-03-31\u00a0", "\u200b2026-03-31",
     "2026-03-31 00:30:00 gmt",
     "2026-03-31 25:00", "2026-03-31 00:30+15", "2026-03-31 00:30:00,5+0530", "1/4/2026", "2026.03.31"]  # fmt: skip
NUMERALS = [
    "1000", "1000.0", "1000.00", "-1", "0", "-0", "007", "7", "0.1", "0.10", "1e3", "+7", "1.", ".5", "1,000",
         "123456789012345", "1234567890123456", "12345678901234567890", "9007199254740993", "--1", "1-2", "1.2.3",
         "1000 ", "-", "", "9223372036854775808", "٣", "\u00a07\t", "\u202a7\u202c", "\u200b1000", "7\u3000",
     "1,5", "1'000",
     "1.234,50", "NaN", "inf", "1.0", "0.0"]  # fmt: skip
days = st.sampled_from(DAYS)
numerals = st.one_of(
    st.sampled_from(NUMERALS),
    st.integers(-1100, 1100).map(str),
    st.decimals(-100, 100, places=2).map(str),
)
WORDS_IN_TEXTS = [
    "true", "false", "True", "retired", "Retired", "MÜLLER", "müller", "Straße", "ÉTÉ", "été", "a'b", '"', "%", "_",
     "{}", "[]", "null", "日本", "😀", "\x7f", "\n", "\\", "'; DROP TABLE entity; --", "TODAY", "LAST_MONTH", "TRUE",
     "FALSE", " Yes ", "no", "y", "N", "t", "F", "on", "OFF", "maybe", "ja", " ", "Σπύρος", "ΣΠΎΡΟΣ", "σπύρος",
     "STRASSE", "İstanbul", "istanbul", "ıstanbul", "e\u0301te\u0301", "ΐ", "Ϊ\u0301", "ſ", "ß", "ﬁ", "K", "ŉ",
     "j\u030c", "ǰ"]  # fmt: skip
words = st.sampled_from(WORDS_IN_TEXTS)
NUMBERS = [7, 1000, 0.1, 1000.5, 0.30000000000000004, 9007199254740993, 2**63 - 1, -(2**63), 2.5, 0, 1, 1e22, -1e22,
           5e-324, 0.0001, 0.00001, 1.7976931348623157e308, -0.00009]  # fmt: skip
texts = st.one_of(words, numerals, days, st.text("aBé1.-\U0001f600 ", max_size=4))
numbers = st.one_of(
    st.integers(-1100, 1100),
    st.sampled_from(NUMBERS),
    st.floats(0.001, 1e6).filter(lambda value: not value.is_integer()),
)
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
nested = st.dictionaries(st.sampled_from(["b", "c", "straße", "x"]), scalars, max_size=3)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    nested,
    st.lists(st.one_of(nested, scalars, st.lists(scalars, max_size=2)), max_size=3),
    st.dictionaries(st.sampled_from(["b", "c"]), st.lists(scalars, max_size=2), max_size=2),
)
attributes = st.dictionaries(st.sampled_from([*KEYS, "l"]), values, max_size=5)

ORDERING = ["GREATER_THAN", "LESS_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN_OR_EQUAL"]
SINGLE = ["EQUALS", "NOT_EQUALS", "CONTAINS", "NOT_CONTAINS", *ORDERING]


@st.composite
def conditions(draw):
    key = draw(st.sampled_from([*KEYS, "title", "external_id", "_title"]))
    operator = draw(st.sampled_from([*SINGLE, *SINGLE, "IS_ONE_OF", "IS_NONE_OF", "EMPTY", "NOT_EMPTY"]))
    item = {"key": key, "operator": operator}
    data_type = draw(st.sampled_from([None, None, None, "string", "number", "date", "boolean"]))
    literals = {
        "number": numerals,
        "date": st.one_of(days, st.sampled_from(WORDS)),
        "boolean": st.sampled_from(["true", "false", "TRUE", "no", " Yes", "0", "1.0", "off"]),
    }.get(data_type, st.one_of(texts, st.sampled_from(WORDS)))
    if operator in ("IS_ONE_OF", "IS_NONE_OF"):
        item["value"] = draw(st.lists(literals, min_size=1, max_size=6))
    elif operator not in ("EMPTY", "NOT_EMPTY"):
        item["value"] = draw(literals)
    if data_type:
        item["data_type"] = data_type
    return item


@st.composite
def trees(draw):
    items = draw(st.lists(conditions(), min_size=1, max_size=3))
    if draw(st.booleans()):
        inner = draw(st.lists(conditions(), min_size=1, max_size=2))
        items.append({"items": inner, "combination": draw(st.sampled_from(["AND", "OR"]))})
    return {"items": items, "combination": draw(st.sampled_from(["AND", "OR"]))}


def save(database, org_id, rows):
    """Insert entities with these attributes and titles; their ids in order."""
    entries = [
        {
            "id": uuid4(), "org_id": org_id, "schema": "contact", "external_id": external_id, "title": title,
            "attributes": found, "created_at": NOW, "updated_at": NOW,
        }
        for found, title, external_id in rows
    ]  # fmt: skip
    with database.begin() as session:
        session.execute(insert(Entity), entries)
    return [entry["id"] for entry in entries]


def selected(database, org_id, tree, now=NOW):
    with database.read() as session:
        parsed = parse_filters({"filter": tree})
        assert parsed is not None
        condition = predicate(session, parsed, now)
        return set(session.scalars(select(Entity.id).where(Entity.org_id == org_id, condition)))


@given(
    st.lists(
        st.tuples(attributes, texts, st.one_of(st.none(), st.uuids().map(str))),
        min_size=1,
        max_size=12,
        unique_by=lambda row: row[2] or object(),
    ),
    st.lists(trees(), min_size=1, max_size=6),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_each_database_selects_what_the_rules_say(database, org_id, rows, candidates):
    """Run over both databases, so each is held to the same reference."""
    with database.begin() as session:
        session.execute(delete(Entity))
    ids = save(database, org_id, rows)
    for tree in candidates:
        try:
            parse_filters({"filter": tree})
        except FilterError as error:
            event(error.message.split("'")[0])
            continue
        wanted = set()
        for id_, (found, title, external_id) in zip(ids, rows, strict=True):
            own = {"title": title, "_title": title, "external_id": external_id}
            if matches(tree, {"attributes": found, "own": own}, NOW):
                wanted.add(id_)
        assert wanted == selected(database, org_id, tree), tree


def one(key, operator, value=None, data_type=None):
    return {
        "items": [{"key": key, "operator": operator, "value": value, "data_type": data_type}],
        "combination": "AND",
    }


def who(database, org_id, values, *condition, now=NOW):
    """Which of the values of the attribute `a` a condition on it lets through."""
    ids = save(database, org_id, [({} if value is ABSENT else {"a": value}, "", None) for value in values])
    found = selected(database, org_id, one("a", *condition), now)
    return [value for id_, value in zip(ids, values, strict=True) if id_ in found]


@pytest.mark.parametrize(
    ("values", "condition", "found"),
    [
        ([1000, "1000", 1000.5, "1000.0", True], ("EQUALS", "1000"), [1000, "1000"]),
        ([True, "true", "True", 1, False, "ja", ["no", "Y"]], ("EQUALS", "true"),
         [True, "true", "True", 1, ["no", "Y"]]),
        ([True, "TRUE", "no", 0, "", None, "maybe", "f"], ("IS_ONE_OF", ["False", "x"]), ["no", 0, "f"]),
        ([True, "true", "True"], ("EQUALS", "true", "string"), [True, "true"]),
        (["YES", " t ", 1, 1.5, "1.0", "on", False, "0", "", ABSENT, "unsubscribed"], ("EQUALS", "yes", "boolean"),
         ["YES", " t ", 1, 1.5, "1.0", "on"]),
        (["Off", "n", 0, "0.0", False, "", None, "NULL", True], ("EQUALS", "0", "boolean"),
         ["Off", "n", 0, "0.0", False]),
        ([["a", "b"], [], ["no"], [None], {"a": 0}, ["x", "yes"]], ("EQUALS", "true"),
         [["a", "b"], [None], {"a": 0}, ["x", "yes"]]),
        ([["a"], [], ["no", "x"], {}], ("EQUALS", "false"), [["no", "x"]]),
        (["no", "yes", "maybe", ABSENT], ("NOT_EQUALS", "true"), ["no", "maybe", ABSENT]),
        ([1e22, 5e-324, 0.5, 1.5e300], ("CONTAINS", "e"), []),
        (["Σπύρος", "ΣΠΎΡΟΣ", "σπύρος", "Σπυρος"], ("CONTAINS", "Σπύρος"), ["Σπύρος", "ΣΠΎΡΟΣ", "σπύρος"]),
        (["Straße", "STRASSE", "STRAẞE", "Strase"], ("CONTAINS", "straße"), ["Straße", "STRASSE", "STRAẞE"]),
        (["\u00c9te\u0301", "e\u0301t\u00e9", "ete"], ("CONTAINS", "\u00e9t\u00e9"),
         ["\u00c9te\u0301", "e\u0301t\u00e9"]),
        (["İstanbul", "ISTANBUL", "ıstanbul"], ("CONTAINS", "istanbul"), ["İstanbul", "ISTANBUL"]),
        (["9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59Z"], ("GREATER_THAN", "TODAY"),
         ["9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59Z"]),
        (["2026-03-31 12:00:00+00", "2026-03-31T12:00:00.000+0000", "2026-03-31 12:00:00 UTC", "2026-03-31t12:00:00z"],
         ("GREATER_THAN_OR_EQUAL", "2026-03-31T14:00+0200"),
         ["2026-03-31 12:00:00+00", "2026-03-31T12:00:00.000+0000", "2026-03-31 12:00:00 UTC", "2026-03-31t12:00:00z"]),
        ([2**63 - 1, str(2**63 - 1), 2**63 - 2], ("EQUALS", str(2**63 - 1)), [2**63 - 1, str(2**63 - 1)]),
        ([-(2**63), 1 - 2**63], ("IS_ONE_OF", [str(-(2**63)), "x"]), [-(2**63)]),
        (["retired", "Retired", ABSENT], ("EQUALS", "retired"), ["retired"]),
        (["a", "b", None, ABSENT, ["a", "c"]], ("NOT_EQUALS", "a"), ["b", None, ABSENT]),
        (["a", ABSENT, ["b"]], ("IS_NONE_OF", ["a", "b"]), [ABSENT]),
        (["A.b", "c", 1.5, ["xa.B"], ABSENT, {"a": "a.b"}], ("CONTAINS", "a.B"), ["A.b", ["xa.B"]]),
        (["MÜLLER", "muller", "müllers"], ("CONTAINS", "Müller"), ["MÜLLER", "müllers"]),
        (["100%", "100x"], ("CONTAINS", "0%"), ["100%"]),
        (["a", ABSENT], ("NOT_CONTAINS", "a"), [ABSENT]),
        ([ABSENT, None, "", [], 0, False, " ", {}, [""]], ("EMPTY",), [ABSENT, None, "", []]),
        ([ABSENT, None, "", [], 0, False, " ", {}], ("NOT_EMPTY",), [0, False, " ", {}]),
        (["9", "10", 11, "abc", ABSENT, [99]], ("GREATER_THAN", "9.5"), ["10", 11]),
        (["17", " 17 ", "", " ", None, ABSENT, "1,234.50", True, "x", 17], ("LESS_THAN", "18"), ["17", " 17 ", 17]),
        (["17", "", None, "1,5"], ("LESS_THAN_OR_EQUAL", " 18 ", "number"), ["17"]),
        (["2026-01-05", "", "17", "x", None], ("LESS_THAN", "2026-02-01"), ["2026-01-05"]),
        (["2026-01-05", "", "17", "x", None], ("LESS_THAN", "TODAY"), ["2026-01-05"]),
        (["a", "", "b", None, 5, True], ("LESS_THAN", "b", "string"), ["a", 5]),
        (["a", "", "b", None], ("LESS_THAN_OR_EQUAL", "b"), ["a", "b"]),
        (["9", "10", 11, "abc"], ("GREATER_THAN", "9.5", "number"), ["10", 11]),
        (["9", "10", 11], ("GREATER_THAN", "9.5", "string"), []),
        (["1000.00", 1000, "0.1e4", "x"], ("EQUALS", "1000", "number"), ["1000.00", 1000]),
        ([["5", "x"], [7]], ("EQUALS", "5.0", "number"), [["5", "x"]]),
        (
            ["26-08-2020", "2020-08-27", "01.09.2020", "2020-08-28T01:00:00Z", "27-08-2020"],
            ("GREATER_THAN", "2020-08-27"),
            ["01.09.2020", "2020-08-28T01:00:00Z"],
        ),
        (["02-03-2026", "2026-03-31T23:59:59Z", "2026-04-01", "March"], ("EQUALS", "THIS_MONTH"),
         ["02-03-2026", "2026-03-31T23:59:59Z"]),
        (["28.02.2026", "2026-01-31", "01-03-2026"], ("GREATER_THAN", "LAST_MONTH"), ["01-03-2026"]),
        (["28.02.2026", "2026-01-31", "01-03-2026"], ("LESS_THAN", "LAST_MONTH"), ["2026-01-31"]),
        (["28.02.2026", "x"], ("NOT_EQUALS", "LAST_MONTH"), ["x"]),
        (["TODAY", "2026-03-31"], ("EQUALS", "TODAY", "string"), ["TODAY"]),
        (["2026-03-31T10:00:00+02:00", "2026-03-31 08:00:01"], ("LESS_THAN_OR_EQUAL", "2026-03-31T08:00:00Z"),
         ["2026-03-31T10:00:00+02:00"]),
        (["2021-02-31", "2021-03-01"], ("LESS_THAN", "2021-03-01"), ["2021-02-31"]),
    ],
)  # fmt: skip
def test_the_rules_by_example(database, org_id, values, condition, found):
    assert found == who(database, org_id, values, *condition)


def test_keys_lead_into_nested_attributes_and_lists_of_them(database, org_id):
    rows = [
        {"address": {"city": "Graz"}},
        {"address": [{"city": "Wien"}, {"city": "Graz"}]},
        {"address.city": "Graz"},
        {"address": "Graz"},
        {"address": {"city": "Wien"}, "address.city": "Linz"},
    ]
    ids = save(database, org_id, [(row, "", None) for row in rows])
    assert set(ids[:3]) == selected(database, org_id, one("address.city", "EQUALS", "Graz"))
    assert {ids[3]} == selected(database, org_id, one("address.city", "EMPTY"))
    assert {ids[1]} == selected(database, org_id, one("address.city", "CONTAINS", "WIEN"))


def test_own_fields(database, org_id, clock):
    first, second = save(database, org_id, [({}, "Ada Lovelace", "c-1"), ({}, "", None)])
    assert {first} == selected(database, org_id, one("_id", "EQUALS", str(first).upper()))
    assert {second} == selected(database, org_id, one("_id", "IS_NONE_OF", [str(first), "nobody"]))
    assert {first} == selected(database, org_id, one("_id", "CONTAINS", str(first)[5:20]))
    assert set() == selected(database, org_id, one("_id", "EMPTY"))
    assert {first} == selected(database, org_id, one("title", "CONTAINS", "lovelace"))
    assert {second} == selected(database, org_id, one("_title", "EMPTY"))
    assert {second} == selected(database, org_id, one("external_id", "EMPTY"))
    assert {first, second} == selected(database, org_id, one("_schema", "EQUALS", "contact"))
    assert {first, second} == selected(database, org_id, one("_created_at", "EQUALS", "TODAY"))
    assert {first, second} == selected(
        database, org_id, one("_created_at", "EQUALS", "2026-03-31T11:00:00+02:00")
    )
    assert {first, second} == selected(
        database, org_id, one("_updated_at", "GREATER_THAN_OR_EQUAL", "31.03.2026")
    )
    assert set() == selected(database, org_id, one("_created_at", "GREATER_THAN", "THIS_WEEK"))
    assert {first, second} == selected(database, org_id, one("_created_at", "LESS_THAN", "9999-12-31"))
    assert {first, second} == selected(database, org_id, one("_created_at", "NOT_EMPTY"))


@pytest.mark.parametrize("text", ["'; DROP TABLE entity; --", '"', "%s", ":x", "\\", "$[0]", "a') OR 1=1 --"])
def test_keys_and_values_are_data(database, org_id, text):
    (mine, _) = save(database, org_id, [({text: text, "l": [text]}, text, None), ({"a": 1}, "", None)])
    for operator in ("EQUALS", "CONTAINS", "GREATER_THAN_OR_EQUAL"):
        assert {mine} == selected(database, org_id, one(text, operator, text))
    assert {mine} == selected(database, org_id, one("l", "IS_ONE_OF", [text] * 9))
    assert {mine} == selected(database, org_id, one("title", "EQUALS", text))


def test_ten_thousand_values_are_one_parameter_list(database, org_id):
    (mine, _) = save(database, org_id, [({"a": "9999"}, "", None), ({"a": "x"}, "", None)])
    assert {mine} == selected(database, org_id, one("a", "IS_ONE_OF", [str(n) for n in range(10_000)]))


def odd_filters(random):
    """Filter trees without end, some of which are refused."""
    typed = {
        "number": NUMERALS,
        "date": [*DAYS, *WORDS],
        "boolean": ["true", "false", "TRUE", "no", " Yes", "0", "1.0", "off"],
    }
    operators = [*SINGLE, *SINGLE, "IS_ONE_OF", "IS_NONE_OF", "EMPTY", "NOT_EMPTY"]

    def condition():
        operator = random.choice(operators)
        item = {"key": random.choice(["a", "a", "b.c", "l.c", "title"]), "operator": operator}
        data_type = random.choice([None, None, "string", "number", "date", "boolean"])
        literals = typed.get(data_type, [*DAYS, *NUMERALS, *WORDS_IN_TEXTS, *WORDS])
        if operator in ("IS_ONE_OF", "IS_NONE_OF"):
            item["value"] = random.choices(literals, k=random.randint(1, 5))
        elif operator not in ("EMPTY", "NOT_EMPTY"):
            item["value"] = random.choice(literals)
        return item if data_type is None else {**item, "data_type": data_type}

    while True:
        items = [condition() for _ in range(random.choice([1, 1, 1, 2]))]
        if random.random() < 0.1:
            items.append({"items": [condition(), condition()], "combination": random.choice(["AND", "OR"])})
        yield {"items": items, "combination": random.choice(["AND", "OR"])}


@pytest.mark.parametrize("seed", range(4))
def test_two_thousand_filters_over_odd_values_differ_nowhere(database, org_id, seed):
    """The same people in each database as by the plain rules, over whatever an attribute may hold, in any time zone.
    Five hundred of each seed.
    """
    random = Random(seed)  # noqa: S311 - values, not secrets
    odd: list[Any] = [*DAYS, *NUMERALS, *WORDS_IN_TEXTS, *NUMBERS, True, False, None, [], {}]
    rows = [{"a": value, "b": {"c": value}, "l": [{"c": value}, {"c": random.choice(odd)}]} for value in odd]
    rows += [{"a": random.sample(odd, 3)} for _ in range(20)]
    people = [
        (read_entity(row).attributes, row["a"] if isinstance(row.get("a"), str) else "", None)
        for row in [*rows, {}]
    ]
    ids = save(database, org_id, people)
    zones = [ZoneInfo(name) for name in ("UTC", "America/New_York", "Pacific/Kiritimati", "Europe/Berlin")]
    tried = 0
    with database.read() as session:
        for tree in odd_filters(random):
            try:
                parsed = parse_filters({"filter": tree})
            except FilterError:
                continue
            assert parsed is not None
            now = NOW.astimezone(random.choice(zones))
            found = select(Entity.id).where(Entity.org_id == org_id, predicate(session, parsed, now))
            wanted = {
                id_
                for id_, (row, title, _) in zip(ids, people, strict=True)
                if matches(tree, {"attributes": row, "own": {"title": title}}, now)
            }
            passed = set(session.scalars(found))
            odd_ones = [people[ids.index(id_)] for id_ in wanted ^ passed]
            assert not odd_ones, (tree, now)
            tried += 1
            if tried == 500:
                return
