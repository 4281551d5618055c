"""JSON responses. Integers of any size survive, which the fast encoder would refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_CONTENT", "json_answer"]

NO_CONTENT = 204


def json_answer(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`payload` as a response; None is an empty body."""
    content = (
        b"" if payload is None else json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    )
    media_type = None if payload is None else "application/json"
    return Response(content, status, headers=dict(headers or {}), media_type=media_type)
