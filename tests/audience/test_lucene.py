"""The Lucene text says the same as the tree, in the words of docs/contract/targeting.md."""

from __future__ import annotations

import pytest

from engine.filters.filters import parse_filters
from engine.filters.lucene import lucene


def query(*items, combination="AND", schema="contact"):
    return lucene(parse_filters({"filter": {"items": list(items), "combination": combination}}), schema)


def item(key, operator, value=None, data_type=None):
    return {"key": key, "operator": operator, "value": value, "data_type": data_type}


def test_the_example_of_the_contract():
    wanted = '_schema:"contact" AND (status:"active" OR NOT _exists_:email)'
    assert wanted == query(item("status", "EQUALS", "active"), item("email", "EMPTY"), combination="OR")


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (item("k", "EQUALS", "v"), 'k:"v"'),
        (item("k", "NOT_EQUALS", "v"), 'NOT k:"v"'),
        (item("k", "EMPTY"), "NOT _exists_:k"),
        (item("k", "NOT_EMPTY"), "_exists_:k"),
        (item("k", "CONTAINS", "v"), "k:*v*"),
        (item("k", "NOT_CONTAINS", "a b"), "NOT k:*a\\ b*"),
        (item("k", "IS_ONE_OF", ["a", "b"]), 'k:("a" OR "b")'),
        (item("k", "IS_NONE_OF", ["a", "b"]), 'NOT k:("a" OR "b")'),
        (item("k", "GREATER_THAN", "7"), "k:{7 TO *]"),
        (item("k", "GREATER_THAN_OR_EQUAL", "7"), "k:[7 TO *]"),
        (item("k", "LESS_THAN", "7"), "k:[* TO 7}"),
        (item("k", "LESS_THAN_OR_EQUAL", "-7"), "k:[* TO \\-7]"),
        (item("k", "GREATER_THAN", "TO"), 'k:{"TO" TO *]'),
        (item("First Name", "EQUALS", "Ada Lovelace"), 'First\\ Name:"Ada Lovelace"'),
        (item("title", "EQUALS", "x"), '_title:"x"'),
        (item("k", "EQUALS", "TODAY"), "k:[now/d TO now/d]"),
        (item("k", "IS_ONE_OF", ["LAST_MONTH", "x"]), 'k:([now-1M/M TO now-1M/M] OR "x")'),
        (item("k", "GREATER_THAN", "NEXT_YEAR", "date"), "k:{now+1y/y TO *]"),
        (item("k", "EQUALS", "TODAY", "string"), 'k:"TODAY"'),
    ],
)
def test_each_operator(condition, text):
    assert f'_schema:"contact" AND {text}' == query(condition)


def test_every_special_character_is_escaped():
    special = '+-=&|><!(){}[]^"~*?:\\/'
    escaped = "".join(f"\\{character}" for character in special)
    assert f'_schema:"contact" AND {escaped}:"{escaped}"' == query(item(special, "EQUALS", special))
    assert f'_schema:"contact" AND k:*{escaped}*' == query(item("k", "CONTAINS", special))


def test_groups_and_no_group():
    inner = {"items": [item("a", "EQUALS", "1"), item("b", "EQUALS", "2")], "combination": "OR"}
    assert '_schema:"contact" AND (a:"1" OR b:"2")' == query(inner)
    assert '_schema:"contact" AND (c:"3" AND (a:"1" OR b:"2"))' == query(item("c", "EQUALS", "3"), inner)
    assert '_schema:"con\\-tact"' == lucene(None, "con-tact")
