"""The http channel against a real server: what goes out, what comes back, and what it means."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import ClassVar

import pytest

from engine.channels import registry
from engine.channels.http.leaves import split_holes
from engine.channels.http.settings import RequestSettings
from engine.channels.port import Deferred, Delivered, Doubtful, Down, Rejected, Throttled
from engine.channels.registry import InvalidChannel
from engine.content.message import Content
from muster_testing.channels import (
    SECRET,
    Report,
    WireConformance,
    message,
    messages,
    run,
    send,
    send_and_close,
)
from tests.channels.http_rig import EXPECTED, SILENCE, ApiRig


class HttpRig(ApiRig):
    kind = "http"

    def __init__(self, provider, **settings):
        given = {"url": f"{provider.url}/send", "reference": "data.id", **settings}
        super().__init__(provider, given, {"bearer": SECRET})


@pytest.fixture
def rig(provider):
    return HttpRig(provider("http"))


class TestHttp(WireConformance):
    scenarios = frozenset(EXPECTED)
    expected: ClassVar = EXPECTED


def one(rig, sent=None, scenario="healthy", channel=None):
    """The outcome of one message."""
    rig.arrange(scenario)
    sent = sent or message()
    report = run(send_and_close(channel or rig.channel(), [sent]))
    return report.outcomes[sent.execution_id]


def test_what_is_sent_when_nothing_is_said(rig):
    sent = message(
        content=Content("Grüße", 'Say "hi"', None, "a@x.org"), unsubscribe_url="https://u.example/1"
    )
    assert one(rig, sent) == Delivered(f"ref-{sent.execution_id}")
    (taken,) = rig.provider.taken
    assert taken["headers"]["idempotency-key"] == str(sent.execution_id)
    assert taken["headers"]["content-type"] == "application/json"
    assert taken["path"] == "/send"
    assert json.loads(taken["text"]) == {
        "execution_id": str(sent.execution_id),
        "campaign_id": str(sent.campaign_id),
        "entity_id": str(sent.entity_id),
        "address": "ada@x.org",
        "subject": "Grüße",
        "text": 'Say "hi"',
        "html": None,
        "sender_email": "a@x.org",
        "sender_name": None,
        "unsubscribe_url": "https://u.example/1",
    }


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("permanent", Rejected("HTTP_422", "422 no such customer")),
        ("transient", Deferred("HTTP_500", "500 try again", of_service=True)),
        ("throttled", Throttled("HTTP_429", "429 slow down", 7.0)),
        ("busy", Throttled("HTTP_503", "503 <h1>busy</h1>", 3.0)),
        ("account", Down("HTTP_401", "401 the token *** is not known")),
        ("refusal echo", Rejected("HTTP_400", "400 you sent ***")),
        ("gateway", Doubtful("HTTP_504", "504 <h1>gateway time-out</h1>")),
        ("redirect", Down("HTTP_302", "302 (redirects are not followed)")),
        ("stall", Doubtful("HTTP_TIMEOUT", f"no answer within {SILENCE} seconds")),
        ("garbage", Doubtful("HTTP_GARBAGE", "the answer is not HTTP")),
        ("half", Delivered(None)),
    ],
)
def test_what_an_answer_means(rig, told, expected):
    assert one(rig, scenario=told) == expected


def test_nobody_there_is_down_and_names_why(rig):
    outcome = one(rig, scenario="down")
    assert (type(outcome), outcome.code) == (Down, "HTTP_UNREACHABLE")
    assert "refused" in outcome.text.lower()


def test_a_host_without_an_address_is_down(rig):
    rig.settings["url"] = "http://no-such-host.invalid/send"
    rig.settings["insecure_login"] = True
    assert one(rig) == Down("HTTP_UNREACHABLE", "the host's name cannot be resolved")


def test_a_request_is_never_sent_twice_by_itself(rig):
    """Aiohttp repeats a GET, PUT or DELETE whose used connection turns out to be dead: some gateways send on GET."""
    rig.settings |= {"method": "PUT"}

    async def go():
        channel = rig.channel()
        await send(channel, messages(1, rig))  # leaves a used connection
        rig.arrange("accepted_then_reset")
        report = await send(channel, messages(1, rig))
        await channel.close()
        return report

    assert run(go()).kinds == {"Doubtful": 1}
    assert len(rig.accepted()) == 2


def test_connections_are_kept_and_a_dropped_one_costs_nothing(rig):
    async def go():
        channel = rig.channel()
        await send(channel, messages(50, rig))
        made = rig.provider.stats["connections"]
        await asyncio.to_thread(rig.provider.drop_connections)
        report = await send(channel, messages(50, rig))
        await channel.close()
        return made, report

    made, report = run(go())
    assert made <= 5
    assert report.kinds == {"Delivered": 50}


class TestBody:
    """Whatever an entity holds, it stays in its place."""

    EVIL = '"}, {"admin": true, "x": "\\ \n \u2028 {{ secrets.key }} {% raw %}'

    def sent(self, rig, attributes, **settings):
        rig.settings |= settings
        outcome = one(rig, message(attributes=attributes, content=Content("s", self.EVIL)))
        assert isinstance(outcome, Delivered), outcome
        return rig.provider.taken[-1]

    def test_values_fill_strings_and_nothing_else(self, rig):
        body = {
            "to": "{{ name }}",
            "n": "{{ count | json }}",
            "tags": "{{ tags | json }}",
            "text": "{{ message.text }}",
        }
        taken = self.sent(rig, {"name": self.EVIL, "count": 7, "tags": ["a", {"b": None}]}, body=body)
        assert json.loads(taken["text"]) == {
            "to": self.EVIL,
            "n": 7,
            "tags": ["a", {"b": None}],
            "text": self.EVIL,
        }

    def test_a_body_may_be_written_as_text(self, rig):
        taken = self.sent(rig, {"name": self.EVIL}, body='{"to": ["{{ name }}", 1]}')
        assert json.loads(taken["text"]) == {"to": [self.EVIL, 1]}

    def test_headers_and_query_and_path(self, rig):
        url = rig.provider.url + "/people/{{ name }}/messages?a={{ name }}"
        taken = self.sent(
            rig,
            {"name": "a/b?c&d=ö"},
            url=url,
            query={"q": "{{ name }}"},
            headers={"X-Name": "{{ name | size }}"},
        )
        assert taken["path"] == "/people/a%2Fb%3Fc%26d%3D%C3%B6/messages"
        assert taken["headers"]["x-name"] == "9"

    @pytest.mark.parametrize(
        ("settings", "attributes", "text"),
        [
            ({"url": "/p/{{ name }}"}, {"name": ""}, "url: a value of the path is empty"),
            ({"url": "/p/{{ name }}/x"}, {"name": ".."}, "url: a part of the path is nothing but dots"),
            ({"headers": {"X-N": "{{ name }}"}}, {"name": "a\r\nHost: b"}, "headers.X-N: holds a line break"),
            ({"body": {"n": "{{ name | date: '%Y' | json }}"}}, {"name": {}}, "body"),
            ({"body": {"n": "{{ (1..99999) | json }}"}}, {}, "body"),
        ],
    )
    def test_who_cannot_be_said_it_to_is_rejected_alone(self, rig, settings, attributes, text):
        if "url" in settings:
            settings = {"url": rig.provider.url + settings["url"]}
        rig.settings |= settings
        outcome = one(rig, message(attributes=attributes))
        assert (type(outcome), outcome.code) == (Rejected, "CONTENT_INVALID")
        assert outcome.text.startswith(text)

    def test_a_form(self, provider):
        rig = ApiRig(
            provider("gateway"),
            {
                "url": provider("gateway").url + "/sms",
                "encoding": "form",
                "body": {
                    "key": "{{ secrets.key }}",
                    "to": "{{ message.address }}",
                    "text": "{{ message.text }}",
                },
                "expect": {"status": ["ok", "queued"]},
                "reference": "messages.0.id",
            },
            {"secrets": {"key": SECRET}},
        )
        rig.kind = "http"
        (sent,) = rig.wave(1)
        assert one(rig, sent) == Delivered("m-1")
        assert rig.provider.taken[0]["text"] == sent.content.text
        assert one(rig, scenario="permanent") == Rejected(
            "HTTP_NOT_ACCEPTED", "status of the answer is 'invalid number'"
        )
        assert one(rig, scenario="account") == Down("HTTP_401", "401 wrong key ***")


@pytest.mark.parametrize(
    ("settings", "credentials", "field", "words"),
    [
        ({"url": "ftp://x.org"}, {}, "settings.url", "is not a URL"),
        ({"url": "https://{{ host }}/x"}, {}, "settings.url", "host and port are written out"),
        ({"url": "https://u:p@x.org/"}, {}, "settings.url", "credentials go elsewhere"),
        ({"url": "https://x.org/#a"}, {}, "settings.url", "is not a URL"),
        ({"url": "https://x.org:99999/"}, {}, "settings.url", "no usable host and port"),
        ({"url": "https://x.org/{% if a %}"}, {}, "settings.url", "no tags"),
        ({"url": "http://x.org/"}, {"bearer": SECRET}, "settings.url", "unencrypted"),
        ({"body": "not json"}, {}, "settings.body", "is not JSON"),
        ({"body": {"a": [{"b": "{{ x | nope }}"}]}}, {}, "settings.body.a[0].b", "unknown filter 'nope'"),
        ({"body": {"a": [1]}, "encoding": "form"}, {}, "settings", "a form is an object of plain values"),
        ({"headers": {"Content-Length": "1"}}, {}, "settings.headers", "the transport's own header"),
        ({"headers": {"a b": "1"}}, {}, "settings.headers", "is not the name of a header"),
        ({"succes": [200]}, {}, "settings.succes", "did you mean 'success'"),
        ({"success": [99]}, {}, "settings.success.0", "100"),
        ({}, {"username": "a"}, "credentials", "go together"),
        ({}, {"bearer": SECRET, "username": "a", "password": SECRET}, "credentials", "not both"),
        ({}, {"headers": {"X-Key": f"{SECRET}\n"}}, "credentials.headers", "line break"),
    ],
)
def test_what_it_does_not_take_is_named(settings, credentials, field, words):
    with pytest.raises(InvalidChannel) as error:
        registry.build("http", {"url": "https://api.example.com/send", **settings}, credentials)
    ((found, message_),) = error.value.errors
    assert found.startswith(field)
    assert words in message_
    assert SECRET not in str(error.value)


def test_its_address_is_what_the_settings_say():
    def address(attributes, **settings):
        given = {"url": "https://x.org", **settings}
        return registry.build("http", given, {}).address_of({"_id": "17", **attributes})

    assert address({"Email": "A@x.org"}) == "a@x.org"
    assert address({}) == "17"
    assert address({"crm": {"key": 4711}}, address="crm.key") == "4711"
    assert address({}, address="crm.key") is None


def test_check_asks_without_sending(rig):
    def checked():
        async def go():
            channel = rig.channel()
            said = await channel.check()
            await channel.close()
            return said

        return run(go())

    assert checked() is None
    rig.settings["check_url"] = rig.provider.url + "/health"
    assert checked() is None
    rig.credentials = {"bearer": "another"}
    assert checked() == "HTTP_401: 401 who are you?"
    assert rig.provider.taken == []


def test_credentials_are_stronger_than_settings(rig):
    rig.settings["headers"] = {"AUTHORIZATION": "Bearer another", "idempotency-key": "mine", "X-A": "1"}
    sent = message()
    assert isinstance(one(rig, sent), Delivered)
    headers = rig.provider.taken[0]["headers"]
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["idempotency-key"] == str(sent.execution_id)
    assert headers["x-a"] == "1"


def test_stop_lets_go_of_what_waits_while_requests_hang(rig):
    rig.settings["timeout"] = 1
    wave, report, stop = messages(12, rig), Report(), threading.Event()

    async def go():
        channel = rig.channel()
        rig.arrange("stall")
        task = asyncio.create_task(channel.send(wave, report, stop))
        await asyncio.to_thread(rig.provider.wait_for_requests, 5)
        stop.set()
        await task
        await channel.close()

    run(go())
    report.assert_complete(wave)
    assert report.kinds == {"Doubtful": 5, "Released": 7}


def test_a_wave_that_is_cancelled_while_it_connects_is_not_in_doubt(rig):
    """Nothing has left before a connection stands."""
    wave, report = messages(3, rig), Report()

    async def go():
        channel = rig.channel()
        listening = asyncio.Event()

        async def connecting(*_, **__):
            listening.set()
            await asyncio.Event().wait()

        await channel._client._opened()
        channel._client._session.connector._resolve_host = connecting
        task = asyncio.create_task(channel.send(wave, report, threading.Event()))
        await listening.wait()
        task.cancel()
        await asyncio.wait([task])
        await channel.close()

    run(go())
    report.assert_complete(wave)
    assert set(report.kinds) <= {"Deferred", "Released"}


@pytest.mark.parametrize("unit", ["{", "{{", "{{ a", "}}", "{{ a }}"])
def test_a_url_is_split_in_linear_time_and_loses_nothing(unit):
    text = unit * 200_000
    pieces = split_holes(text)
    assert text == "".join(pieces)
    assert len(pieces) % 2 == 1
    with pytest.raises(ValueError, match="8192"):
        RequestSettings(url="https://api.example.com/" + text)
