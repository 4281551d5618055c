"""Forms of what a channel's kind takes: a field of its model is a field of the form.

Texts, numbers and choices have fields of their own; anything else is written as JSON. What is left empty is left out,
so that the model's own default counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

__all__ = ["FormField", "form_fields", "read_form"]


@dataclass(frozen=True, slots=True)
class FormField:
    """One field."""

    name: str
    kind: str
    """text, number, truth, choice or json."""
    required: bool
    value: str
    """As the form shows it; empty: not given."""
    hint: str
    choices: tuple[str, ...] = ()


def form_fields(model: type[BaseModel], values: Mapping[str, Any]) -> list[FormField]:
    """The fields of a model, with what is known; what must be given comes first."""
    found = []
    for name, info in model.model_fields.items():
        kind, choices = _kind(info.annotation)
        given = values.get(name)
        shown = "" if given is None else given if isinstance(given, str) else json.dumps(given)
        default = "" if info.default in (None, PydanticUndefined, "") else str(info.default)
        found.append(FormField(name, kind, info.is_required(), shown, info.description or default, choices))
    return sorted(found, key=lambda field: not field.required)


def read_form(model: type[BaseModel], prefix: str, field: Callable[[str], str]) -> dict[str, Any]:
    """What a form says, for the model to check.

    Raises:
        Invalid: what should be JSON is none.
    """
    given: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        text = field(f"{prefix}.{name}")
        if not text:
            continue
        kind, _ = _kind(info.annotation)
        if kind in ("text", "choice"):
            given[name] = text
            continue
        try:
            given[name] = json.loads(text)
        except json.JSONDecodeError:
            raise Invalid(name, f"{text[:40]!r} is no JSON value") from None
    return given


def _kind(annotation: Any) -> tuple[str, tuple[str, ...]]:
    """How a value of that type is written, and what may be chosen."""
    options = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(one) for one in get_args(annotation))
    if type(None) in get_args(annotation) and len(options) == 1:
        return _kind(options[0])
    if annotation is bool:
        return "truth", ("true", "false")
    if annotation in (int, float):
        return "number", ()
    if get_origin(annotation) in (list, dict, tuple) or annotation in (dict, list):
        return "json", ()
    return "text", ()
