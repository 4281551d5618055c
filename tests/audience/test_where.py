"""Conditions as people write them mean what they say, all of it, or are refused with the place."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import delete

from engine.filters import where
from engine.filters.filters import (
    MAX_CONDITIONS,
    Condition,
    FilterError,
    Group,
    Subgroup,
    conditions_of,
    parse_filters,
)
from engine.filters.two_levels import Junction, TooManyConditions, as_group
from engine.filters.where_text import write_where
from state.tables import Entity
from tests.audience.reference import matches
from tests.audience.test_predicate import NOW, attributes, conditions, save, selected, texts

if TYPE_CHECKING:
    from uuid import UUID

    from state.database import Database


def is_(key: str, operator: str, value: Any = None, data_type: str | None = None) -> dict[str, Any]:
    given = {"key": key, "operator": operator, "value": value, "data_type": data_type}
    return {name: found for name, found in given.items() if found is not None}


def plain(group: Group) -> dict[str, Any]:
    return group.model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("Country = Norway", is_("Country", "EQUALS", "Norway")),
        ("Country=Norway", is_("Country", "EQUALS", "Norway")),
        ("Country == 'Norway'", is_("Country", "EQUALS", "Norway")),
        ("'First Name' != \"Ada Lovelace\"", is_("First Name", "NOT_EQUALS", "Ada Lovelace")),
        ("`First Name` <> x", is_("First Name", "NOT_EQUALS", "x")),
        ("age >= 18", is_("age", "GREATER_THAN_OR_EQUAL", "18")),
        ("age<=18", is_("age", "LESS_THAN_OR_EQUAL", "18")),
        ("balance > -12.5", is_("balance", "GREATER_THAN", "-12.5")),
        ("since < TODAY", is_("since", "LESS_THAN", "TODAY")),
        ("since < today", is_("since", "LESS_THAN", "TODAY")),
        ("name = 'today'", is_("name", "EQUALS", "today")),
        ("since >= 2026-03-02T09:00:00+01:00", is_("since", "GREATER_THAN_OR_EQUAL", "2026-03-02T09:00:00+01:00")),
        ("since < '2026-03-02 09:00'", is_("since", "LESS_THAN", "2026-03-02 09:00")),
        ("plan > 'b'", is_("plan", "GREATER_THAN", "b")),
        ("plan > b as string", is_("plan", "GREATER_THAN", "b", "string")),
        ("id = '0017' AS number", is_("id", "EQUALS", "0017", "number")),
        ("name NOT  Contains x", is_("name", "NOT_CONTAINS", "x")),
        ("name does not contain x", is_("name", "NOT_CONTAINS", "x")),
        ("city in (Oslo, Bergen)", is_("city", "IS_ONE_OF", ["Oslo", "Bergen"])),
        ("city in(Oslo)", is_("city", "IS_ONE_OF", ["Oslo"])),
        ("city not in ('a, b', c)", is_("city", "IS_NONE_OF", ["a, b", "c"])),
        ("city IS_ONE_OF (Oslo)", is_("city", "IS_ONE_OF", ["Oslo"])),
        ("not city in (Oslo)", is_("city", "IS_NONE_OF", ["Oslo"])),
        ("not (not (city = Oslo))", is_("city", "EQUALS", "Oslo")),
        ("email is empty", is_("email", "EMPTY")),
        ("email IS NOT NULL", is_("email", "NOT_EMPTY")),
        ("not email is empty", is_("email", "NOT_EMPTY")),
        ("\"a = b\" = 'c > d'", is_("a = b", "EQUALS", "c > d")),
        ("url = https://x/?id:7", is_("url", "EQUALS", "https://x/?id:7")),
        ("domain = in", is_("domain", "EQUALS", "in")),
        ("name = ''", is_("name", "EQUALS", "")),
        ("name = 'it''s'", is_("name", "EQUALS", "it's")),
        (r"name = 'it\'s \\ \n'", is_("name", "EQUALS", r"it's \ \n")),
        ('name = "say ""no"""', is_("name", "EQUALS", 'say "no"')),
        ("名前 = 山田", is_("名前", "EQUALS", "山田")),
        ("engagement.clicked >= 2", is_("engagement.clicked", "GREATER_THAN_OR_EQUAL", "2")),
    ],
)  # fmt: skip
def test_a_condition_reads(text: str, item: dict[str, Any]) -> None:
    for written in (text, f"  {text}\n", f"({text})"):
        assert plain(where.group_of(written)) == {"items": [item], "combination": "AND"}


A, B, C, D = (is_(key, "EQUALS", "1") for key in "abcd")


def all_of(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "combination": "AND"}


def any_of(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "combination": "OR"}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a = 1 and b = 1", all_of(A, B)),
        ("a = 1 AND b = 1 Or c = 1", any_of(all_of(A, B), C)),
        ("a = 1 or b = 1 and c = 1", any_of(A, all_of(B, C))),
        ("(a = 1 or b = 1) and c = 1", all_of(any_of(A, B), C)),
        ("a = 1 and (b = 1 and (c = 1 and d = 1))", all_of(A, B, C, D)),
        ("not (a != 1 or b != 1)", all_of(A, B)),
        ("not (a != 1 and b != 1) and c = 1", all_of(any_of(A, B), C)),
        ("not a != 1 and b = 1", all_of(A, B)),
        ("a = 1 and (b = 1 or (c = 1 and d = 1))", all_of(A, any_of(B, C), any_of(B, D))),
        ("a = 1 or (a = 1 and (b = 1 or (c = 1 and d = 1)))", all_of(A)),
        ("age between 18 and 30 and a = 1",
         all_of(is_("age", "GREATER_THAN_OR_EQUAL", "18"), is_("age", "LESS_THAN_OR_EQUAL", "30"), A)),
        ("since between 2026-01-01 and today",
         all_of(is_("since", "GREATER_THAN_OR_EQUAL", "2026-01-01"), is_("since", "LESS_THAN_OR_EQUAL", "TODAY"))),
    ],
)  # fmt: skip
def test_conditions_are_joined_as_they_are_written(text: str, tree: dict[str, Any]) -> None:
    found = plain(where.group_of(text))
    assert found == tree
    parse_filters({"filter": found})


REFUSED = [
    ("", "no condition", 0),
    ("Norway", "comparison is missing", 7),
    ("= Norway", "name of an attribute is missing", 0),
    ("'' = x", "is empty", 0),
    ("in (a)", "no comparison", 3),
    ("country ~ Norway", "no comparison", 8),
    ("country like N", "`contains`", 8),
    ("name starts with A", "`contains`", 5),
    ("country is Norway", "to compare write =", 8),
    ("country = ", "value is missing", 10),
    ("age < 18 , country = Norway", "left over", 9),
    ("age < 18, country = Norway", "left over", 8),
    ("age < 18; country = Norway", "left over", 8),
    ("age < 18 && country = Norway", "write `and`", 9),
    ("age < 18 || country = Norway", "write `or`", 9),
    ("age < 18 country = Norway", "left over", 9),
    ("age < 18 and", "missing", 13),
    ("age < 18 and and country = Norway", "missing", 13),
    ("age < 18 = 3", "left over", 9),
    ("country = United Kingdom", "quotes", 17),
    ("First Name = Ada", "no comparison", 6),
    ("country = Norway)", "closes nothing", 16),
    ("(country = Norway", "not closed", 0),
    ("country = 'Norway", "not closed", 10),
    (r"country = 'Norway\'", "not closed", 10),
    ("country = ‘Norway’", "no quote", 10),
    ("name = O'Brien'", "left over", 8),
    ("city in Oslo", "list in brackets", 8),
    ("city in ()", "value is missing", 9),
    ("city in (Oslo,)", "value is missing", 14),
    ("city in (New York)", "several words", 13),
    ("email is empty yes", "left over", 15),
    ("age < eighteen", "neither as a number nor as a date", 6),
    ("age < 18years", "neither as a number nor as a date", 6),
    ("balance > 1,000", "left over", 11),
    ("since < 2026-13-01", "neither as a number nor as a date", 8),
    ("since < TODAY - 30", "left over", 14),
    ("email = null", "is empty", 8),
    ("country = or", "put it in quotes", 10),
    ("age =< 18", "no comparison", 4),
    ("url = https://x/?a=b", "left over", 18),
    ("not age < 18", "two meanings", 8),
    ("not (a = 1 and age between 3 and 5)", "two meanings", 19),
    ("age not between 3 and 5", "two meanings", 4),
    ("age between 3", "two ends", 14),
    ("age between 3 or 5", "two ends", 14),
    ("a = 1 as integer", "one of string", 9),
    ("a = x as number", "does not read as a number", 4),
    ("a contains ''", "must not be empty", 11),
    ("(" * 60 + "a = 1" + ")" * 60, "more than 50", 50),
]


@pytest.mark.parametrize(("text", "words", "position"), REFUSED, ids=[text[:30] for text, _, _ in REFUSED])
def test_what_is_not_understood_whole_is_refused_with_the_place(text: str, words: str, position: int) -> None:
    with pytest.raises(where.WhereError, match="where: ") as told:
        where.group_of(text)
    message, shown, caret = str(told.value).split("\n")
    assert words in message
    assert shown.startswith(f"  {text}"[:60].rstrip())
    assert (caret.index("^") - 2, caret.strip()) == (position, "^")


def test_the_caret_stands_under_wide_letters_and_lines() -> None:
    with pytest.raises(where.WhereError) as told:
        where.group_of("名前 =\n山田 &\ta = 1")
    _, shown, caret = str(told.value).split("\n")
    assert shown == "  名前 = 山田 & a = 1"
    assert caret == " " * (2 + 4 + 1 + 1 + 1 + 4 + 1) + "^"


def test_of_a_long_text_the_part_around_the_place_is_shown() -> None:
    text = " and ".join(f"a{n} = 1" for n in range(100)) + " & b = 1 and " + " and ".join(["c = 1"] * 100)
    with pytest.raises(where.WhereError) as told:
        where.group_of(text)
    _, shown, caret = str(told.value).split("\n")
    assert shown[caret.index("^")] == "&"
    assert (len(shown) < 130, shown.startswith("  …"), shown.endswith("…")) == (True, True, True)
    assert told.value.position == text.index("&")


def test_several_texts_are_combined_and_named_by_their_number() -> None:
    assert where.tree_of(["a = 1", "b = 1 or c = 1"]) == {"filter": all_of(A, any_of(B, C))}
    assert where.tree_of(["a = 1 and b = 1", "c = 1"], combination="OR") == {
        "filter": any_of(all_of(A, B), C)
    }
    assert where.tree_of([]) == {"filter": {"items": [], "combination": "AND"}}
    with pytest.raises(where.WhereError, match=r"^steps\[2\]\.where\[1\]: "):
        where.tree_of(["a = 1", "b"], field="steps[2].where")


def test_what_would_be_too_large_is_refused_and_takes_no_time() -> None:
    names = ("a{n} = 1 and b{n} = 1", "c{n} = 1 and d{n} = 1", "e{n} = 1 and f{n} = 1")
    blocks = (" or ".join(f"({name.format(n=n)})" for n in range(8)) for name in names)
    pairs = " and ".join(f"({block})" for block in blocks)
    with pytest.raises(FilterError, match="more than a filter holds"):
        where.group_of(pairs)
    with pytest.raises(FilterError, match="more than a filter holds"):
        where.tree_of([f"a = {n}" for n in range(101)], combination="OR")
    assert len(where.group_of(" or ".join(f"a = {n}" for n in range(100))).items) == 100
    deep = "a = 1"
    for n in range(20):
        deep = f"({deep}) {'and' if n % 2 else 'or'} b{n} = 1"
    with suppress(FilterError):
        assert sum(len(getattr(item, "items", [1])) for item in where.group_of(deep).items) <= MAX_CONDITIONS


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30).filter(bool))
def test_whatever_is_quoted_is_taken_as_it_is(text: str) -> None:
    for quote in "'\"":
        doubled = text.replace("\\", "\\\\").replace(quote, quote * 2)
        escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
        found = where.group_of(f"{quote}{doubled}{quote} = {quote}{escaped}{quote}")
        assert plain(found)["items"] == [is_(text, "EQUALS", text)]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"()',= <>!\"`\\&a1", " and ", " or ", " not ", " in ", "is empty", "TODAY"]),
        max_size=15,
    )
)
def test_any_other_text_is_read_or_refused(pieces: list[str]) -> None:
    with suppress(FilterError):
        group = where.group_of("".join(pieces))
        assert group == where.group_of(write_where(group))


def is_condition(item: dict[str, Any]) -> bool:
    """Whether a filter tree takes it: some of the other test's conditions are such that none does."""
    try:
        Condition.model_validate(item)
    except ValidationError:
        return False
    return "data_type" not in item or "value" in item


valid_conditions = conditions().filter(is_condition)


@st.composite
def trees(draw: Any) -> dict[str, Any]:
    """Trees of two levels."""
    groups = st.builds(
        lambda items, combination: {"items": items, "combination": combination},
        st.lists(valid_conditions, min_size=1, max_size=3),
        st.sampled_from(["AND", "OR"]),
    )
    items = draw(st.lists(st.one_of(valid_conditions, groups), min_size=1, max_size=4))
    return {"items": items, "combination": draw(st.sampled_from(["AND", "OR"]))}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_what_a_tree_is_written_as_reads_as_the_same_tree(tree: dict[str, Any]) -> None:
    group = parse_filters({"filter": tree})
    assert group is not None
    text = write_where(group)
    read = where.group_of(text)
    assert where.group_of(write_where(read)) == read
    said = list(dict.fromkeys(conditions_of(group)))
    assert set(conditions_of(read)) <= set(said)
    for chosen in range(min(2 ** len(said), 64)):
        true = {condition for index, condition in enumerate(said) if chosen >> index & 1}
        assert truth(read, true) == truth(group, true)


def truth(group: Group | Subgroup, true: set[Condition]) -> bool:
    found = [truth(one, true) if isinstance(one, Subgroup) else one in true for one in group.items]
    return all(found) if group.combination == "AND" else any(found)


def expressions() -> st.SearchStrategy[Any]:
    """(text, what it means as a tree of any depth that may hold `not`)."""
    leaves = valid_conditions.map(
        lambda item: (write_where(Group(items=(Condition.model_validate(item),))), item)
    )
    orders = ("GREATER", "LESS")

    def joined(parts: list[Any], word: str) -> Any:
        text = f" {word} ".join(f"({text})" for text, _ in parts)
        return text, {"items": [meant for _, meant in parts], "combination": word.upper()}

    def negated(part: Any) -> Any:
        return f"not ({part[0]})", {"not": part[1]}

    def has_order(meant: Any) -> bool:
        inner = meant.get("items") or ([meant["not"]] if "not" in meant else [])
        return any(map(has_order, inner)) or str(meant.get("operator", "")).startswith(orders)

    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(joined, st.lists(inner, min_size=1, max_size=3), st.sampled_from(["and", "or"])),
            inner.filter(lambda part: not has_order(part[1])).map(negated),
        ),
        max_leaves=8,
    )


def holds(meant: dict[str, Any], entity: Any) -> bool:
    if "not" in meant:
        return not holds(meant["not"], entity)
    if "items" in meant:
        return (all if meant["combination"] == "AND" else any)(holds(one, entity) for one in meant["items"])
    return matches({"items": [meant], "combination": "AND"}, entity, NOW)


@given(
    st.lists(st.tuples(attributes, texts), min_size=1, max_size=10),
    st.lists(expressions(), min_size=1, max_size=5),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_expressions_of_any_depth_select_whom_they_name(
    database: Database, org_id: UUID, rows: list[Any], asked: list[Any]
) -> None:
    with database.begin() as session:
        session.execute(delete(Entity))
    ids: list[UUID] = save(database, org_id, [(found, title, None) for found, title in rows])
    people = [
        {"attributes": found, "own": {"title": title, "_title": title, "external_id": None}}
        for found, title in rows
    ]
    for text, meant in asked:
        try:
            tree = plain(where.group_of(text))
        except FilterError as error:
            assert "more than a filter holds" in str(error)  # noqa: PT017 - nothing else may be refused
            continue
        wanted = {id_ for id_, entity in zip(ids, people, strict=True) if holds(meant, entity)}
        assert wanted == selected(database, org_id, tree), text


def test_a_junction_of_nothing_but_large_groups_is_refused() -> None:
    leaves = tuple(Condition.model_validate(is_(f"k{n}", "EQUALS", "1")) for n in range(101))
    with pytest.raises(TooManyConditions):
        as_group(Junction("OR", leaves))
