"""The whatsapp channel against a server that speaks the Cloud API."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from engine.channels import registry
from engine.channels.http.answers import Answer
from engine.channels.port import Deferred, Delivered, Down, Rejected, SenderRefused, Throttled
from engine.channels.registry import InvalidChannel
from engine.content.message import Content
from muster_testing.channels import SECRET, WireConformance, message
from tests.channels.http_rig import EXPECTED, ApiRig, outcome_in, refusal_in

ADA = "+4915112345678"
TEMPLATE = {"name": "spring_sale", "language": "de", "body": ["Ada", "20 %"]}


class WhatsAppRig(ApiRig):
    kind = "whatsapp"

    def __init__(self, provider, **settings):
        given = {"base_url": provider.url, "phone_number_id": "100200300", **settings}
        super().__init__(provider, given, {"access_token": SECRET})

    def address(self, number):
        return f"+4915112345{number:03}"


@pytest.fixture
def rig(provider):
    return WhatsAppRig(provider("whatsapp"))


class TestWhatsApp(WireConformance):
    scenarios = frozenset(EXPECTED)
    expected: ClassVar = EXPECTED


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("permanent", Rejected("WHATSAPP_131026", "Message undeliverable.")),
        ("window", Rejected("WHATSAPP_131047", "Re-engagement message.")),
        (
            "template",
            SenderRefused(
                "WHATSAPP_132001",
                "Template does not exist in the translation.",
                "WhatsApp does not send this template: look at its name, language and state in Meta's console.",
            ),
        ),
        ("opted out", Rejected("WHATSAPP_131050", "User has stopped marketing messages.", "unsubscribe")),
        ("transient", Deferred("WHATSAPP_131000", "Something went wrong.")),
        ("pair rate", Deferred("WHATSAPP_131056", "pair rate limit hit.")),
        ("throttled", Throttled("WHATSAPP_130429", "Rate limit hit.")),
        ("account rate", Throttled("WHATSAPP_80007", "Rate limit issues.")),
        ("account", Down("WHATSAPP_190", "Access token *** has expired.")),
        ("permission", Down("WHATSAPP_10", "Application does not have permission.")),
    ],
)
def test_what_the_cloud_api_says(rig, told, expected):
    assert outcome_in(rig, told) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (999_999, Rejected("WHATSAPP_HTTP_400", "400 x")),
        (250, Down("WHATSAPP_250", "x")),
    ],
)
def test_codes_are_rules_and_an_unknown_one_is_read_by_its_status(rig, code, expected):
    body = json.dumps({"error": {"code": code, "message": "x", "fbtrace_id": "y"}}).encode()
    assert expected == rig.channel()._read(Answer(400, {}, body))


def test_a_text(rig):
    sent = message(ADA, content=Content(text="Hallo Ada"))
    assert outcome_in(rig, "healthy", sent) == Delivered(f"wamid.{sent.execution_id}")
    (taken,) = rig.provider.taken
    assert (taken["to"], taken["text"], taken["path"]) == (ADA, "Hallo Ada", "/v23.0/100200300/messages")


def template_of(rig, sent):
    assert isinstance(outcome_in(rig, "healthy", sent), Delivered)
    return json.loads(rig.provider.taken[-1]["text"])


def test_a_template_of_the_message(rig):
    given = {
        **TEMPLATE,
        "header": {"type": "image", "link": "https://x.org/a.png"},
        "buttons": [
            {"type": "url", "index": 0, "value": "abc"},
            {"type": "copy_code", "index": 1, "value": "X1"},
        ],
    }
    content = Content(text="never sent", data={"whatsapp": {"template": given}})
    assert template_of(rig, message(ADA, content=content)) == {
        "name": "spring_sale",
        "language": {"code": "de"},
        "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://x.org/a.png"}}]},
            {
                "type": "body",
                "parameters": [{"type": "text", "text": "Ada"}, {"type": "text", "text": "20 %"}],
            },
            {
                "type": "button",
                "sub_type": "url",
                "index": "0",
                "parameters": [{"type": "text", "text": "abc"}],
            },
            {
                "type": "button",
                "sub_type": "copy_code",
                "index": "1",
                "parameters": [{"type": "coupon_code", "coupon_code": "X1"}],
            },
        ],
    }


def test_a_template_of_the_channel(rig):
    rig.settings["template"] = {
        "name": "hello",
        "language": "{{ language | default: 'en' }}",
        "header": "{{ first_name }}",
        "body": {"name": "{{ first_name }}", "code": "{{ message.execution_id }}"},
    }
    sent = message(ADA, attributes={"First Name": "Ada"})
    assert template_of(rig, sent) == {
        "name": "hello",
        "language": {"code": "en"},
        "components": [
            {"type": "header", "parameters": [{"type": "text", "text": "Ada"}]},
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "parameter_name": "name", "text": "Ada"},
                    {"type": "text", "parameter_name": "code", "text": str(sent.execution_id)},
                ],
            },
        ],
    }
    refused = refusal_in(rig, "healthy", message(ADA, attributes={}))
    assert refused.code == "CONTENT_INVALID"
    assert refused.text.startswith("template.header: is empty; WhatsApp takes no empty value; ")
    assert refused.text.endswith("template.body.name: is empty; WhatsApp takes no empty value")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (Content(text=""), "neither a template nor text"),
        (Content(text="x" * 4097), "4097 characters; WhatsApp takes 4096"),
        (Content(data={"whatsapp": {"template": {**TEMPLATE, "name": "Spring Sale"}}}), "template.name"),
        (Content(data={"whatsapp": {"template": {**TEMPLATE, "language": "german"}}}), "template.language"),
        (
            Content(data={"whatsapp": {"template": {**TEMPLATE, "body": ["a\nb"]}}}),
            "template.body.0: holds a line",
        ),
        (Content(data={"whatsapp": {"template": {**TEMPLATE, "body": ["x" * 1025]}}}), "1025 characters"),
        (Content(data={"whatsapp": {"template": {**TEMPLATE, "bdy": []}}}), "template.bdy"),
        (Content(data={"whatsapp": {"template": "x"}}), "template"),
        (Content(text="x" * 4096), None),
        (Content(data={"whatsapp": {"template": TEMPLATE}}), None),
    ],
)
def test_its_rules(rig, content, problem):
    problems = registry.problems_of("whatsapp", content)
    assert (problem is None and problems == []) or (problem is not None and problem in problems[0])
    sent = message(ADA, content=content)
    if problem is None:
        assert isinstance(outcome_in(rig, "healthy", sent), Delivered)
    else:
        assert refusal_in(rig, "healthy", sent).code == "CONTENT_INVALID"


@pytest.mark.parametrize(
    ("settings", "credentials", "field"),
    [
        ({}, {}, "credentials.access_token"),
        ({"phone_number_id": "+49151"}, {"access_token": SECRET}, "settings.phone_number_id"),
        ({"api_version": "23"}, {"access_token": SECRET}, "settings.api_version"),
        ({"base_url": "http://x.org"}, {"access_token": SECRET}, "settings.base_url"),
        ({"region": "Germany"}, {"access_token": SECRET}, "settings.region"),
        ({"template": {"name": "x"}}, {"access_token": SECRET}, "settings.template.language"),
        (
            {"template": {**TEMPLATE, "body": ["{{ x | nope }}"]}},
            {"access_token": SECRET},
            "settings.template.body[0]",
        ),
        ({}, {"access_token": f"{SECRET}\n"}, "credentials.access_token"),
    ],
)
def test_what_it_does_not_take_is_named(settings, credentials, field):
    with pytest.raises(InvalidChannel) as error:
        registry.build("whatsapp", {"phone_number_id": "1", **settings}, credentials)
    assert [name for name, _ in error.value.errors] == [field]
    assert SECRET not in str(error.value)


def test_its_number_is_the_one_for_whatsapp():
    channel = registry.build("whatsapp", {"phone_number_id": "1", "region": "de"}, {"access_token": SECRET})
    assert channel.address_of({"phone": "030 123456", "WhatsApp": "0151 12345678"}) == ADA
    assert channel.address_of({"Mobile": "+49 (151) 1234-5678"}) == ADA
