"""What the `file` channel wrote, to show to a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["first_message", "readable"]


def first_message(path: Path) -> dict[str, Any] | None:
    """The first message of a campaign's file of lines; None when nothing was sent."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as lines:
        line = lines.readline()
    return json.loads(line) if line else None


def readable(message: dict[str, Any]) -> str:
    """The message as a mail reader would show it."""
    head = [("To", message.get("address")), ("Subject", message.get("subject"))]
    lines = [f"  {name}: {value}" for name, value in head if value]
    body = (message.get("text") or message.get("html") or "").rstrip()
    return "\n".join([*lines, "", *(f"  {line}".rstrip() for line in body.splitlines())])
