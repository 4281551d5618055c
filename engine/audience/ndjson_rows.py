"""NDJSON as rows to store: one entity a line, in the shape that the API takes and gives (`attributes`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from engine.audience.attributes import MAX_TITLE, canonical, external_key, read_entity
from engine.audience.records import Record
from engine.audience.store import Row
from engine.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.audience.lines import Line
    from engine.audience.titles import TitleTemplate

__all__ = ["ndjson_records"]

#: Whole floats from here on may be integers that did not fit 64 bits.
_BIG = 2.0**63


def ndjson_records(
    lines: Iterator[Line], external_id: str | None, title: TitleTemplate | None
) -> Iterator[Record]:
    """The file's records in order; blank lines are none."""
    for number, text, trouble in lines:
        if trouble is not None:
            yield Record(number, None, trouble)
        elif (
            plain := text.lstrip("\ufeff")
        ) and not plain.isspace():  # files that were joined have such in the middle
            try:
                yield Record(number, _row(plain, external_id, title))
            except Invalid as error:
                yield Record(number, None, str(error))


def _row(text: str, external_id: str | None, title: TitleTemplate | None) -> Row:
    body = _load(text)
    given = read_entity(body)
    key = given.external_id
    if external_id is not None:
        key = external_key(body.get(external_id))
        if key is None:
            raise Invalid(external_id, "is absent or empty; it must hold the external id")
    elif key is None and given.id is not None:
        raise Invalid("_id", "is not what an import goes by; name the external id")
    name = title.fill(body) if title is not None else given.title or ""
    if len(name) > MAX_TITLE:
        raise Invalid("title", f"has {len(name)} characters; at most {MAX_TITLE} are allowed")
    attributes = canonical(given.attributes)
    if title is not None and not title.covers(body):
        return Row(key, "", attributes, title_if_none=name)
    return Row(key, name, attributes)


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
