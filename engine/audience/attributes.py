"""What an entity's JSON may be, and its one form in the databases.

Incoming `{_id?, external_id?, title?, ...attributes}`, outgoing `{_id, _org, _schema, _title, _created_at,
_updated_at, external_id?, ...attributes}` (docs/contract/own-routes.md). System fields that come back in are no
attributes.

Attributes are stored with sorted names and without spaces, and whole numbers as integers (`1000.0` becomes
`1000`), so that two databases, and two ways in, agree on whether anything changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import normalize
from uuid import UUID

import orjson

from engine.kernel.blanks import BLANKS
from engine.kernel.inputs import Invalid, unstorable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MAX_BYTES",
    "Given",
    "canonical",
    "external_key",
    "merged",
    "read_entity",
    "trimmed_id",
]

#: Bytes of an entity's attributes as JSON.
MAX_BYTES = 65_536
MAX_EXTERNAL_ID = 255
MAX_TITLE = 1_000

#: What we say about an entity and nobody tells us. `_title` may be told, as another name of `title`.
SYSTEM_FIELDS = frozenset(("_id", "_org", "_schema", "_title", "_created_at", "_updated_at"))
OWN_FIELDS = SYSTEM_FIELDS | {"external_id", "title"}

#: Below it every whole float is an integer of 64 bits.
_WHOLE = 2.0**63


@dataclass(frozen=True, slots=True)
class Given:
    """An entity as somebody gave it. What was not given is None."""

    id: UUID | None
    external_id: str | None
    title: str | None
    attributes: dict[str, Any]
    has_external_id: bool = False
    """Whether `external_id` was named at all: null takes it away."""


def external_key(value: object) -> str | None:
    """An external id as it is kept; None when there is none (null, or blank). `1.0` of JSON is the integer `1`.

    Raises:
        Invalid: it is no text or integer, or longer than 255 characters.
    """
    value = _plain(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Invalid("external_id", "must be a text or an integer")
    text = trimmed_id(str(value))
    if len(text) > MAX_EXTERNAL_ID:
        raise Invalid("external_id", f"has {len(text)} characters; at most {MAX_EXTERNAL_ID} are allowed")
    return text or None


def trimmed_id(text: str) -> str:
    """An external id as it is kept: without what nobody sees around it, and the same letters however they are encoded
    (NFC).
    """
    return normalize("NFC", text.strip(BLANKS))


def read_entity(body: Any) -> Given:
    """What somebody says about an entity.

    Raises:
        Invalid: it is no object, or a field of it cannot be stored; names the field.
    """
    if not isinstance(body, dict):
        raise Invalid("body", "must be an object")
    if (trouble := unstorable(body)) is not None:
        raise Invalid(trouble[0] or "body", trouble[1])
    title = body.get("title", body.get("_title"))
    if title is not None and not isinstance(title, str):
        raise Invalid("title", "must be a text")
    if title is not None and len(title) > MAX_TITLE:
        raise Invalid("title", f"has {len(title)} characters; at most {MAX_TITLE} are allowed")
    return Given(
        id=_id(body.get("_id")),
        external_id=external_key(body.get("external_id")),
        title=title,
        attributes={key: _plain(value) for key, value in body.items() if key not in OWN_FIELDS},
        has_external_id="external_id" in body,
    )


def _id(value: object) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(value if isinstance(value, str) else "")
    except ValueError:
        raise Invalid("_id", "must be a UUID") from None


def _plain(value: Any) -> Any:
    """The value with whole floats as integers."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _WHOLE else value
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def canonical(attributes: Mapping[str, Any]) -> str:
    """The JSON text of attributes that `read_entity` gave.

    Raises:
        Invalid: it has more than 65,536 bytes.
    """
    text = orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)
    if len(text) > MAX_BYTES:
        raise Invalid("body", f"has {len(text)} bytes of attributes as JSON; at most {MAX_BYTES} are allowed")
    return text.decode()


def merged(old: str, new: str) -> str:
    """The canonical text of `old` with what `new` names changed; both are canonical. A nested object is replaced whole.

    Raises:
        Invalid: it has more than 65,536 bytes.
    """
    return old if old == new else canonical({**orjson.loads(old), **orjson.loads(new)})
