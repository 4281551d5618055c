"""Operations: what `muster doctor` says, processes, what waits in the queues, leases, what is late, slow statements."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.brokers import BrokerAway, queue_depths
from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, View, Viewing
from engine.insight.checks import checks_of_installation
from engine.insight.operations import operations, slow_statements
from engine.insight.overview import processes_of
from engine.kernel.heartbeat import EVERY

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.get(f"{ROOT}/operations")
def show(view: Viewing) -> Response:
    """The page."""
    queues, trouble = _queues(view)
    runtime = view.call.runtime
    settings = runtime.settings
    with view.call.read() as session:
        return view.page(
            "operations.html",
            seen=operations(session, view.call.org_id),
            kinds=processes_of(session),
            checks=checks_of_installation(session, runtime.database, settings),
            statements=slow_statements(session) if view.can("admin") else None,
            queues=queues,
            trouble=trouble,
            silent=view.now - 3 * EVERY,
            database=runtime.database.engine.dialect.name,
            embedded=settings.is_embedded,
            version=view.request.app.version,
        )


def _queues(view: View) -> tuple[dict[str, int], str]:
    """Wake-ups that wait, by queue; else why nobody can say. A broker inside the process is not asked."""
    settings = view.call.runtime.settings
    if settings.is_embedded:
        return {}, ""
    try:
        return queue_depths(settings.broker), ""
    except BrokerAway as error:
        return {}, str(error)
