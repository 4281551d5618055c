"""The voice channel against a server that speaks the provider's API, and what is said to it."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from engine.channels import registry
from engine.channels.port import Deferred, Delivered, Doubtful, Down, Rejected, Throttled
from engine.channels.registry import InvalidChannel
from engine.content.message import Content
from muster_testing.channels import SECRET, WireConformance, message
from tests.channels.http_rig import EXPECTED, ApiRig, outcome_in

ADA = "+4915112345678"
SETTINGS = {"agent_id": "agent_1", "phone_number_id": "phnum_1"}


class VoiceRig(ApiRig):
    kind = "voice"

    def __init__(self, provider, **settings):
        credentials = {"api_key": SECRET, "webhook_secret": f"wsec_{SECRET}"}
        super().__init__(provider, {**SETTINGS, "base_url": provider.url, **settings}, credentials)

    def address(self, number):
        return f"+4915112345{number:03}"


@pytest.fixture
def rig(provider):
    return VoiceRig(provider("voice"))


class TestVoice(WireConformance):
    scenarios = frozenset(EXPECTED)
    #: What says whether a call is placed is in the body: without it nobody knows.
    expected: ClassVar = {**EXPECTED, "half": (Doubtful,)}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("permanent", Rejected("VOICE_HTTP_422", "422 to_number: is no phone number")),
        ("refused", Rejected("VOICE_REFUSED", "the carrier refused the call")),
        ("transient", Deferred("VOICE_HTTP_500", "500 internal error", of_service=True)),
        ("throttled", Throttled("VOICE_HTTP_429", "429 too many calls at once", 7.0)),
        ("account", Down("VOICE_HTTP_401", "401 the key *** is not known")),
        ("quota", Throttled("VOICE_HTTP_402", "402 no credits are left", 900.0, quota=True)),
        ("agent", Down("VOICE_HTTP_404", "404 there is no such agent")),
    ],
)
def test_what_the_provider_says(rig, told, expected):
    assert outcome_in(rig, told) == expected


def test_what_is_posted(rig):
    rig.settings["variables"] = {
        "first_name": "{{ ['First Name'] }}",
        "tier": "{{ tier | default: 'none' }}",
        "year": 2026,
    }
    content = Content(text=" Hello Ada! ", data={"voice": {"variables": {"tier": "gold", "vip": True}}})
    sent = message(
        ADA, content=content, attributes={"First Name": "Ada", "tier": "x"}, touchpoint_id=message().entity_id
    )
    assert isinstance(outcome_in(rig, "healthy", sent), Delivered)
    (taken,) = rig.provider.taken
    assert taken["path"] == "/v1/convai/twilio/outbound-call"
    assert taken["headers"]["xi-api-key"] == SECRET
    assert json.loads(taken["text"]) == {
        "agent_id": "agent_1",
        "agent_phone_number_id": "phnum_1",
        "to_number": ADA,
        "conversation_initiation_client_data": {
            "conversation_config_override": {"agent": {"first_message": "Hello Ada!"}},
            "dynamic_variables": {
                "first_name": "Ada",
                "tier": "gold",
                "year": 2026,
                "vip": True,
                "muster_execution_id": str(sent.execution_id),
                "muster_campaign_id": str(sent.campaign_id),
                "muster_recipient_id": str(sent.entity_id),
                "muster_touchpoint_id": str(sent.touchpoint_id),
            },
        },
    }


def test_without_text_the_agent_begins_as_it_is_configured(rig):
    rig.settings["trunk"] = "sip"
    assert isinstance(outcome_in(rig, "healthy", message(ADA, content=Content())), Delivered)
    (taken,) = rig.provider.taken
    assert taken["path"] == "/v1/convai/sip-trunk/outbound-call"
    assert "conversation_config_override" not in taken["text"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (Content(text="x" * 2001), "2001 characters"),
        (Content(data={"voice": {"variables": {"muster_campaign_id": "x"}}}), "muster_campaign_id"),
        (Content(data={"voice": {"variables": {"a": {"b": 1}}}}), "voice.variables.a"),
        (Content(data={"voice": {"variables": "x"}}), "voice.variables"),
    ],
)
def test_what_cannot_be_said_is_refused_before_anybody_is_called(rig, content, problem):
    outcome = outcome_in(rig, "healthy", message(ADA, content=content))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "CONTENT_INVALID"
    assert problem in outcome.text
    assert problem in registry.problems_of("voice", content)[0]
    assert rig.provider.taken == []


@pytest.mark.parametrize(
    ("settings", "credentials", "field"),
    [
        ({"base_url": "http://voice.example.com"}, {}, "settings.base_url"),
        ({"agent_id": "a/../b"}, {}, "settings.agent_id"),
        ({"variables": {"muster_x": "y"}}, {}, "settings.variables"),
        ({"variables": {"x": "{{ y"}}, {}, "settings.variables"),
        ({}, {"api_key": "two words"}, "credentials.api_key"),
        ({}, {"webhook_secret": "short"}, "credentials.webhook_secret"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(settings, credentials, field):
    with pytest.raises(InvalidChannel) as refused:
        registry.build("voice", {**SETTINGS, **settings}, {"api_key": "k", **credentials})
    assert refused.value.errors[0][0].startswith(field)
