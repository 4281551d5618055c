"""`--set NAME=VALUE`: fields of what a command writes, as the API names them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Fields", "assignment", "fields_of", "given", "text_of"]

Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A field, as the API names it; JSON, or a text. null empties it. Repeatable.",
    ),
]


def assignment(text: str, *, what: str, example: str) -> tuple[str, Any]:
    """`NAME=VALUE`; a value that is JSON is taken as such, so that numbers and lists can be said.

    Raises:
        Failure: it is no assignment.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise Failure(f"the {what} {text!r} cannot be read", f"write it like {example}", code=Exit.USAGE)
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


def fields_of(texts: Iterable[str] | None) -> dict[str, Any]:
    """All of `--set`."""
    return dict(assignment(text, what="field", example="description=Autumn") for text in texts or ())


def given(more: Iterable[str] | None, **fields: Any) -> dict[str, Any]:
    """The options that were given, and the fields of `--set`.

    Raises:
        Failure: there is nothing to change.
    """
    found = {name: value for name, value in fields.items() if value is not None} | fields_of(more)
    if not found:
        raise Failure("there is nothing to change", "name an option, or --set NAME=VALUE", code=Exit.USAGE)
    return found


def text_of(path: Path | None) -> str | None:
    """A file's text.

    Raises:
        Failure: it is not UTF-8.
    """
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8: {error.reason} at byte {error.start}", code=Exit.USAGE) from None
