"""Reading an HTTP answer: whose API it is, its own error code, and the words in which it says what is wrong.

Providers say so in bodies of many shapes. Words are taken from wherever APIs put them; a code that is made of words
(`daily_quota_exceeded`, `AccountSuspendedException`) is read as words, too, so that one rule reads them all.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.answers.meanings import Protocol, ProviderAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["read_http"]


class _Shape(NamedTuple):
    """How the bodies of one API look that say what is wrong."""

    api: str
    error: tuple[str | int, ...]
    """Where its own error code stands."""
    marks: tuple[tuple[str | int, ...], ...]
    """What else its bodies have, and others do not."""


_SHAPES = (
    _Shape("postmark", ("ErrorCode",), (("Message",),)),
    _Shape("resend", ("name",), (("statusCode",), ("message",))),
    _Shape("twilio", ("code",), (("more_info",),)),
    _Shape("whatsapp", ("error", "code"), (("error", "fbtrace_id"),)),
    _Shape("telegram", ("error_code",), (("ok",), ("description",))),
    _Shape("sparkpost", ("errors", 0, "code"), (("errors", 0, "description"),)),
    _Shape("mailjet", ("Messages", 0, "Errors", 0, "ErrorCode"), ()),
    _Shape("ses", ("__type",), ()),
)
#: Where an API's code stands whose shape is not known.
_CODES: tuple[tuple[str | int, ...], ...] = (
    ("code",),
    ("error", "code"),
    ("error_code",),
    ("errorCode",),
    ("errors", 0, "code"),
    ("error", "type"),
)
#: Fields in which APIs say what is wrong, in lower case.
_TELLING = frozenset(
    {
        "code",
        "desc",
        "description",
        "detail",
        "details",
        "error",
        "error_code",
        "error_data",
        "error_description",
        "errorcode",
        "errorinfo",
        "errormessage",
        "errors",
        "field",
        "message",
        "messages",
        "msg",
        "name",
        "reason",
        "title",
        "type",
        "__type",
    }
)
_AWS_ERROR = "x-amzn-errortype"
_DEPTH, _ITEMS = 6, 20
_TEXT_LIMIT = 2000
_BLANKS = re.compile(r"\s+")
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
#: A code made of words: `daily_quota_exceeded`, `account-suspended`, `TooManyRequestsException`.
_WORDED = re.compile(r"[A-Za-z]+(?:[_-][A-Za-z0-9]+)+|(?:[A-Z][a-z0-9]+){2,}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def read_http(
    status: int, headers: Mapping[str, str], body: bytes, *, api: str | None = None, error: str | None = None
) -> ProviderAnswer:
    """An answer of an HTTP API.

    Args:
        headers: With names in lower case.
        api: Whose API it is; None: as the body's shape says, if it says.
        error: The API's own code; None: where the body has it.
    """
    said = _json(body)
    if said is None:
        text = _MARKUP.sub(" ", body[: 10 * _TEXT_LIMIT].decode(errors="replace"))
        return ProviderAnswer(Protocol.HTTP, status, None, _line([text]), None, api, error)
    found_api, found_error = _shape(said)
    aws_error = headers.get(_AWS_ERROR)
    if aws_error:
        found_api, found_error = "ses", aws_error.partition(":")[0]
    api, error = api or found_api, error or found_error
    words = list(_words(said))
    if error is not None and (spelled := _spelled(error)) != error and spelled not in words:
        words.append(spelled)
    return ProviderAnswer(Protocol.HTTP, status, None, _line(words), None, api, error)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _shape(said: Any) -> tuple[str | None, str | None]:
    """Whose API answers so, and its error code."""
    for shape in _SHAPES:
        error = _at(said, shape.error)
        if error is not None and all(_at(said, mark) is not None for mark in shape.marks):
            return shape.api, error.rpartition("#")[2]
    return None, next((error for path in _CODES if (error := _at(said, path)) is not None), None)


def _at(value: Any, path: tuple[str | int, ...]) -> str | None:
    """The plain value at a path, as text."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return str(value)[:64] if isinstance(value, str | int) else None


def _words(said: Any, depth: int = 0, *, all_fields: bool = False) -> Iterator[str]:
    """Texts that say what is wrong, outer ones first."""
    if isinstance(said, str):
        yield _spelled(said)
    elif depth < _DEPTH and isinstance(said, list):
        for item in said[:_ITEMS]:
            yield from _words(item, depth + 1, all_fields=all_fields)
    elif depth < _DEPTH and isinstance(said, dict):
        for name, value in list(said.items())[:_ITEMS]:
            if name.lower() in _TELLING:
                yield from _words(value, depth + 1, all_fields=name.lower() == "errors")
            elif all_fields and isinstance(value, str | list):  # {"errors": {"to": ["is invalid"]}}
                yield name
                yield from _words(value, depth + 1)


def _spelled(text: str) -> str:
    """A code that is made of words as these words; any other text as it is."""
    if not _WORDED.fullmatch(text):
        return text
    return _CAMEL.sub(" ", text).replace("_", " ").replace("-", " ")


def _line(words: list[str]) -> str:
    return _BLANKS.sub(" ", " ".join(words)).strip()[:_TEXT_LIMIT]
