"""What a kind of channel takes, in words for people: each option's name, type, default and meaning.

Read from the kind's own models, so that it cannot say anything else than what is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from engine.channels.registry import credentials_model, settings_model

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Option", "options"]

_FORMATS = {"duration": "seconds", "password": "secret", "path": "path"}


class Option(NamedTuple):
    """One option."""

    part: str
    """settings or credentials."""
    name: str
    type: str
    required: bool
    default: Any
    """As JSON has it; None: there is none."""
    text: str
    """What it means, in a line; empty when the name says it."""


def options(kind: str) -> list[Option]:
    """Every option of a kind: required ones first, settings before credentials.

    Raises:
        UnknownKind: with a suggestion.
    """
    found = [
        *_of("settings", settings_model(kind)),
        *_of("credentials", credentials_model(kind)),
    ]
    return sorted(found, key=lambda option: (option.part != "settings", not option.required))


def _of(part: str, model: type[BaseModel]) -> list[Option]:
    properties = model.model_json_schema()["properties"] if model.model_fields else {}
    options = []
    for name, field in model.model_fields.items():
        schema = properties[name]
        text = " ".join((field.description or "").split())
        default = schema.get("default")
        options.append(Option(part, name, _type(schema), field.is_required(), default, text))
    return options


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        sides = dict.fromkeys(_type(side) for side in schema["anyOf"] if side.get("type") != "null")
        return " or ".join(sides)
    return _FORMATS.get(schema.get("format", ""), str(schema.get("type", "object")))
