"""What the form of a campaign holds, as it is typed: read from the form, kept as JSON, changed by its buttons.

Everything is text, as forms have it, and everything may be unfinished; `engine.api.console.draft_reading` says what it
means. A field's name is its path: `steps.0.variants.1.subject`.
"""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["STEP_TYPES", "Document", "Group", "Row", "Step", "Variant", "begun", "changed", "document_of"]

STEP_TYPES = ("message", "wait", "action", "condition")
#: Of lists in the form: more than anybody writes.
_MOST = 100


def _key() -> str:
    """What an element of the page is known by while it moves."""
    return token_hex(4)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Keyed(_Part):
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")] = Field(default_factory=_key)

    @field_validator("key", mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        return value or _key()


class Row(_Keyed):
    """A condition."""

    name: str = ""
    operator: str = "EQUALS"
    value: str = ""


class Group(_Keyed):
    """Conditions of which all (`AND`) or any (`OR`) must hold."""

    combination: str = "AND"
    rows: list[Row] = Field(default_factory=list)


class Variant(_Keyed):
    """Another way to say a message."""

    weight: str = "1"
    subject: str = ""
    body: str = ""


class Step(_Keyed):
    """A message, a wait, an action, or a condition for what comes next."""

    type: str = "message"
    name: str = ""
    template: str = ""
    channel: str = ""
    subject: str = ""
    markup: str = "html"
    body: str = ""
    text: str = ""
    weight: str = "1"
    variants: list[Variant] = Field(default_factory=list)
    amount: str = "2"
    unit: str = "days"
    method: str = "POST"
    url: str = ""
    payload: str = ""
    where: str = ""


class Document(_Part):
    """All of it."""

    name: str = ""
    description: str = ""
    schema_name: str = "contact"
    audience: str = "conditions"
    """conditions or targets."""
    combination: str = "AND"
    groups: list[Group] = Field(default_factory=list)
    targets: list[str] = Field(default_factory=list)
    steps: list[Step] = Field(default_factory=list)
    zone: str = ""
    starts: str = ""
    ends: str = ""
    days: list[str] = Field(default_factory=list)
    send_from: str = ""
    send_to: str = ""
    quiet_from: str = ""
    quiet_to: str = ""
    rate: str = ""
    per: str = "minute"
    cap: str = ""
    cap_hours: str = "168"
    cap_over: str = "exclude"
    budget: str = ""
    one_per_address: str = "yes"
    topic: str = ""
    """Its id; empty: it is about none."""


def begun(name: str, schema: str) -> Document:
    """A new one: one empty condition, one empty message."""
    return Document(name=name, schema_name=schema, groups=[Group(rows=[Row()])], steps=[Step(body="<p></p>")])


def document_of(form: Mapping[str, Sequence[str]]) -> Document:
    """What a form holds.

    Raises:
        Invalid: it is no form of ours.
    """
    found: dict[str, Any] = {}
    for name, values in form.items():
        if name in ("targets", "days"):
            found[name] = [value for value in values if value]
        elif "." not in name:
            found[name] = values[-1]
        else:
            _put(found, name.split("."), values[-1])
    try:
        return Document.model_validate(_listed(found))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Invalid(".".join(map(str, first["loc"])), str(first["msg"])) from None


def _put(place: dict[str, Any], path: Sequence[str], value: str) -> None:
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        place = inner
    place[path[-1]] = value


def _listed(value: Any) -> Any:
    """Objects whose names are all numbers, as lists."""
    if not isinstance(value, dict):
        return value
    if value and all(name.isascii() and name.isdigit() for name in value):
        return [_listed(value[name]) for name in sorted(value, key=int)][:_MOST]
    return {name: _listed(inner) for name, inner in value.items()}


def changed(document: Document, wanted: str) -> Document:
    """The document after a button: `add:steps:wait`, `add:groups.0.rows`, `remove:steps.1`, `up:steps.1`.

    What does not fit the document changes nothing: the page was an older one.
    """
    what, _, rest = wanted.partition(":")
    path, _, kind = rest.partition(":")
    holder, index = _found(document, path.split("."), last_is_index=what in ("remove", "up", "down"))
    if holder is None:
        return document
    if what == "add" and len(holder) < _MOST:
        made = _made(path.rpartition(".")[2], kind)
        if made is not None:
            holder.append(made)
    elif what == "remove":
        del holder[index]
    elif what == "up" and index > 0:
        holder[index - 1], holder[index] = holder[index], holder[index - 1]
    elif what == "down" and index + 1 < len(holder):
        holder[index + 1], holder[index] = holder[index], holder[index + 1]
    return document


def _found(document: Document, path: Sequence[str], *, last_is_index: bool) -> tuple[list[Any] | None, int]:
    """The list that a path names, and the place in it."""
    place: Any = document
    for part in path[:-1] if last_is_index else path:
        if isinstance(place, list):
            place = place[int(part)] if _fits(place, part) else None
        else:
            place = getattr(place, part, None) if part in ("groups", "rows", "steps", "variants") else None
        if place is None:
            return None, 0
    if not isinstance(place, list):
        return None, 0
    if not last_is_index:
        return place, 0
    return (place, int(path[-1])) if _fits(place, path[-1]) else (None, 0)


def _fits(place: list[Any], part: str) -> bool:
    return part.isascii() and part.isdigit() and int(part) < len(place)


def _made(where: str, kind: str) -> _Part | None:
    if where == "steps":
        return Step(type=kind if kind in STEP_TYPES else "message")
    if where == "groups":
        return Group(rows=[Row()])
    return Row() if where == "rows" else Variant() if where == "variants" else None
