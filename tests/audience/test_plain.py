"""Plain filters of the Campaigns API: yes and no, ranges, and what is refused with its field."""

from __future__ import annotations

import pytest

from engine.filters.filters import parse_filters
from engine.filters.plain import tree_of
from engine.kernel.inputs import Invalid
from tests.audience.reference import ABSENT
from tests.audience.test_predicate import save, selected


def who(database, org_id, key, values, filters):
    ids = save(database, org_id, [({} if value is ABSENT else {key: value}, "", None) for value in values])
    tree = tree_of(filters)
    assert tree is not None
    found = selected(database, org_id, tree["filter"])
    return [value for id_, value in zip(ids, values, strict=True) if id_ in found]


SAID = ["TRUE", "FALSE", "True", "False", "yes", "no", "1", "0", "", "t", "f", "true", "false"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (True, ["TRUE", "True", "yes", "1", "t", "true"]),
        (False, ["FALSE", "False", "no", "0", "", "f", "false"]),
    ],
)
def test_what_says_yes_and_what_says_no(database, org_id, wanted, found):
    assert found == who(database, org_id, "newsletter", SAID, {"newsletter": wanted})


@pytest.mark.parametrize("word", ["NULL", "unsubscribed", "-", "ja", "2", "yes please"])
def test_what_says_neither_passes_neither(database, org_id, word):
    assert [] == who(database, org_id, "newsletter", [word], {"newsletter": True})
    assert [] == who(database, org_id, "newsletter", [word], {"newsletter": False})


@pytest.mark.parametrize("way", [{"eq": True}, {"in": [True]}, {"eq": "TRUE"}])
def test_comparisons_by_name_read_yes_alike(database, org_id, way):
    assert ["YES ", 1, True] == who(
        database, org_id, "a", ["YES ", 1, True, "no", ABSENT, "maybe"], {"a": way}
    )


@pytest.mark.parametrize(
    ("ends", "found"),
    [
        ([18, 45], ["18", 45]),
        (["18", "45"], ["18", 45]),
        (["18", 45], ["18", 45]),
        ([" 18 ", "45.0"], ["18", 45]),
        ([None, 17], [17]),
        (["45", None], [45, "46"]),
    ],
)
def test_a_range_takes_numbers_also_as_text(database, org_id, ends, found):
    values = [17, "18", 45, "46", "", None, "x", ABSENT]
    assert found == who(database, org_id, "age", values, {"ageRange": ends})


@pytest.mark.parametrize(
    "ends",
    [
        ["01.01.2026", "01.03.2026"],
        ["2026-01-01", "2026-03-01T00:00:00Z"],
        ["LAST_MONTH", "TODAY"],
        ["2026-01-01", "TODAY"],
    ],
)
def test_a_range_takes_dates(database, org_id, ends):
    values = ["2026-02-10", "2026-12-10", "", "17", ABSENT]
    assert ["2026-02-10"] == who(database, org_id, "since", values, {"sinceRange": ends})


@pytest.mark.parametrize(
    ("filters", "field", "words"),
    [
        ({"ageRange": [45, 18]}, "ageRange", "begins after its end"),
        ({"ageRange": ["45", "18"]}, "ageRange", "begins after its end"),
        ({"sinceRange": ["2026-03-01", "01.01.2026"]}, "sinceRange", "begins after its end"),
        ({"ageRange": [18]}, "ageRange", "list of two ends"),
        ({"ageRange": [18, 30, 45]}, "ageRange", "list of two ends"),
        ({"ageRange": []}, "ageRange", "list of two ends"),
        ({"ageRange": "18-45"}, "ageRange", "list of two ends"),
        ({"ageRange": 18}, "ageRange", "list of two ends"),
        ({"ageRange": None}, "ageRange", "list of two ends"),
        ({"ageRange": True}, "ageRange", "list of two ends"),
        ({"ageRange": [None, None]}, "ageRange", "has no end"),
        ({"ageRange": ["young", "old"]}, "ageRange[0]", "'young' reads neither"),
        ({"ageRange": ["18", "1,000"]}, "ageRange[1]", "reads neither"),
        ({"ageRange": [18, True]}, "ageRange[1]", "must be a number or a date"),
        ({"ageRange": [18, {}]}, "ageRange[1]", "must be"),
        ({"ageRange": [18, "2026-01-01"]}, "ageRange", "a number at one end and a date"),
        ({"sinceRange": ["31.02.2026", None]}, "sinceRange[0]", "reads neither"),
        ({"age": {"gt": True}}, "", "booleans have no order"),
    ],
)
def test_what_a_filter_cannot_mean_is_refused_with_its_field(filters, field, words):
    with pytest.raises(Invalid, match=words) as refused:
        tree_of(filters)
    assert refused.value.field.startswith(field)


def test_an_attribute_that_is_called_a_range_is_compared_by_name():
    assert parse_filters(tree_of({"priceRange": {"in": ["low", "high"]}})) is not None
