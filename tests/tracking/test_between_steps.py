"""Consent between two messages of a campaign: whoever leaves, bounces or complains gets no second one."""

from __future__ import annotations

import json
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
from tests.harness.sweeping import sweep
from tests.tracking.letters import block, delivery_report, original
from tests.tracking.test_delivered import Post
from tests.tracking.test_timeline import told, whats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Api

NAMES = ("ada", "bo", "cy", "di")


class Course(Post):
    """Two messages, two days apart."""

    context: Context

    def run(self) -> None:
        """Whatever is due."""
        runtime = self.api.runtime
        sweep(runtime)
        while self.api.wakeups.sent:
            command = self.api.wakeups.sent.pop(0)
            ACTORS[type(command)](self.context, command)

    def start(self, campaign_id: UUID) -> None:
        with self.api.runtime.transaction() as session:
            lifecycle.activate(session, self.api.org_id, campaign_id, window=4)
        self.run()

    def lines(self, campaign_id: UUID) -> list[dict[str, Any]]:
        path = self.directory / "outbox" / f"{campaign_id}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def sent_to(self, campaign_id: UUID) -> list[str]:
        return sorted(line["address"].partition("@")[0] for line in self.lines(campaign_id))

    def two_messages(self) -> UUID:
        first, second = (
            self.made("/v1/template", {"name": name, "subject": name, "text": "Hello"})
            for name in ("first", "second")
        )
        steps = [
            {"name": "first", "template_id": first},
            {"name": "pause", "type": "wait", "settings": {"days": 2}},
            {"name": "second", "template_id": second},
        ]
        flow = self.made("/v1/flow", {"name": "f", "touchpoints": steps})
        return self.mailing(flow_id=flow)


@pytest.fixture
def course(api: Api, client: httpx.Client) -> Iterator[Course]:
    course = Course(api, client)
    course.directory = api.runtime.settings.data_dir
    loop = SendLoop()
    senders = Senders(api.runtime.settings, loop, api.runtime.database)
    dispatcher = WebhookDispatcher(api.runtime, loop)
    course.context = Context(api.runtime, Executor(api.runtime, senders, loop), dispatcher)
    course.made("/v1/channel", {"name": "files", "kind": "file", "is_default": True})
    yield course
    dispatcher.stop()
    senders.close()
    loop.close()


def test_an_unsubscribe_between_step_one_and_two_stops_step_two_and_a_bounce_is_for_all(
    course: Course,
) -> None:
    """The issue's line 6: ada leaves everything, bo this campaign, cy's address is gone; di stays."""
    clock = course.api.clock
    people = {name: course.entity(name=name, email=f"{name}@x.example") for name in NAMES}
    campaign_id = course.two_messages()
    course.start(campaign_id)
    assert sorted(NAMES) == course.sent_to(campaign_id)
    base = str(course.api.runtime.settings.public_url).rstrip("/")
    links = {line["address"].partition("@")[0]: line["unsubscribe_url"] for line in course.lines(campaign_id)}
    clock.forward(hours=5)
    body = {"List-Unsubscribe": "One-Click"}
    assert 200 == httpx.post(links["ada"].replace(base, course.api.url), data=body).status_code
    assert (
        200 == httpx.post(links["bo"].replace(base, course.api.url), data={"scope": "campaign"}).status_code
    )
    report = delivery_report(block("cy@x.example"), returned=original(unsubscribe=links["cy"]))
    answer = course.client.post("/v1/inbound/email", content=report).json()
    assert ("hard_bounce", people["cy"]) == (answer["suppressed"], answer["recipient_id"])
    clock.forward(days=2)
    course.run()
    assert sorted((*NAMES, "di")) == course.sent_to(campaign_id), "nobody but di gets the second"

    reasons = {"ada": "unsubscribe", "bo": "unsubscribe", "cy": "hard_bounce"}
    for name, reason in reasons.items():
        story = told(course, campaign_id, UUID(people[name]))
        kinds = whats(story)
        came_back = "email.bounced" if name == "cy" else "email.unsubscribed"
        assert ["recipient.enrolled", "message.sent"] == kinds[:2], kinds
        assert {came_back, "address.suppressed", "message.excluded"} <= set(kinds), kinds
        assert kinds.index("message.sent") < kinds.index(came_back) < kinds.index("message.excluded")
        by_what = {one["what"]: one["data"] for one in story["results"]}
        assert ("first", "second") == (
            by_what["message.sent"]["touchpoint"],
            by_what["message.excluded"]["touchpoint"],
        )
        assert "first" == by_what[came_back]["touchpoint"], "put down to the message it is about"
        excluded = by_what["message.excluded"]
        assert ("SUPPRESSED", reason) == (excluded["error_code"], excluded["error_text"])
        scope = "campaign" if name == "bo" else "all"
        assert (reason, scope) == (
            by_what["address.suppressed"]["reason"],
            by_what["address.suppressed"]["scope"],
        )
    assert 2 == whats(told(course, campaign_id, UUID(people["di"]))).count("message.sent")

    other = course.mailing()
    course.start(other)
    assert ["bo", "di"] == course.sent_to(other), "the whole organization keeps away from ada and cy"
    course.check_sums()


def test_what_comes_back_is_put_down_to_the_message_before_it(course: Course) -> None:
    clock = course.api.clock
    ada = UUID(course.entity(name="ada", email="ada@x.example"))
    campaign_id = course.two_messages()
    course.start(campaign_id)
    events: list[dict[str, Any]] = []
    for step in ("first", "second"):
        clock.forward(hours=1)
        at = clock.now().isoformat()
        whom = {"campaign_id": str(campaign_id), "recipient_id": str(ada), "at": at}
        events += [
            {"id": f"{step}-{kind}", "type": f"message.{kind}", **whom} for kind in ("read", "clicked")
        ]
        events.append(
            {"id": f"{step}-order", "type": "conversion", "entity_id": str(ada), "at": at, "revenue": 10}
        )
        clock.forward(days=2)
        course.run()
    answer = course.client.post("/v1/events", json=events).json()
    assert 6 == answer["accepted"], answer
    found: dict[str, set[str]] = {}
    for one in told(course, campaign_id, ada)["results"]:
        if one["what"].startswith("email."):
            found.setdefault(one["what"], set()).add(one["data"]["touchpoint"])
    assert {"email.read", "email.clicked", "email.converted"} == set(found)
    assert all(touchpoints == {"first", "second"} for touchpoints in found.values()), found
    assert (1, 2) == course.hours(campaign_id)["email", "read"], "one reader, of two messages"
    course.check_sums()
