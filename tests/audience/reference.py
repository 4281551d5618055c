"""The filter rules of docs/contract/targeting.md once more, in plain Python, to hold both databases to.

Written from the rules and not from the SQL: numbers by `Decimal`, days by `datetime`, lists by loops.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache

NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
DATE = re.compile(
    r"""(?: (?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d) | (?P<y2>\d{4})/(?P<m2>\d\d?)/(?P<d2>\d\d?)
          | (?P<d3>\d\d)-(?P<m3>\d\d)-(?P<y3>\d{4}) | (?P<d4>\d\d?)\.(?P<m4>\d\d?)\.(?P<y4>\d{4}) )
        (?P<time> (?:t|\ +) (?P<hour>\d\d?) : (?P<minute>\d\d) (?: : (?P<second>\d\d) (?:[.,]\d+)? )?
          (?P<zone> \ * (?: z | utc | gmt
            | (?P<sign>[+-])(?P<hours>\d\d)(?: :? (?P<minutes>\d\d))? (?:\ *(?:z|utc|gmt))? ) )?
        )?""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)  # fmt: skip
TRUE = {"true", "t", "yes", "y", "on", "1", "1.0"}
FALSE = {"false", "f", "no", "n", "off", "0", "0.0"}
ABSENT = object()


def stripped(text):
    return text.strip(" \t\r\n\v\f\u00a0\u2007\u202f\u3000\ufeff\u200b\u202a\u202c")


def number(text):
    text = stripped(text)
    return Decimal(text) if len(text) <= 15 and NUMBER.fullmatch(text) else None


@cache
def parts(text):
    """(year, month, day), seconds after that day's midnight in UTC or None, whether a zone is named; None: no date."""
    match = DATE.fullmatch(stripped(text))
    if not match:
        return None
    one = {
        name.rstrip("234"): int(value)
        for name, value in match.groupdict().items()
        if value and name[0] in "ymd" and len(name) < 3
    }
    day = one["y"], one["m"], one["d"]
    if not (1 <= day[1] <= 12 and 1 <= day[2] <= 31):
        return None
    if not match["time"]:
        return day, None, False
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    east, off = int(match["hours"] or 0), int(match["minutes"] or 0)
    if hour > 23 or minute > 59 or second > 59 or east > 14 or off > 59:
        return None
    offset = (east * 60 + off) * 60 * (-1 if match["sign"] == "-" else 1)
    return day, hour * 3600 + minute * 60 + second - offset, bool(match["zone"])


def instant(found):
    """Seconds since 1970; the 31st of February is the 3rd of March."""
    (year, month, day), seconds, _ = found
    days = (datetime(year, month, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days + day - 1
    return days * 86400 + (seconds or 0)


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
    return zoned_span(literal, now, now.tzinfo)


@cache
def zoned_span(literal, now, zone):
    """("days", first, last, seconds of both ends) or ("second", epoch), or None when the literal is no date."""
    if literal in WORDS:
        first, last = days_of_word(literal, now.date())
    else:
        found = parts(literal)
        try:
            first = last = found and date(*found[0])
            if first is None:
                return None
            if found[1] is not None:
                moment = instant(found)
                datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)
                return "second", moment
        except (ValueError, OverflowError):
            return None
    ends = [
        int(datetime(day.year, day.month, day.day, tzinfo=now.tzinfo).timestamp())
        for day in (first, last if last == date.max else last + timedelta(days=1))
    ]
    after = ends[1] + 86400 if last == date.max else ends[1]
    return "days", first.timetuple()[:3], last.timetuple()[:3], ends[0], after - 1


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


def as_date(relation, value, literal, now):
    found = parts(value) if isinstance(value, str) else None
    if found is None:
        return False
    limits = span(literal, now)
    if limits[0] == "second":
        return relate(relation, instant(found), limits[1])
    return (
        relate(relation, instant(found), *limits[3:])
        if found[2]
        else relate(relation, found[0], *limits[1:3])
    )


def says(value, literal):
    """Whether a value says what the literal says, yes or no."""
    words = TRUE if stripped(literal).lower() in TRUE else FALSE
    if isinstance(value, list):
        parts_say = {
            word
            for one in value
            for word in ("true", "false")
            if not isinstance(one, list | dict) and says(one, word)
        }
        return bool(value) and (
            ("true" if words is TRUE else "false") in parts_say or (words is TRUE and not parts_say)
        )
    if value is None or isinstance(value, dict):
        return value is not None and words is TRUE
    if isinstance(value, bool):
        return value == (words is TRUE)
    if is_number(value):
        return (value != 0) == (words is TRUE)
    return stripped(value).lower() in words


def plain(value):
    """The value's text, if every database writes the same."""
    if is_number(value) and not (value == 0 or 0.0001 <= abs(value) < 2**63):
        return None
    return text_of(value)


def folded(text):
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", apart.casefold().replace("i\u0307", "i"))


def as_number(relation, value, literal):
    read = (
        Decimal(json.dumps(value)) if is_number(value) else number(value) if isinstance(value, str) else None
    )
    return read is not None and relate(relation, read, Decimal(literal))


def same(value, literal):
    if is_number(value):
        exact = number(literal) is not None or re.fullmatch(r"-?[0-9]{1,20}", stripped(literal))
        return bool(exact) and Decimal(json.dumps(value)) == Decimal(stripped(literal))
    return text_of(value) == literal


def as_text(relation, value, literal):
    text = plain(value)
    return text is not None and (relation == "=" or text != "") and relate(relation, text, literal)


def passes(relation, value, literal, data_type, now):
    """One value that is no list against one literal."""
    if value is None or isinstance(value, dict | list):
        return False
    if data_type is None:
        if literal in WORDS:
            data_type = "date"
        elif relation == "=":
            return same(value, literal)
        elif number(literal) is not None:
            data_type = "number"
        else:
            data_type = "date" if span(literal, now) else "string"
    return {
        "date": lambda: as_date(relation, value, literal, now),
        "number": lambda: as_number(relation, value, stripped(literal)),
        "string": lambda: as_text(relation, value, literal),
    }[data_type]()


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
        texts = [plain(one) for one in values if one is not None and not isinstance(one, dict | list)]
        return any(folded(literals[0]) in folded(text) for text in texts if text is not None)
    if operator not in ("EQUALS", "IS_ONE_OF"):
        return passes(RELATIONS[operator], value, literals[0], data_type, now)
    values = value if isinstance(value, list) else [value]
    return any(
        says(value, literal)
        if asks_yes_or_no(literal, data_type, own)
        else any(passes("=", one, literal, data_type, now) for one in values)
        for literal in literals
    )


def asks_yes_or_no(literal, data_type, own):
    return data_type == "boolean" or (data_type is None and not own and literal.lower() in ("true", "false"))


def matches(tree, entity, now):
    """Whether the entity `{"attributes": {...}, "own": {...}}` is let through by `{"items", "combination"}`."""
    found = [
        matches(item, entity, now) if "items" in item else condition_holds(item, entity, now)
        for item in tree["items"]
    ]
    return all(found) if tree["combination"] == "AND" else any(found)
