"""What many routes of the dialect share: list parameters, and the answers they document."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from engine.api.targeting import schemas

__all__ = ["COMMON", "CONFLICT", "MISSING", "Limit", "Next"]

Limit = Annotated[int, Query(description="How many at most, 1..1000.")]
Next = Annotated[str | None, Query(description="The cursor that the page before this one gave.")]

_CLIENT: dict[str, Any] = {"model": schemas.ClientError}

#: Every route.
COMMON: dict[int | str, dict[str, Any]] = {
    400: {**_CLIENT, "description": "The request cannot be done as it is"},
    401: {**_CLIENT, "description": "No key, or an unknown one"},
    403: {**_CLIENT, "description": "The key's role does not reach that far"},
    500: {"model": schemas.ServerError, "description": "A fault of ours"},
}
#: Routes that name a row of ours.
MISSING: dict[int | str, dict[str, Any]] = {404: {**_CLIENT, "description": "There is no such row"}}
#: Routes that something else may stand against.
CONFLICT: dict[int | str, dict[str, Any]] = {409: {**_CLIENT, "description": "Something else needs it"}}
