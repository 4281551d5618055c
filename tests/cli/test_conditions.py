"""Conditions as people write them become the filter tree's words, or a message with an example."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.cli.conditions import filters_of, read_condition
from actors.cli.failure import Failure
from engine.audience.filters import parse_filters


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("Country = Norway", {"key": "Country", "operator": "EQUALS", "value": "Norway"}),
        ("Country=Norway", {"key": "Country", "operator": "EQUALS", "value": "Norway"}),
        ("Country == Norway", {"key": "Country", "operator": "EQUALS", "value": "Norway"}),
        (
            "First Name != Ada Lovelace",
            {"key": "First Name", "operator": "NOT_EQUALS", "value": "Ada Lovelace"},
        ),
        ("a <> b", {"key": "a", "operator": "NOT_EQUALS", "value": "b"}),
        ("age >= 18", {"key": "age", "operator": "GREATER_THAN_OR_EQUAL", "value": "18"}),
        ("age<=18", {"key": "age", "operator": "LESS_THAN_OR_EQUAL", "value": "18"}),
        ("balance > -12.5", {"key": "balance", "operator": "GREATER_THAN", "value": "-12.5"}),
        ("since < TODAY", {"key": "since", "operator": "LESS_THAN", "value": "TODAY"}),
        ("name contains in it", {"key": "name", "operator": "CONTAINS", "value": "in it"}),
        ("name NOT  Contains x", {"key": "name", "operator": "NOT_CONTAINS", "value": "x"}),
        ("city in (Oslo, Bergen)", {"key": "city", "operator": "IS_ONE_OF", "value": ["Oslo", "Bergen"]}),
        ("city in(Oslo)", {"key": "city", "operator": "IS_ONE_OF", "value": ["Oslo"]}),
        ("city not in ('a, b', c)", {"key": "city", "operator": "IS_NONE_OF", "value": ["a, b", "c"]}),
        ("email is empty", {"key": "email", "operator": "EMPTY"}),
        ("email IS NOT EMPTY", {"key": "email", "operator": "NOT_EMPTY"}),
        ("\"a = b\" = 'c > d'", {"key": "a = b", "operator": "EQUALS", "value": "c > d"}),
        ("url = https://x/?a=b", {"key": "url", "operator": "EQUALS", "value": "https://x/?a=b"}),
        ("domain = in", {"key": "domain", "operator": "EQUALS", "value": "in"}),
        ("name = ''", {"key": "name", "operator": "EQUALS", "value": ""}),
    ],
)
def test_a_condition_reads(text: str, item: dict[str, Any]) -> None:
    assert item == read_condition(text)
    parse_filters({"filter": {"items": [item]}})


@pytest.mark.parametrize(
    "text", ["", "Norway", "= Norway", "country", "city in Oslo", "email is empty yes", "'' = x", "in (a)"]
)
def test_what_is_no_condition_is_told_with_an_example(text: str) -> None:
    with pytest.raises(Failure) as told:
        read_condition(text)
    assert told.value.code == 2
    assert "Country = Norway" in (told.value.remedy or "")


def test_several_are_combined() -> None:
    tree = filters_of(["a = 1", "b = 2"], combine="OR")
    assert tree["filter"]["combination"] == "OR"
    assert [item["key"] for item in tree["filter"]["items"]] == ["a", "b"]


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_characters="'\"", codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_whatever_is_quoted_is_taken_as_it_is(text: str) -> None:
    assert read_condition(f"'{text}' = \"{text}\"") == {"key": text, "operator": "EQUALS", "value": text}


@settings(deadline=None)
@given(st.text())
def test_any_other_text_is_read_or_refused(text: str) -> None:
    with suppress(Failure):
        assert read_condition(text)["key"]
