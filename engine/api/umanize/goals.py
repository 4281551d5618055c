"""`…/verify-goal` (docs/contract/enrolled-targets.md, docs/goals.md): the analyser may take its time, and nothing is
held meanwhile.
"""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.call import Call, Caller
from engine.api.umanize import schemas, views
from engine.api.umanize.errors import UmanizeRoute
from engine.api.umanize.schemas import COMMON, MISSING
from engine.api.umanize.targets import JunkParameters
from engine.enrolled.targets import get_target
from engine.goals.port import Verdict
from engine.goals.verify import Asked, analyser_of, gather, judged, write

__all__ = ["router"]

router = APIRouter(route_class=UmanizeRoute, tags=["campaign-targets"], responses=COMMON)


@router.post(
    "/campaigns/{campaign_id}/targets/{target_id}/verify-goal",
    operation_id="verifyGoalForTarget",
    response_model=schemas.UmanizeTarget,
    responses=MISSING,
    dependencies=[JunkParameters],
)
async def verify(campaign_id: UUID, target_id: UUID, call: Caller) -> Response:
    """Judge the target's completed calls by the campaign's goal; writes its analysis and recomputes its stage."""
    asked = await call.in_thread(_gathered, call, campaign_id, target_id)
    analyser = analyser_of(call.runtime.settings)
    try:
        verdict = await judged(analyser, asked)
    finally:
        await analyser.close()
    return await call.in_thread(_written, call, campaign_id, target_id, asked, verdict)


def _gathered(call: Call, campaign_id: UUID, target_id: UUID) -> Asked:
    with call.read() as session:
        return gather(session, call.org_id, campaign_id, target_id)


def _written(call: Call, campaign_id: UUID, target_id: UUID, asked: Asked, verdict: Verdict) -> Response:
    with call.transaction() as session:
        write(session, call.org_id, asked, verdict, by=call.principal.name)
        found = get_target(session, call.org_id, campaign_id, target_id)
        return call.answer(session, views.target(found).sent())
