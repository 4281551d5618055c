"""From a campaign to a click: messages that are really delivered, and the links that are really in them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from actors.context import Context
from actors.registry import ACTORS
from engine.campaigns import lifecycle
from engine.delivery.lease import Executor
from engine.delivery.sender import Senders
from engine.events.webhook_dispatcher import WebhookDispatcher
from engine.kernel.send_loop import SendLoop
from tests.targeting.test_matching import statements
from tests.tracking.test_bots import PEOPLE
from tests.tracking.world import Mailing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Api

HTML = (
    '<body>Hi {{ name }} <a href="https://shop.example/{{ name }}">yours</a> '
    '<a href="https://shop.example/all">all</a></body>'
)


class Post(Mailing):
    """An organization whose messages go to files."""

    directory: Path

    def deliver(self, campaign_id: UUID) -> dict[str, dict[str, Any]]:
        """Activate and run until nothing is left; the messages by address."""
        runtime, loop = self.api.runtime, SendLoop()
        senders = Senders(runtime.settings, loop, runtime.database)
        executor = Executor(runtime, senders, loop)
        with runtime.transaction() as session:
            lifecycle.activate(session, self.api.org_id, campaign_id, window=4)
        dispatcher = WebhookDispatcher(runtime, loop)
        context = Context(runtime, executor, dispatcher)
        while self.api.wakeups.sent:
            command = self.api.wakeups.sent.pop(0)
            ACTORS[type(command)](context, command)
        dispatcher.stop()
        senders.close()
        loop.close()
        path = self.directory / "outbox" / f"{campaign_id}.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return {line["address"]: line for line in lines}

    def mailing(self, **campaign: Any) -> UUID:
        """A draft that writes to everybody with an address."""
        if "flow_id" not in campaign:
            template = self.made("/v1/template", {"name": "t", "subject": "Hello", "html": HTML})
            steps = [{"template_id": template}]
            campaign["flow_id"] = self.made("/v1/flow", {"name": "f", "touchpoints": steps})
        target = self.made(
            "/v1/target",
            {
                "name": "all",
                "entity_schema": "contact",
                "entity_filters": {
                    "filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}
                },
            },
        )
        body = {"name": "c", "target_ids": [target], **campaign}
        return UUID(self.made("/v1/campaign", body))

    def made(self, path: str, body: dict[str, Any]) -> str:
        answer = self.client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["_id"])


@pytest.fixture
def post(api: Api, client: httpx.Client) -> Post:
    world = Post(api, client)
    world.directory = api.runtime.settings.data_dir
    return world


@pytest.fixture
def channel_id(post: Post) -> str:
    return post.made("/v1/channel", {"name": "files", "kind": "file", "is_default": True})


def follow(url: str) -> httpx.Response:
    return httpx.get(url, headers={"user-agent": PEOPLE[0]})


def ours(html: str, kind: str) -> list[str]:
    return re.findall(rf'"(https?://[^"]*/t/{kind}/[^"]+)"', html)


def test_what_is_delivered_can_be_opened_and_clicked(post: Post, channel_id: str) -> None:
    campaign_id = post.mailing(tracking={"opens": True, "clicks": True})
    people = {name: post.entity(name=name, email=f"{name}@x.example") for name in ("ada", "bo")}
    sent = post.deliver(campaign_id)
    html = sent["ada@x.example"]["html"]
    assert "https://shop.example/ada" in sent["ada@x.example"]["text"], "people read addresses they know"
    post.api.clock.forward(minutes=5)
    yours, everybody = ours(html, "c")
    base = str(post.api.runtime.settings.public_url).rstrip("/")
    for url, leads in ((yours, "https://shop.example/ada"), (everybody, "https://shop.example/all")):
        answer = follow(url.replace(base, post.api.url))
        assert (302, leads) == (answer.status_code, answer.headers["location"])
    (picture,) = ours(html, "o")
    assert 200 == follow(picture.replace(base, post.api.url)).status_code
    post.api.app.state.hits.flush(everything=True)
    assert {("email", "clicked"): (1, 2), ("email", "read"): (1, 1)} == post.hours(campaign_id)
    assert {people["ada"]} == {str(row.entity_id) for row in post.engagements(campaign_id)}
    assert {post.touchpoint(campaign_id)} == {row.touchpoint_id for row in post.engagements(campaign_id)}
    post.check_sums()


@pytest.mark.parametrize(
    ("channel", "campaign", "clicks", "opens"),
    [
        (None, None, 0, 0),
        ({"clicks": True}, None, 2, 0),
        ({"clicks": True, "opens": True}, {"clicks": False}, 0, 1),
        (None, {"opens": True}, 0, 1),
    ],
)
def test_it_is_the_channels_choice_and_then_the_campaigns(
    post: Post, channel: dict[str, bool] | None, campaign: dict[str, bool] | None, clicks: int, opens: int
) -> None:
    made = post.made("/v1/channel", {"name": "f", "kind": "file", "is_default": True, "tracking": channel})
    assert channel == post.client.get(f"/v1/channel/{made}").json().get("tracking")
    campaign_id = post.mailing(tracking=campaign)
    assert campaign == post.client.get(f"/v1/campaign/{campaign_id}").json().get("tracking")
    post.entity(name="ada", email="ada@x.example")
    html = post.deliver(campaign_id)["ada@x.example"]["html"]
    assert (clicks, opens) == (len(ours(html, "c")), len(ours(html, "o")))


def test_tracking_that_is_changed_takes_effect_with_the_next_slice(post: Post, channel_id: str) -> None:
    campaign_id = post.mailing(ends="when_told")
    post.entity(name="ada", email="ada@x.example")
    assert not ours(post.deliver(campaign_id)["ada@x.example"]["html"], "c")
    answer = post.client.patch(f"/v1/campaign/{campaign_id}", json={"tracking": {"clicks": True}})
    assert 200 == answer.status_code
    assert {"clicks": True} == answer.json()["tracking"]
    answer = post.client.patch(f"/v1/campaign/{campaign_id}", json={"tracking": {"cliks": True}})
    assert (400, True) == (answer.status_code, "did you mean 'clicks'" in answer.json()["message"])
    answer = post.client.patch(f"/v1/campaign/{campaign_id}", json={"attribution_days": 91})
    assert (400, True) == (answer.status_code, "attribution_days" in answer.json()["message"])


def test_whoever_left_one_campaign_gets_no_more_of_it_and_all_of_the_others(
    post: Post, channel_id: str
) -> None:
    """The second campaign writes to both; the first, activated again, to neither who left it."""
    first, second = post.mailing(), post.mailing()
    for name in ("ada", "bo"):
        post.entity(name=name, email=f"{name}@x.example")
    sent = post.deliver(first)
    base = str(post.api.runtime.settings.public_url).rstrip("/")
    url = sent["ada@x.example"]["unsubscribe_url"].replace(base, post.api.url)
    assert 200 == httpx.post(url, data={"scope": "campaign"}).status_code
    assert {"ada@x.example", "bo@x.example"} == set(post.deliver(second))
    third = post.mailing()
    assert 200 == httpx.post(url, data={"scope": "all"}).status_code
    assert {"bo@x.example"} == set(post.deliver(third))
    listed = post.client.get(f"/v1/campaign/{third}/recipients?automation_status=cancelled").json()
    assert 1 == listed["total"]


def test_tracking_costs_no_statement(post: Post, channel_id: str) -> None:
    """Whether messages tell of anything is read with the sender, once a slice."""
    for number in range(6):
        post.entity(name=f"p{number}", email=f"{number}@x.example")
    with statements(post.api.database) as without:
        post.deliver(post.mailing())
    with statements(post.api.database) as tracked:
        post.deliver(post.mailing(tracking={"opens": True, "clicks": True}))
    assert len(without) == len(tracked)
