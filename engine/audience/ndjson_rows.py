"""NDJSON as rows to store: one entity a line, in the shape that the API takes and gives (`attributes`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from engine.audience.attributes import canonical, read_entity
from engine.audience.records import Record
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.audience.lines import Line
    from engine.audience.reading import Reading
    from engine.audience.store import Row

__all__ = ["ndjson_records"]

#: Whole floats from here on may be integers that did not fit 64 bits.
_BIG = 2.0**63


def ndjson_records(lines: Iterator[Line], reading: Reading) -> Iterator[Record]:
    """The file's records in order; blank lines are none."""
    for number, text, trouble in lines:
        if trouble is not None:
            yield Record(number, None, trouble)
        elif (
            plain := text.lstrip("\ufeff")
        ) and not plain.isspace():  # files that were joined have such in the middle
            try:
                row, note = _row(plain, reading)
            except Invalid as error:
                yield Record(number, None, str(error))
            else:
                yield Record(number, row, note=note)


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
