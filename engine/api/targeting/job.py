"""`getCampaignJobStatus` (docs/contract/targeting.md, operation 2), with `ETag` and `Prefer: wait=N` (own-routes.md).

`If-None-Match` answers 304 while nothing has changed. `Prefer: wait=N` (RFC 7240, at most 60 s) holds the
answer back: with `If-None-Match` until something has changed, without it until the job is over; or until the
time is up.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Call, Caller
from engine.api.targeting import schemas
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON
from engine.api.waiting import wait_for_caller
from engine.insight.summary import JobVersion, job_status, job_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.shares import Shares
    from engine.api.watch import JobWatch

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Campaign"], responses=COMMON)

LONGEST_WAIT_SECONDS = 60
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE)


@router.get(
    "/v1/campaign/{campaign_id}/job",
    operation_id="getCampaignJobStatus",
    response_model=schemas.JobStatus,
    responses={304: {"description": "Nothing has changed since the given ETag"}},
)
async def get_campaign_job_status(campaign_id: UUID, call: Caller, request: Request) -> Response:
    """Get the status of a campaign's automation job. Empty for a campaign that has none."""
    known = request.headers.get("if-none-match")
    headers: dict[str, str] = {}
    seconds = _wait(request)

    def is_news(version: JobVersion) -> bool:
        return known is None or not _matches(known, _etag(campaign_id, version))

    def enough(version: JobVersion) -> bool:
        return version.over if known is None else is_news(version)

    version, status = await call.in_thread(_status, call, campaign_id, is_news if seconds is None else enough)
    if seconds is not None:
        headers["preference-applied"] = f"wait={seconds}"
        if not enough(version):
            watch: JobWatch = request.app.state.watch
            shares: Shares = request.app.state.shares
            with shares.polls.place(call.org_id):
                waiting = watch.wait(call.org_id, campaign_id, until=enough, seconds=seconds)
                await wait_for_caller(request, call.principal, waiting)
            version, status = await call.in_thread(_status, call, campaign_id, is_news)
    headers |= {"etag": _etag(campaign_id, version), "cache-control": "private, no-cache"}
    return json_answer(status, 304 if status is None else 200, headers)


def _status(
    call: Call, campaign_id: UUID, wanted: Callable[[JobVersion], bool]
) -> tuple[JobVersion, dict[str, object] | None]:
    """How a job stands, and all that is known of it, of one moment; None: `wanted` says that it is not wanted."""
    with call.read() as session:
        version = job_version(session, call.org_id, campaign_id)
        if not wanted(version):
            return version, None
        return version, job_status(session, call.org_id, campaign_id, version)


def _etag(campaign_id: UUID, version: JobVersion) -> str:
    """Weak: two executions that swap their places change it not."""
    return f'W/"{hashlib.sha256(repr((campaign_id, version)).encode()).hexdigest()[:24]}"'


def _matches(given: str, etag: str) -> bool:
    """RFC 9110 §13.1.2, weak comparison."""
    strong = etag.removeprefix("W/")
    return any(tag.strip() == "*" or tag.strip().removeprefix("W/") == strong for tag in given.split(","))


def _wait(request: Request) -> int | None:
    """Seconds to wait at most; a preference that cannot be read is ignored, as RFC 7240 §2 wants it."""
    found = _WAIT.search(",".join(request.headers.getlist("prefer")))
    return None if found is None else min(int(found.group(1)), LONGEST_WAIT_SECONDS)
