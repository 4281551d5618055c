"""Campaigns and their steps. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from muster_client.asynchronous.resource import PAGE, Resource, pages
from muster_client.calls import Call, given, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from muster_client.types import (
        AbTest,
        AbTestList,
        Answered,
        Campaign,
        CampaignList,
        CampaignPlan,
        Cloned,
        EmailStats,
        Executed,
        Execution,
        ExecutionList,
        JobStatus,
        Moved,
        Page,
        Progress,
        Recipient,
        Retriggered,
        Statistics,
        StatusChanged,
        TimelineEntry,
        Touchpoint,
        TouchpointList,
        Validation,
    )

__all__ = ["Campaigns"]

_IMBRACE = "/channel-service/v1"
#: Seconds that one question about a job may be held back (docs/contract/own-routes.md).
_LONG_POLL = 60.0
_OVER = frozenset(("finished", "failed", "cancelled"))


def _campaign(campaign_id: str) -> str:
    return f"/v1/campaign/{part(campaign_id)}"


def _run(campaign_id: str) -> str:
    """The same in the Campaigns API, whose answers stand in an envelope."""
    return f"/api/v1/campaigns/{part(campaign_id)}"


def _touchpoint(touchpoint_id: str) -> str:
    return f"{_IMBRACE}/touchpoints/{part(touchpoint_id)}"


class Campaigns(Resource):
    """Campaigns, their touchpoints, and what becomes of them. `body` may hold fields of your own; they come back."""

    async def list(
        self, *, status: str | None = None, sort: str = "-created_at", page_size: int = PAGE
    ) -> AsyncIterator[Campaign]:
        """All campaigns, newest first, a page at a time. One that is deleted meanwhile may hide another one."""
        seen: set[str] = set()
        offset = 0
        while True:
            params = given(status=status, sort=sort, limit=page_size, offset=offset)
            call: Call[CampaignList] = Call("GET", f"{_IMBRACE}/campaign", params)
            page = await self._send(call)
            for campaign in page["data"]:
                if campaign["_id"] not in seen:
                    seen.add(campaign["_id"])
                    yield campaign
            offset += page_size
            if offset >= page["total"]:
                return

    async def get(self, campaign_id: str) -> Campaign:
        """Raises NotFound."""
        call: Call[Campaign] = Call("GET", f"{_IMBRACE}/campaign/{part(campaign_id)}")
        return await self._send(call)

    async def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Campaign:
        """A new campaign, as a draft: `{"name", "channel_type"?, "description"?}`."""
        call: Call[Campaign] = Call("POST", f"{_IMBRACE}/campaign", json=body)
        return await self._send(call, idempotency_key)

    async def update(
        self, campaign_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Campaign:
        """Change the fields that are given."""
        call: Call[Campaign] = Call("PUT", f"{_IMBRACE}/campaign/{part(campaign_id)}", json=body)
        return await self._send(call, idempotency_key)

    async def delete(self, campaign_id: str, *, idempotency_key: str | None = None) -> None:
        """Delete a campaign with its touchpoints and recipients. Raises Conflict while it is being delivered."""
        call: Call[None] = Call("DELETE", f"{_IMBRACE}/campaign/{part(campaign_id)}")
        await self._send(call, idempotency_key)

    async def list_touchpoints(
        self,
        *,
        campaign_id: str | None = None,
        channel_id: str | None = None,
        status: str | None = None,
        is_archived: bool | None = None,
        sort: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> TouchpointList:
        """Touchpoints, newest first; `sort="position"` is the order in which they are run."""
        params = given(
            campaign_id=campaign_id,
            channel_id=channel_id,
            status=status,
            is_archived=is_archived,
            sort=sort,
            limit=limit,
            offset=offset,
        )
        call: Call[TouchpointList] = Call("GET", f"{_IMBRACE}/touchpoints", params)
        return await self._send(call)

    async def get_touchpoint(self, touchpoint_id: str) -> Touchpoint:
        """Raises NotFound."""
        call: Call[Touchpoint] = Call("GET", _touchpoint(touchpoint_id))
        return await self._send(call)

    async def create_touchpoint(
        self, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Touchpoint:
        """A step of a campaign: `{"name", "type", "campaign_id", "message" …}`; the last one, unless it says where."""
        call: Call[Touchpoint] = Call("POST", f"{_IMBRACE}/touchpoints", json=body)
        return await self._send(call, idempotency_key)

    async def update_touchpoint(
        self, touchpoint_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Touchpoint:
        """Change the fields that are given, each as a whole."""
        call: Call[Touchpoint] = Call("PUT", _touchpoint(touchpoint_id), json=body)
        return await self._send(call, idempotency_key)

    async def delete_touchpoint(self, touchpoint_id: str, *, idempotency_key: str | None = None) -> None:
        """Take a step away."""
        call: Call[None] = Call("DELETE", _touchpoint(touchpoint_id))
        await self._send(call, idempotency_key)

    async def validate_touchpoint(self, body: Mapping[str, Any]) -> Validation:
        """Whether `{"touchpoint_id": …}`, or a touchpoint that is not there yet, is fit to be activated."""
        call: Call[Validation] = Call("POST", f"{_IMBRACE}/touchpoints/_validate", json=body, asks=True)
        return await self._send(call)

    async def configure(
        self, campaign_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """What the campaign runs by: `target_ids`, `flow_id`, `start_date`, `end_date`, `ends` …

        Answers with the campaign as the Targeting API shows it.
        """
        call: Call[dict[str, Any]] = Call("PATCH", _campaign(campaign_id), json=body)
        return await self._send(call, idempotency_key)

    async def plan(
        self, campaign_id: str, *, reach: float | None = None, people: int | None = None
    ) -> CampaignPlan:
        """What an activation would do now: how many, who is left out and why, over what, how long, at what cost.

        Args:
            campaign_id: Which.
            reach: Percent of the audience.
            people: How many recipients are looked at one by one, at most.
        """
        params = given(reach=reach, people=people)
        call: Call[CampaignPlan] = Call("POST", f"{_campaign(campaign_id)}:plan", params, asks=True)
        return await self._send(call)

    async def _change_status(
        self, campaign_id: str, status: str, idempotency_key: str | None
    ) -> StatusChanged:
        path = f"{_campaign(campaign_id)}/status"
        call: Call[StatusChanged] = Call("POST", path, json={"status": status})
        return await self._send(call, idempotency_key)

    async def activate(self, campaign_id: str, *, idempotency_key: str | None = None) -> StatusChanged:
        """Start delivering. Raises BadRequest with the `code` of the first rule that forbids it."""
        return await self._change_status(campaign_id, "active", idempotency_key)

    async def deactivate(self, campaign_id: str, *, idempotency_key: str | None = None) -> StatusChanged:
        """Stop delivering: those who were not reached are cancelled, until it is activated again."""
        return await self._change_status(campaign_id, "inactive", idempotency_key)

    async def pause(self, campaign_id: str, *, idempotency_key: str | None = None) -> Moved:
        """Hold the delivery within half a second; everybody who is left stays pending.

        Raises Conflict unless it is under way.
        """
        call: Call[Answered[Moved]] = Call("POST", f"{_run(campaign_id)}/pause")
        return (await self._send(call, idempotency_key))["data"]

    async def resume(self, campaign_id: str, *, idempotency_key: str | None = None) -> Moved:
        """Go on after a pause, where it stood. Raises Conflict unless it is paused."""
        call: Call[Answered[Moved]] = Call("POST", f"{_run(campaign_id)}/resume")
        return (await self._send(call, idempotency_key))["data"]

    async def execute(
        self,
        campaign_id: str,
        *,
        scheduled_at: str | None = None,
        target_percentage: float | None = None,
        priority: str | None = None,
        test_mode: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Executed:
        """Start delivering to all of the audience or a part of it, now or later.

        Args:
            campaign_id: Which.
            scheduled_at: When, in ISO 8601 with an offset; absent: now. The past is refused.
            target_percentage: Of the audience, 1 to 100.
            priority: `low`, `normal` or `high`.
            test_mode: Nothing is sent; `get_execution` says what would have failed.
            idempotency_key: Absent: a new one.
        """
        body = given(
            scheduledAt=scheduled_at,
            targetPercentage=target_percentage,
            priority=priority,
            testMode=test_mode,
        )
        call: Call[Answered[Executed]] = Call("POST", f"{_run(campaign_id)}/execute", json=body)
        return (await self._send(call, idempotency_key))["data"]

    async def list_executions(self, campaign_id: str) -> AsyncIterator[Execution]:
        """Runs, starts that are scheduled and test runs, newest first."""
        call: Call[Answered[ExecutionList]] = Call("GET", f"{_run(campaign_id)}/executions")
        for execution in (await self._send(call))["data"]["executions"]:
            yield execution

    async def get_execution(self, campaign_id: str, execution_id: str) -> Execution:
        """Raises NotFound."""
        path = f"{_run(campaign_id)}/executions/{part(execution_id)}"
        call: Call[Answered[Execution]] = Call("GET", path)
        return (await self._send(call))["data"]

    async def unschedule(
        self, campaign_id: str, execution_id: str, *, idempotency_key: str | None = None
    ) -> None:
        """Call off a scheduled start. Raises Conflict when it has begun."""
        path = f"{_run(campaign_id)}/executions/{part(execution_id)}"
        call: Call[Any] = Call("DELETE", path)
        await self._send(call, idempotency_key)

    async def clone(
        self,
        campaign_id: str,
        *,
        name: str | None = None,
        reset_statistics: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Cloned:
        """A copy of it, as a draft."""
        body = given(name=name, resetStatistics=reset_statistics)
        call: Call[Answered[Cloned]] = Call("POST", f"{_run(campaign_id)}/clone", json=body)
        return (await self._send(call, idempotency_key))["data"]

    async def progress(self, campaign_id: str) -> Progress:
        """How far it is, how fast it goes, and why it waits."""
        call: Call[Answered[Progress]] = Call("GET", f"{_run(campaign_id)}/progress")
        return (await self._send(call))["data"]

    async def statistics(
        self, campaign_id: str, *, period: str | None = None, metrics: Sequence[str] = ()
    ) -> Statistics:
        """What came of it: sums, rates per hundred messages sent, a timeline, segments, variants.

        Args:
            campaign_id: Which.
            period: `1h`, `24h`, `7d`, `30d` or `all`.
            metrics: Sections and figures; empty: all.
        """
        params = given(period=period, metrics=",".join(metrics) or None)
        call: Call[Answered[Statistics]] = Call("GET", f"{_run(campaign_id)}/statistics", params)
        return (await self._send(call))["data"]

    async def create_ab_test(
        self, campaign_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> AbTest:
        """Give a draft an A/B test (docs/statistics.md)."""
        call: Call[Answered[AbTest]] = Call("POST", f"{_run(campaign_id)}/ab-tests", json=body)
        return (await self._send(call, idempotency_key))["data"]

    async def ab_test(self, campaign_id: str) -> AbTest | None:
        """The A/B test of a campaign, if it has one."""
        call: Call[Answered[AbTestList]] = Call("GET", f"{_run(campaign_id)}/ab-tests")
        tests = (await self._send(call))["data"]["abTests"]
        return tests[0] if tests else None

    async def start_ab_test(self, campaign_id: str, *, idempotency_key: str | None = None) -> AbTest:
        """Send to the sample; the rest follows when a variant has won."""
        call: Call[Answered[AbTest]] = Call("POST", f"{_run(campaign_id)}/ab-tests:start")
        return (await self._send(call, idempotency_key))["data"]

    async def job(self, campaign_id: str, *, wait: float = 0.0) -> JobStatus:
        """How far the campaign's job is; `wait`: seconds (60 at most) to hold the answer back until it is over."""
        wait = min(wait, _LONG_POLL)
        headers = {"prefer": f"wait={int(wait)}"} if int(wait) else {}
        call: Call[JobStatus] = Call("GET", f"{_campaign(campaign_id)}/job", headers=headers, patience=wait)
        return await self._send(call)

    async def wait_for_job(
        self,
        campaign_id: str,
        *,
        seconds: float | None = None,
        seen: Callable[[JobStatus], object] | None = None,
    ) -> JobStatus:
        """Wait until the campaign's job is over, without asking more often than once a minute.

        Args:
            campaign_id: Which.
            seconds: How long to wait at most; absent: as long as it takes.
            seen: Called with every answer.

        Returns:
            The last answer. When the time was up, its status says how far the job is; a campaign without a job has
            none, and is answered at once.
        """
        left = seconds
        while True:
            wait = _LONG_POLL if left is None else min(left, _LONG_POLL)
            status = await self.job(campaign_id, wait=wait)
            if seen is not None:
                seen(status)
            left = None if left is None else left - _LONG_POLL
            if status.get("status") in (None, *_OVER) or (left is not None and left <= 0):
                return status

    def recipients(
        self,
        campaign_id: str,
        *,
        automation_status: Sequence[str] = (),
        portal_status: str | None = None,
        email_status: str | None = None,
        q: str | None = None,
        page_size: int = PAGE,
    ) -> AsyncIterator[Recipient]:
        """The campaign's recipients, all of them, a page at a time."""
        params = given(portal_status=portal_status, email_status=email_status, q=q, limit=page_size)
        if automation_status:
            params["automation_status"] = list(automation_status)
        call: Call[Page[Recipient]] = Call("GET", f"{_campaign(campaign_id)}/recipients", params)
        return pages(self._send, call)

    def timeline(
        self, campaign_id: str, recipient_id: str, *, page_size: int = PAGE
    ) -> AsyncIterator[TimelineEntry]:
        """What happened to one recipient, oldest first, a page at a time."""
        path = f"{_campaign(campaign_id)}/recipients/{part(recipient_id)}/timeline"
        call: Call[Page[TimelineEntry]] = Call("GET", path, given(limit=page_size))
        return pages(self._send, call)

    async def retrigger(
        self, campaign_id: str, recipient_ids: Sequence[str], *, idempotency_key: str | None = None
    ) -> Retriggered:
        """Deliver again to those of them that failed."""
        body = {"recipient_ids": [str(one) for one in recipient_ids]}
        path = f"{_campaign(campaign_id)}/automations:retrigger"
        call: Call[Retriggered] = Call("POST", path, json=body)
        return await self._send(call, idempotency_key)

    async def email_stats(self, campaign_id: str) -> EmailStats:
        """What became of the campaign's e-mail."""
        call: Call[EmailStats] = Call("GET", f"{_campaign(campaign_id)}/email-stats")
        return await self._send(call)
