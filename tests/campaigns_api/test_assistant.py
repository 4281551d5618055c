"""`muster mcp`: what an assistant may read and change, and that nothing is sent without a plan that is still true."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent

from actors.assistant import Api, make_server
from tests.harness.child import ROOT
from tests.harness.dev_server import dev_server
from tests.harness.waiting import patience

if TYPE_CHECKING:
    from pathlib import Path

    from tests.campaigns_api.desk import Desk

READERS = {
    "list_campaigns", "get_campaign", "progress", "statistics", "recipients", "why", "plan",
}  # fmt: skip


class Assistant:
    """Calls tools under a key of some role."""

    def __init__(self, desk: Desk, role: str = "operator", *, changes: bool = True) -> None:
        self.url, self.key, self.changes = desk.api.url, desk.api.keys[role], changes

    def __call__(self, tool: str, **arguments: Any) -> Any:
        """What a tool answers; of one that refuses: the text of it."""

        async def call() -> Any:
            async with Client(make_server(Api(self.url, self.key), changes=self.changes)) as client:
                done = await client.call_tool(tool, arguments)
                if not done.is_error:
                    return done.structured_content
                said = done.content[0]
                assert isinstance(said, TextContent)
                return said.text

        return asyncio.run(call())

    def tools(self) -> dict[str, Any]:
        async def call() -> Any:
            async with Client(make_server(Api(self.url, self.key), changes=self.changes)) as client:
                return {tool.name: tool.annotations for tool in (await client.list_tools()).tools}

        found: dict[str, Any] = asyncio.run(call())
        return found


def test_without_changes_it_only_reads(desk: Desk) -> None:
    tools = Assistant(desk, changes=False).tools()
    assert set(tools) == READERS
    assert all(one.read_only_hint for one in tools.values())
    more = Assistant(desk).tools()
    assert set(more) - READERS == {"activate", "pause", "resume"}
    assert not any(more[name].read_only_hint for name in set(more) - READERS)


def test_a_campaign_is_sent_after_its_plan_and_not_after_another(desk: Desk) -> None:
    desk.furnish(people=5)
    campaign = desk.plain(name="spring")
    assistant = Assistant(desk)
    listed = assistant("list_campaigns", text="spri")
    assert [one["_id"] for one in listed["results"]] == [campaign]
    assert assistant("get_campaign", campaign_id=campaign)["name"] == "spring"
    plan = assistant("plan", campaign_id=campaign)
    assert (plan["written_to"], plan["fails"]) == (5, False)

    assert "no confirmation" in assistant("activate", campaign_id=campaign, confirmation="yes")
    half = assistant("plan", campaign_id=campaign, percentage=40)
    assert "no confirmation" in assistant("activate", campaign_id=campaign, confirmation=half["confirmation"])
    desk.people(1, visits=2, name="late")
    assert "no confirmation" in assistant("activate", campaign_id=campaign, confirmation=plan["confirmation"])
    assert desk.status(campaign) == "draft"

    plan = assistant("plan", campaign_id=campaign)
    done = assistant("activate", campaign_id=campaign, confirmation=plan["confirmation"])
    assert done["status"] == "started"
    assert assistant("pause", campaign_id=campaign)["status"] == "paused"
    again = assistant("plan", campaign_id=campaign)
    assert assistant("resume", campaign_id=campaign, confirmation=again["confirmation"])["status"] == "active"
    desk.work()
    assert assistant("progress", campaign_id=campaign)["progress"]["successful"] == 6
    assert "sent" in str(assistant("statistics", campaign_id=campaign))
    reached = assistant("recipients", campaign_id=campaign, status="success", limit=2)
    assert len(reached["results"]) == 2
    story = assistant("why", campaign_id=campaign, recipient_id=reached["results"][0]["entity_id"])
    assert "message.sent" in {one["what"] for one in story["results"]}


def test_a_plan_that_would_fail_is_not_sent(desk: Desk) -> None:
    desk.furnish(people=0)
    campaign = desk.plain(name="nobody")
    assistant = Assistant(desk)
    plan = assistant("plan", campaign_id=campaign)
    assert plan["fails"]
    assert "would fail" in assistant("activate", campaign_id=campaign, confirmation=plan["confirmation"])
    assert desk.status(campaign) == "draft"


def test_it_can_do_what_its_key_may(desk: Desk) -> None:
    desk.furnish(people=2)
    campaign = desk.plain()
    viewer = Assistant(desk, "viewer")
    plan = viewer("plan", campaign_id=campaign)
    assert "refused (403)" in viewer("activate", campaign_id=campaign, confirmation=plan["confirmation"])
    stranger = Assistant(desk)
    stranger.key = "mk_unknown"
    assert "refused (401)" in stranger("progress", campaign_id=campaign)
    assert "refused (404)" in viewer("progress", campaign_id="../../v1/organization")
    assert "is no id" in viewer("get_campaign", campaign_id="..")
    away = Assistant(desk)
    away.url = "http://127.0.0.1:1"
    assert "does not answer" in away("list_campaigns")


@pytest.mark.slow
def test_the_command_speaks_over_standard_input_and_output(tmp_path: Path) -> None:
    key = "mk_assistant_tests_0123456789abcdef"
    with dev_server(tmp_path, key) as url:
        httpx.post(
            f"{url}/v1/campaign", json={"name": "spring"}, headers={"authorization": f"Bearer {key}"}
        ).raise_for_status()
        (tmp_path / "key").write_text(f"{key}\n")
        command = StdioServerParameters(
            command=sys.executable,
            args=["-m", "actors.cli", "mcp", "--url", url, "--key-file", str(tmp_path / "key")],
            cwd=ROOT,
        )

        async def call() -> Any:
            async with Client(stdio_client(command), read_timeout_seconds=patience(60)) as client:
                return (await client.call_tool("list_campaigns", {})).structured_content

        assert [one["name"] for one in asyncio.run(call())["results"]] == ["spring"]
