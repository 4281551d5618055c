"""The filter rules of contract.md §1 once more, in plain Python, to hold both databases to.

Written from the rules and not from the SQL: numbers by `Decimal`, days by `datetime`, lists by loops.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
TIMED = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:Z|([+-])(\d\d):(\d\d))?", re.ASCII
)
REVERSED = re.compile(r"(\d\d)([.-])(\d\d)\2(\d{4})", re.ASCII)
ABSENT = object()


def number(text):
    return Decimal(text) if len(text) <= 15 and NUMBER.fullmatch(text) else None


def day(text):
    """(year, month, day) as written, or None."""
    if match := ISO.fullmatch(text):
        found = tuple(map(int, match.groups()))
    elif match := REVERSED.fullmatch(text):
        found = int(match[4]), int(match[3]), int(match[1])
    elif (match := TIMED.fullmatch(text)) and instant(text) is not None:
        return day(match[1])
    else:
        return None
    return found if 1 <= found[1] <= 12 and 1 <= found[2] <= 31 else None


def instant(text):
    """Seconds since 1970, or None; the 31st of February is the 3rd of March."""
    match = TIMED.fullmatch(text)
    parts = day(match[1] if match else text) if match or not TIMED.fullmatch(text) else None
    if parts is None:
        return None
    moment = datetime(parts[0], parts[1], 1, tzinfo=UTC) + timedelta(days=parts[2] - 1)
    if match:
        hours, minutes, seconds = int(match[2]), int(match[3]), int(match[4] or 0)
        if hours > 23 or minutes > 59 or seconds > 59:
            return None
        moment += timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if match[5]:
            if int(match[6]) > 14 or int(match[7]) > 59:
                return None
            offset = timedelta(hours=int(match[6]), minutes=int(match[7]))
            moment += -offset if match[5] == "+" else offset
    return int(moment.timestamp())


def days_of_word(word, today):
    first = {
        "TODAY": today,
        "YESTERDAY": today - timedelta(days=1),
        "TOMORROW": today + timedelta(days=1),
    }.get(word)
    if first:
        return first, first
    step, unit = word.split("_")
    shift = {"LAST": -1, "THIS": 0, "NEXT": 1}[step]
    if unit == "WEEK":
        first = today - timedelta(days=today.weekday()) + timedelta(weeks=shift)
        return first, first + timedelta(days=6)
    size = {"MONTH": 1, "YEAR": 12}[unit]
    index = (today.year * 12 + today.month - 1) // size + shift
    starts = [date(*divmod_month(i * size)) for i in (index, index + 1)]
    return starts[0], starts[1] - timedelta(days=1)


def divmod_month(months):
    return months // 12, months % 12 + 1, 1


WORDS = ["TODAY", "YESTERDAY", "TOMORROW"] + [
    f"{step}_{unit}" for step in ("LAST", "THIS", "NEXT") for unit in ("WEEK", "MONTH", "YEAR")
]


def span(literal, now):
    """("days", first, last) or ("second", epoch), or None when the literal is no date."""
    if literal in WORDS:
        first, last = days_of_word(literal, now.date())
        return "days", first.timetuple()[:3], last.timetuple()[:3]
    parts = day(literal)
    if parts is None:
        return None
    try:
        date(*parts)
    except ValueError:
        return None
    if TIMED.fullmatch(literal):
        return "second", instant(literal)
    return "days", parts, parts


def relate(relation, value, low, high=None):
    high = low if high is None else high
    return {
        "=": low <= value <= high,
        ">": value > high,
        ">=": value >= low,
        "<": value < low,
        "<=": value <= high,
    }[relation]


RELATIONS = {
    "GREATER_THAN": ">",
    "GREATER_THAN_OR_EQUAL": ">=",
    "LESS_THAN": "<",
    "LESS_THAN_OR_EQUAL": "<=",
    "EQUALS": "=",
    "IS_ONE_OF": "=",
}


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value)


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def in_span(relation, text, limits):
    if limits[0] == "days":
        return None if day(text) is None else relate(relation, day(text), *limits[1:])
    return None if instant(text) is None else relate(relation, instant(text), limits[1])


def as_date(relation, value, literal, now):
    return bool(isinstance(value, str) and in_span(relation, value, span(literal, now)))


def as_number(relation, value, literal):
    read = (
        Decimal(json.dumps(value)) if is_number(value) else number(value) if isinstance(value, str) else None
    )
    return read is not None and relate(relation, read, Decimal(literal))


def same(value, literal):
    if is_number(value):
        exact = number(literal) is not None or re.fullmatch(r"-?[0-9]{1,20}", literal)
        return bool(exact) and Decimal(json.dumps(value)) == Decimal(literal)
    return text_of(value) == literal


def passes(relation, value, literal, data_type, now):
    """One value that is no list against one literal."""
    if value is None or isinstance(value, dict | list):
        return False
    if data_type == "date" or (data_type is None and literal in WORDS):
        return as_date(relation, value, literal, now)
    if data_type == "number":
        return as_number(relation, value, literal)
    if data_type == "string":
        return relate(relation, text_of(value), literal)
    if relation == "=":
        return same(value, literal)
    if number(literal) is not None and (
        is_number(value) or (isinstance(value, str) and number(value) is not None)
    ):
        return as_number(relation, value, literal)
    if span(literal, now) and isinstance(value, str):
        found = in_span(relation, value, span(literal, now))
        if found is not None:
            return found
    return relate(relation, text_of(value), literal)


def lookup(attributes, key):
    if key in attributes:
        return attributes[key]
    segments = key.split(".")
    if len(segments) == 1 or not all(segments):
        return ABSENT
    value = attributes
    for segment in segments:
        if not isinstance(value, dict) or segment not in value:
            break
        value = value[segment]
    else:
        return value
    found = [attributes]
    for segment in segments:
        spread = [inner for outer in found for inner in (outer if isinstance(outer, list) else [outer])]
        found = [inner[segment] for inner in spread if isinstance(inner, dict) and segment in inner]
    found = [inner for outer in found for inner in (outer if isinstance(outer, list) else [outer])]
    return found or ABSENT


def condition_holds(item, entity, now):
    operator, data_type = item["operator"], item.get("data_type")
    literals = item.get("value")
    literals = [literals] if isinstance(literals, str) else literals
    own = item["key"] in entity["own"]
    value = entity["own"][item["key"]] if own else lookup(entity["attributes"], item["key"])
    empty = value is ABSENT or value is None or value in ("", [])
    opposite = {"NOT_EQUALS": "EQUALS", "NOT_CONTAINS": "CONTAINS", "IS_NONE_OF": "IS_ONE_OF"}
    if operator in ("EMPTY", "NOT_EMPTY"):
        return empty == (operator == "EMPTY")
    if operator in opposite:
        return not condition_holds({**item, "operator": opposite[operator]}, entity, now)
    if value is ABSENT:
        return False
    if operator == "CONTAINS":
        values = value if isinstance(value, list) else [value]
        return any(
            literals[0].lower() in text_of(one).lower()
            for one in values
            if one is not None and not isinstance(one, dict | list)
        )
    values = value if isinstance(value, list) and operator in ("EQUALS", "IS_ONE_OF") else [value]
    return any(
        passes(RELATIONS[operator], one, literal, data_type, now) for one in values for literal in literals
    )


def matches(tree, entity, now):
    """Whether the entity `{"attributes": {...}, "own": {...}}` is let through by `{"items", "combination"}`."""
    found = [
        matches(item, entity, now) if "items" in item else condition_holds(item, entity, now)
        for item in tree["items"]
    ]
    return all(found) if tree["combination"] == "AND" else any(found)
