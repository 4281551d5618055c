"""NDJSON as rows to store: one entity a line, in the shape that the API takes and gives (`attributes`)."""

from __future__ import annotations

import json
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import orjson

from engine.audience.attributes import canonical, read_entity
from engine.audience.lines import ImportRefused
from engine.audience.records import Record
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.audience.lines import Line
    from engine.audience.reading import Reading
    from engine.audience.store import Row

__all__ = ["ndjson_records"]

#: What an API's answer has that reports an error.
_ERROR_FIELDS = frozenset(("error", "errors", "error_code", "error_description", "fault", "exception"))
_NOTHING = " \t\r\n\x1a\ufeff"
#: Whole floats from here on may be integers that did not fit 64 bits.
_BIG = 2.0**63


def ndjson_records(lines: Iterator[Line], reading: Reading) -> Iterator[Record]:
    """The file's records in order; blank lines are none.

    Raises:
        ImportRefused: it is empty, or no NDJSON.
    """
    # files that were joined have byte order marks in the middle
    told = ((line, line.text.strip(_NOTHING)) for line in lines)
    filled = ((line, plain) for line, plain in told if plain or line.trouble is not None)
    first = list(islice(filled, 2))
    _check_form(first, reading)
    for (number, _, trouble), plain in chain(first, filled):
        if trouble is not None:
            yield Record(number, None, trouble)
            continue
        try:
            row, note = _row(plain, reading)
        except Invalid as error:
            yield Record(number, None, str(error))
        else:
            yield Record(number, row, note=note)


def _check_form(first: list[tuple[Line, str]], reading: Reading) -> None:
    """Refuse what is no list of objects, by its first two lines."""
    if not first:
        raise ImportRefused("file", "is empty; each line is an object of JSON")
    line, plain = first[0]
    if line.trouble is None and not plain.startswith("{"):
        raise ImportRefused("file", f"is no NDJSON: its first line begins with {plain[:40]!r}; is it CSV?")
    if plain == "{":
        raise ImportRefused("file", "is one JSON object over several lines; write one object a line (jq -c)")
    if len(first) == 1 and (what := _answer_form(plain, reading.identifier or "external_id")) is not None:
        raise ImportRefused("file", what)


def _answer_form(text: str, identifier: str) -> str | None:
    """What a single object is that is about nobody: a page of an API's answers, or its error."""
    try:
        body = _load(text)
    except Invalid:
        return None  # said of its line
    if not isinstance(body, dict) or identifier in body:
        return None
    for name, value in body.items():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            return f"is one JSON object that holds a list; write one object a line (jq -c '.{name}[]')"
    said = _ERROR_FIELDS & {name.lower() for name in body}
    return f"is one JSON object with {min(said)!r}: an error, not data" if said else None


def _row(text: str, reading: Reading) -> tuple[Row, str | None]:
    body = _load(text)
    note = None
    if isinstance(body, dict):
        body |= reading.added
        note = reading.read_numbers(body)
    given = read_entity(body)
    if reading.identifier is None and given.external_id is None and given.id is not None:
        raise Invalid("_id", "is not what an import goes by; name the external id")
    return reading.row(body, canonical(given.attributes), given.title), note


def _load(text: str) -> Any:
    try:
        body = orjson.loads(text)
        if _has_big_float(body):
            body = json.loads(text)  # slower, but integers stay integers, to be refused
    except (ValueError, RecursionError) as error:
        raise Invalid("line", f"is not JSON: {error}") from None
    return body


def _has_big_float(value: Any) -> bool:
    if isinstance(value, float):
        return abs(value) >= _BIG
    if isinstance(value, dict):
        return any(_has_big_float(inner) for inner in value.values())
    return isinstance(value, list) and any(_has_big_float(inner) for inner in value)
