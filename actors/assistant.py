"""The MCP server (`muster mcp`): an assistant reads campaigns, and changes them after it was shown what that would do.

It is a client of the API: a tool can do what its key may, is audited under the key's name, and is held to the key's
rates. Tools that change something are there only where they are asked for, and those that let messages go take the
`confirmation` that `plan` answered; it is void once the plan is another one.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import httpx
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from config.version import version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["Api", "make_server"]

_INSTRUCTIONS = (
    "Muster delivers campaigns to recipients. Campaigns are named by the id that list_campaigns answers. Before "
    "anything is sent, call plan and show people how many are written to, who is left out and why; activate and "
    "resume want its confirmation. why says what happened to one recipient."
)
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_SENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False)
_HOLDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
#: Seconds that an answer may take; a plan of many recipients is the slowest.
_PATIENCE = 120.0

Id = Annotated[str, Field(description="Its id, as lists answer it.")]
Few = Annotated[int, Field(ge=1, le=100, description="How many at most.")]
Percentage = Annotated[float | None, Field(gt=0, le=100, description="Of the audience; absent: all of it.")]
Confirmation = Annotated[str, Field(description="What plan answered, with the same percentage.")]


class Api:
    """The API under one key.

    Args:
        url: Where it is: `http://127.0.0.1:8000`.
        key: An API key or a token.
        transport: Replaces the network.
    """

    def __init__(self, url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            timeout=_PATIENCE,
            transport=transport,
        )

    async def get(self, path: str, **params: Any) -> Any:
        """What a GET answers; parameters that are None are left out.

        Raises:
            ToolError: it was refused, or the API does not answer.
        """
        return await self._send("GET", path, params)

    async def post(self, path: str, json: Mapping[str, Any] | None = None, **params: Any) -> Any:
        """The same of a POST."""
        return await self._send("POST", path, params, json)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(
        self, method: str, path: str, params: Mapping[str, Any], json: Mapping[str, Any] | None = None
    ) -> Any:
        given = {name: value for name, value in params.items() if value is not None}
        try:
            answer = await self._http.request(method, path, params=given, json=json)
        except httpx.HTTPError as error:
            raise ToolError(f"the API does not answer: {str(error) or type(error).__name__}") from error
        try:
            body = answer.json()
        except ValueError:
            body = {}
        if answer.is_error:
            reason = (body.get("message") or body.get("error")) if isinstance(body, dict) else None
            raise ToolError(f"refused ({answer.status_code}): {reason or answer.reason_phrase}")
        return body["data"] if isinstance(body, dict) and "success" in body else body


def make_server(api: Api, *, changes: bool) -> MCPServer:
    """The server over `api`, which it closes at its end; `changes`: whether it has the tools that change something."""

    @asynccontextmanager
    async def lifespan(_: MCPServer) -> AsyncIterator[None]:
        yield
        await api.close()

    server = MCPServer("muster", instructions=_INSTRUCTIONS, version=version(), lifespan=lifespan)
    _add_readers(server, api)
    if changes:
        _add_changes(server, api)
    return server


def _add_readers(server: MCPServer, api: Api) -> None:
    @server.tool(annotations=_READS)
    async def list_campaigns(
        text: Annotated[str | None, Field(description="In the name.")] = None,
        status: Annotated[str | None, Field(description="draft, active, paused, completed …")] = None,
        limit: Few = 25,
    ) -> dict[str, Any]:
        """List campaigns, newest first."""
        found: dict[str, Any] = await api.get("/v1/campaign", q=text, status=status, limit=limit)
        return found

    @server.tool(annotations=_READS)
    async def get_campaign(campaign_id: Id) -> dict[str, Any]:
        """Get a campaign: audience, messages, limits, schedule and statistics."""
        found: dict[str, Any] = await api.get(_campaign(campaign_id))
        return found

    @server.tool(annotations=_READS)
    async def progress(campaign_id: Id) -> dict[str, Any]:
        """Say how far a campaign is, how fast it goes, what fails by code, and why it waits."""
        found: dict[str, Any] = await api.get(f"{_campaign(campaign_id)}/progress")
        return found

    @server.tool(annotations=_READS)
    async def statistics(
        campaign_id: Id, period: Literal["1h", "24h", "7d", "30d", "all"] = "all"
    ) -> dict[str, Any]:
        """Say what came of a campaign: sums, rates per hundred messages, by day, segment and variant."""
        found: dict[str, Any] = await api.get(f"{_campaign(campaign_id)}/statistics", period=period)
        return found

    @server.tool(annotations=_READS)
    async def recipients(
        campaign_id: Id,
        text: Annotated[str | None, Field(description="In name, address or external id.")] = None,
        status: Annotated[
            Literal["pending", "in_progress", "success", "failed", "cancelled"] | None,
            Field(description="Their delivery."),
        ] = None,
        limit: Few = 25,
    ) -> dict[str, Any]:
        """List recipients of a campaign with their status and error."""
        found: dict[str, Any] = await api.get(
            f"/v1/campaign/{_id(campaign_id)}/recipients", q=text, automation_status=status, limit=limit
        )
        return found

    @server.tool(annotations=_READS)
    async def why(campaign_id: Id, recipient_id: Id) -> dict[str, Any]:
        """Say what happened to one recipient and why: each attempt, what came back, what bars the address."""
        path = f"/v1/campaign/{_id(campaign_id)}/recipients/{_id(recipient_id)}/timeline"
        found: dict[str, Any] = await api.get(path)
        return found

    @server.tool(annotations=_READS)
    async def plan(campaign_id: Id, percentage: Percentage = None) -> dict[str, Any]:
        """Say what sending would do now: to how many, who is left out and why, how long, at what cost, what fails.

        Nothing is sent. `confirmation` is for activate and resume.
        """
        found = await _plan(api, campaign_id, percentage)
        return {**found, "confirmation": _confirmation(found, percentage)}


def _add_changes(server: MCPServer, api: Api) -> None:
    @server.tool(annotations=_SENDS)
    async def activate(
        campaign_id: Id, confirmation: Confirmation, percentage: Percentage = None
    ) -> dict[str, Any]:
        """Send a campaign, after people have seen its plan."""
        await _confirmed(api, campaign_id, confirmation, percentage)
        body = {} if percentage is None else {"targetPercentage": percentage}
        done: dict[str, Any] = await api.post(f"{_campaign(campaign_id)}/execute", body)
        return done

    @server.tool(annotations=_HOLDS)
    async def pause(campaign_id: Id) -> dict[str, Any]:
        """Hold a campaign that is being sent; its other recipients stay pending."""
        done: dict[str, Any] = await api.post(f"{_campaign(campaign_id)}/pause")
        return done

    @server.tool(annotations=_SENDS)
    async def resume(campaign_id: Id, confirmation: Confirmation) -> dict[str, Any]:
        """Go on with a paused campaign, after people have seen its plan."""
        await _confirmed(api, campaign_id, confirmation, None)
        done: dict[str, Any] = await api.post(f"{_campaign(campaign_id)}/resume")
        return done


async def _plan(api: Api, campaign_id: str, percentage: float | None) -> dict[str, Any]:
    found: dict[str, Any] = await api.post(f"/v1/campaign/{_id(campaign_id)}:plan", reach=percentage)
    return found


async def _confirmed(api: Api, campaign_id: str, confirmation: str, percentage: float | None) -> None:
    """Raises ToolError: the plan is another one than the one that was confirmed, or it would fail."""
    found = await _plan(api, campaign_id, percentage)
    if found["fails"]:
        raise ToolError("the plan says that it would fail: " + "; ".join(found["errors"]))
    if confirmation != _confirmation(found, percentage):
        raise ToolError("this is no confirmation of the plan as it is now; call plan, and show it again")


def _confirmation(found: Mapping[str, Any], percentage: float | None) -> str:
    """Names the figures of a plan that people agree to."""
    excluded = sorted((one["code"], one["count"]) for one in found["excluded"])
    channels = sorted((one["id"], one["messages"]) for one in found["channels"])
    figures = [found["campaign_id"], found["status"], percentage, found["written_to"], excluded, channels]
    return sha256(repr(figures).encode()).hexdigest()[:16]


def _campaign(campaign_id: str) -> str:
    return f"/api/v1/campaigns/{_id(campaign_id)}"


def _id(text: str) -> str:
    """Raises ToolError: it is empty, and would address something else."""
    if not text.strip("."):
        raise ToolError(f"{text!r} is no id")
    return quote(text, safe="")
