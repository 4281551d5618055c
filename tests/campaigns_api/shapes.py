"""Whether an answer has the fields of an example with the right types."""

from __future__ import annotations

from datetime import datetime
from typing import Any

__all__ = ["lacking"]


def lacking(example: Any, found: Any, path: str = "data") -> list[str]:
    """What `found` lacks of `example`, in words; more fields are fine, and a list need not be as long."""
    if isinstance(example, dict):
        if not isinstance(found, dict):
            return [f"{path}: is no object"]
        return [
            problem
            for name, value in example.items()
            for problem in (
                [f"{path}.{name}: is missing"]
                if name not in found
                else lacking(value, found[name], f"{path}.{name}")
            )
        ]
    if isinstance(example, list):
        if not isinstance(found, list):
            return [f"{path}: is no list"]
        return [problem for item in found for problem in lacking(example[0], item, f"{path}[]")]
    if isinstance(example, bool) or example is None:
        return [] if type(found) is type(example) else [f"{path}: {found!r} is no {type(example).__name__}"]
    if isinstance(example, int | float):
        right = isinstance(found, int | float) and not isinstance(found, bool)
        return [] if right else [f"{path}: {found!r} is no number"]
    if not isinstance(found, str):
        return [f"{path}: {found!r} is no text"]
    if example.endswith("Z") and example[:4].isdigit():
        try:
            datetime.fromisoformat(found)
        except ValueError:
            return [f"{path}: {found!r} is no instant"]
    return []
