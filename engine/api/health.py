"""`/health/live` and `/health/ready`: is this process up, and can it answer. Neither needs a key.

An API is ready when its database is there with every migration. Without a broker it works as well (wake-ups are left to
the sweeper), and without workers it takes requests; both are warnings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from sqlalchemy.exc import DBAPIError

from engine.api.answers import json_answer
from engine.api.brokers import BrokerAway, queue_depths
from engine.kernel.heartbeat import absences
from state.errors import SchemaOutdated
from state.revisions import require_current

if TYPE_CHECKING:
    from starlette.responses import Response

    from engine.kernel.runtime import Runtime

__all__ = ["Readiness", "readiness", "router"]

router = APIRouter(tags=["Operations"])

_OK = "ok"
#: What an API cannot do without.
_REQUIRED = ("database", "migrations")


@dataclass(slots=True)
class Readiness:
    """What was found."""

    checks: dict[str, str] = field(
        default_factory=lambda: {"database": _OK, "migrations": _OK, "broker": _OK}
    )
    """Name → `ok`, or what is wrong with it in a sentence."""
    warnings: list[str] = field(default_factory=list)
    """What slows or stops delivery although this process can answer."""

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        return all(self.checks[name] == _OK for name in _REQUIRED)


@router.get("/health/live", operation_id="live")
async def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "live"}


@router.get("/health/ready", operation_id="ready", responses={503: {"description": "Not ready"}})
def ready(request: Request) -> Any:
    """Database, migrations and broker, each by name, and warnings; 503 without database or migrations."""
    found = readiness(request.app.state.runtime)
    status = "ready" if found.ready else "not_ready"
    answer: Response = json_answer(
        {"status": status, "checks": found.checks, "warnings": found.warnings}, 200 if found.ready else 503
    )
    return answer


def readiness(runtime: Runtime) -> Readiness:
    """Look at everything that an API needs or leans on."""
    found = Readiness()
    try:
        require_current(runtime.database)
        with runtime.database.read() as session:
            found.warnings += absences(session).values()
    except SchemaOutdated as error:
        found.checks["migrations"] = str(error)
    except DBAPIError as error:
        found.checks["database"] = str(error.orig).strip() or type(error.orig).__name__
        found.checks["migrations"] = "unknown: the database does not answer"
    try:
        queue_depths(runtime.settings.broker)
    except BrokerAway as error:
        found.checks["broker"] = str(error)
        found.warnings.append(f"{error}; wake-ups wait for the sweeper")
    return found
