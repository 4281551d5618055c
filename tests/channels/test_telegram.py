"""The telegram channel against a server that speaks the Bot API."""

from __future__ import annotations

from typing import ClassVar

import pytest

from engine.channels import registry
from engine.channels.port import Deferred, Delivered, Down, Rejected, Throttled
from engine.channels.registry import InvalidChannel
from engine.content.message import Content
from muster_testing.channels import SECRET, WireConformance, message
from tests.channels.http_rig import EXPECTED, ApiRig, outcome_in, refusal_in

TOKEN = f"123456:{SECRET}"


class TelegramRig(ApiRig):
    kind = "telegram"

    def __init__(self, provider, **settings):
        super().__init__(provider, {"base_url": provider.url, **settings}, {"token": TOKEN})

    def address(self, number):
        return str(1000 + number)


@pytest.fixture
def rig(provider):
    return TelegramRig(provider("telegram"))


class TestTelegram(WireConformance):
    scenarios = frozenset(EXPECTED)
    expected: ClassVar = EXPECTED


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("permanent", Rejected("TELEGRAM_CHAT_NOT_FOUND", "Bad Request: chat not found")),
        ("blocked", Rejected("TELEGRAM_BLOCKED", "Forbidden: bot was blocked by the user", "unsubscribe")),
        ("deactivated", Rejected("TELEGRAM_DEACTIVATED", "Forbidden: user is deactivated", "hard_bounce")),
        (
            "kicked",
            Rejected("TELEGRAM_KICKED", "Forbidden: bot was kicked from the group chat", "unsubscribe"),
        ),
        ("moved", Rejected("TELEGRAM_MOVED", "the group is the supergroup -1001234567890 now")),
        ("transient", Deferred("TELEGRAM_500", "500 Internal Server Error", of_service=True)),
        ("throttled", Throttled("TELEGRAM_429", "Too Many Requests: retry after 7", 7.0)),
        ("account", Down("TELEGRAM_LOGIN", "Unauthorized: ***")),
        ("healthy", Delivered("42")),
    ],
)
def test_what_the_bot_api_says(rig, told, expected):
    assert outcome_in(rig, told) == expected


@pytest.mark.parametrize(
    ("mode", "content", "text"),
    [
        (None, Content("s", "a < b", "<b>x</b>"), "a < b"),
        ("HTML", Content("s", "a < b", "<b>x</b>"), "<b>x</b>"),
        ("HTML", Content("s", "a < b"), "a &lt; b"),
        ("MarkdownV2", Content("s", "*a*"), "*a*"),
    ],
)
def test_which_part_is_sent(rig, mode, content, text):
    rig.settings |= {} if mode is None else {"parse_mode": mode}
    content = Content("s", f"{content.text} ", content.html)
    outcome = refusal_in(rig, "stall", message("@muster_news", content=content))
    assert outcome.code == "HTTP_TIMEOUT"
    request = rig.channel()._request(message("@muster_news", content=content))
    assert text.encode() in request.body.replace(b"\\u003c", b"<")
    assert b'"@muster_news"' in request.body


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (Content("s", ""), None, "no text"),
        (Content("s", None, "<p>x</p>"), None, "no text"),
        (Content("s", "x" * 4097), None, "4097 characters; Telegram takes 4096"),
        (Content("s", None, "<b></b> "), "HTML", "no text"),
        (Content("s", None, "&lt;" * 4097), "HTML", "4097 characters"),
        (Content("s", "x" * 4096), None, None),
        (Content("s", None, "<b>" + "&amp;" * 4096 + "</b>"), "HTML", None),
    ],
)
def test_its_bounds(rig, content, mode, problem):
    settings = {} if mode is None else {"parse_mode": mode}
    problems = registry.problems_of("telegram", content, settings)
    assert (problem is None and problems == []) or (problem is not None and problem in problems[0])
    if problem is not None:
        rig.settings |= settings
        refused = refusal_in(rig, "healthy", message("17", content=content))
        assert (refused.code, refused.text) == ("CONTENT_INVALID", problems[0])
        assert rig.provider.taken == []


@pytest.mark.parametrize(
    ("token", "settings", "field"),
    [
        (SECRET, {}, "credentials.token"),
        (f"1:{SECRET}/../x", {}, "credentials.token"),
        (TOKEN, {"base_url": "http://api.example.com"}, "settings.base_url"),
        (TOKEN, {"base_url": "https://api.example.com?x"}, "settings.base_url"),
        (TOKEN, {"parse_mode": "Markdown"}, "settings.parse_mode"),
    ],
)
def test_what_it_does_not_take_is_named(token, settings, field):
    with pytest.raises(InvalidChannel) as error:
        registry.build("telegram", settings, {"token": token})
    assert [name for name, _ in error.value.errors] == [field]
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("attributes", "address"),
    [
        ({"telegram_chat_id": 17}, "17"),
        ({"Telegram": "@Muster_News"}, "@muster_news"),
        ({"chat id": " -1001 "}, "-1001"),
        ({"telegram": {"telegramid": 5}}, "5"),
        ({"telegram": "+49151"}, None),
        ({"telegram": True}, None),
        ({"telegram": 10**30}, None),
        ({"telegram": "@ab"}, None),
        ({}, None),
    ],
)
def test_its_addresses(rig, attributes, address):
    assert rig.channel().address_of(attributes) == address
