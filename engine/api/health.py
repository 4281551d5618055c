"""`/health/live` and `/health/ready`: is this process up, and can it work. Neither needs a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.api.answers import json_answer
from engine.api.brokers import BrokerAway, queue_depths
from state.errors import SchemaOutdated
from state.migrate import require_current

if TYPE_CHECKING:
    from starlette.responses import Response

    from engine.runtime import Runtime

__all__ = ["readiness", "router"]

router = APIRouter(tags=["Operations"])


@router.get("/health/live", operation_id="live")
async def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "live"}


@router.get("/health/ready", operation_id="ready", responses={503: {"description": "Not ready"}})
def ready(request: Request) -> Any:
    """Database, migrations and broker, each by name; 503 when one of them is not `ok`."""
    checks = readiness(request.app.state.runtime)
    fine = all(state == "ok" for state in checks.values())
    answer: Response = json_answer(
        {"status": "ready" if fine else "not_ready", "checks": checks}, 200 if fine else 503
    )
    return answer


def readiness(runtime: Runtime) -> dict[str, str]:
    """What this process needs → `ok`, or what is wrong with it in a sentence."""
    checks = {"database": "ok", "migrations": "ok", "broker": "ok"}
    try:
        with runtime.database.read() as session:
            session.execute(text("SELECT 1"))
        require_current(runtime.database)
    except SchemaOutdated as error:
        checks["migrations"] = str(error)
    except DBAPIError as error:
        checks["database"] = str(error.orig).strip() or type(error.orig).__name__
        checks["migrations"] = "unknown: the database does not answer"
    except PoolTimeout:
        checks["database"] = "every connection of the pool is in use"
        checks["migrations"] = "unknown: the database was not asked"
    try:
        queue_depths(runtime.settings.broker)
    except BrokerAway as error:
        checks["broker"] = str(error)
    return checks
