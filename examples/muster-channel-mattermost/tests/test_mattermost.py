"""The suite that every channel passes, over a server that answers as Mattermost's webhooks do."""

from __future__ import annotations

import asyncio
import threading
from ipaddress import ip_network
from uuid import UUID, uuid4

import pytest
from aiohttp import web

from engine.channels import registry
from engine.channels.options import options
from engine.channels.port import ChannelContext, Deferred, Delivered, Doubtful, Down, Rejected, Throttled
from engine.content.message import Content
from engine.kernel.outbound import Guard
from muster_testing.channels import SECRET, WireConformance, message

ANSWERS = {
    "permanent": (400, "Couldn't find the user"),
    "transient": (502, "Bad Gateway"),
    "throttled": (429, "Too many requests"),
    "down": (403, "Invalid webhook"),
}


class Mattermost:
    """A server on a thread of its own."""

    def __init__(self) -> None:
        self.scenario = "healthy"
        self.taken: list[UUID] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(30)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_post("/hooks/{key}", self._post)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = runner.addresses[0][1]
        started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _post(self, request: web.Request) -> web.Response:
        post = await request.json()
        if request.match_info["key"] != SECRET or self.scenario == "down":
            return web.json_response({"id": "x", "message": f"Invalid webhook {SECRET}"}, status=403)
        if not post.get("text"):
            return web.json_response({"id": "x", "message": "No text specified"}, status=400)
        if self.scenario in ANSWERS:
            status, said = ANSWERS[self.scenario]
            return web.json_response({"id": "x", "message": said}, status=status)
        if self.scenario == "slow":
            await asyncio.sleep(0.05)
        self.taken.append(UUID(post["props"]["muster_execution_id"]))
        if self.scenario == "accepted_in_silence":
            await asyncio.sleep(3600)
        return web.Response(text="ok")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)


class Rig:
    def __init__(self, server: Mattermost) -> None:
        self.server = server

    def channel(self):
        settings = {"insecure_login": True, "concurrency": 5}
        if self.server.scenario == "accepted_in_silence":
            settings |= {"timeout": 2, "concurrency": 25}
        credentials = {"url": f"http://127.0.0.1:{self.server.port}/hooks/{SECRET}"}
        context = ChannelContext(guard=Guard([ip_network("127.0.0.0/8")]))
        return registry.build("mattermost", settings, credentials, context)

    def arrange(self, scenario: str) -> None:
        self.server.scenario = scenario

    def accepted(self) -> list[UUID]:
        return list(self.server.taken)

    def wave(self, count: int):
        return [
            message(f"@user{n}", content=Content("", "Hello Ada", None), execution_id=uuid4())
            for n in range(count)
        ]


class TestMattermost(WireConformance):
    scenarios = frozenset(("healthy", "accepted_in_silence", *ANSWERS))
    expected = {
        "healthy": (Delivered,),
        "permanent": (Rejected,),
        "transient": (Deferred,),
        "throttled": (Throttled,),
        "down": (Down,),
        "accepted_in_silence": (Doubtful,),
    }

    @pytest.fixture
    def rig(self):
        server = Mattermost()
        yield Rig(server)
        server.close()


def test_it_is_a_kind_with_a_form() -> None:
    assert "mattermost" in registry.kinds()
    assert [one.name for one in options("mattermost") if one.required] == ["url"]


@pytest.mark.parametrize(
    ("value", "address"),
    [("Ada.L", "@ada.l"), (" @bo ", "@bo"), ("two words", None), ("", None), (7, None), (None, None)],
)
def test_an_address_is_a_user_name(value, address) -> None:
    context = ChannelContext(guard=Guard([]))
    channel = registry.build("mattermost", {}, {"url": "https://chat.example.com/hooks/k"}, context)
    assert channel.address_of({"mattermost": value}) == address
