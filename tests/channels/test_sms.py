"""The sms channel through a gateway and through Twilio, each a server that speaks its protocol."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.channels import registry
from engine.channels.http.answers import Answer
from engine.channels.port import Deferred, Delivered, Doubtful, Down, Rejected, Throttled
from engine.channels.registry import InvalidChannel
from engine.channels.sms.segments import count_segments
from engine.content.message import Content
from muster_testing.channels import SECRET, WireConformance, message
from tests.channels.http_rig import EXPECTED, ApiRig, outcome_in

ADA = "+4915112345678"
ACCOUNT = "AC" + "0" * 32
TWILIO = {"provider": "twilio", "account_sid": ACCOUNT, "sender": "+15005550006"}
GATEWAY: dict[str, Any] = {
    "provider": "gateway",
    "request": {
        "url": "https://sms.example.com/send",
        "encoding": "form",
        "body": {"key": "{{ secrets.key }}", "to": "{{ message.address }}", "text": "{{ message.text }}"},
        "expect": {"status": ["ok"]},
        "reference": "messages.0.id",
    },
}


class TwilioRig(ApiRig):
    kind = "sms"

    def __init__(self, provider, **settings):
        super().__init__(provider, {**TWILIO, "base_url": provider.url, **settings}, {"auth_token": SECRET})

    def address(self, number):
        return f"+4915112345{number:03}"


class GatewayRig(TwilioRig):
    def __init__(self, provider, **settings):
        request = {**GATEWAY["request"], "url": f"{provider.url}/send"}
        ApiRig.__init__(
            self,
            provider,
            {"provider": "gateway", "request": request, **settings},
            {"secrets": {"key": SECRET}},
        )


@pytest.fixture
def rig(provider):
    return TwilioRig(provider("twilio"))


#: What says whether a message was taken is in the body: without it nobody knows.
SAID_IN_THE_BODY = {**EXPECTED, "half": (Doubtful,)}


class TestTwilio(WireConformance):
    scenarios = frozenset(EXPECTED)
    expected: ClassVar = EXPECTED


class TestGateway(WireConformance):
    scenarios = frozenset(EXPECTED)
    expected: ClassVar = SAID_IN_THE_BODY

    @pytest.fixture
    def rig(self, provider):
        return GatewayRig(provider("gateway"))


class TestGatewayThatSendsOnGet(WireConformance):
    """A GET may be repeated, says HTTP; one that costs money may not."""

    scenarios = frozenset(EXPECTED)
    expected: ClassVar = SAID_IN_THE_BODY

    @pytest.fixture
    def rig(self, provider):
        rig = GatewayRig(provider("gateway"))
        body = rig.settings["request"].pop("body")
        rig.settings["request"] |= {"method": "GET", "encoding": "json", "query": body}
        return rig


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("permanent", Rejected("TWILIO_21211", "Invalid 'To' Phone Number", "hard_bounce")),
        (
            "unsubscribed",
            Rejected("TWILIO_21610", "Attempt to send to unsubscribed recipient", "unsubscribe"),
        ),
        ("landline", Rejected("TWILIO_21614", "'To' number is not a valid mobile number", "hard_bounce")),
        (
            "region",
            Rejected("TWILIO_21408", "Permission to send an SMS has not been enabled for the region"),
        ),
        ("transient", Deferred("TWILIO_20500", "Internal Server Error")),
        ("throttled", Throttled("TWILIO_20429", "Too Many Requests")),
        (
            "queue",
            Throttled(
                "TWILIO_21611", "This 'From' number has exceeded the maximum number of queued messages"
            ),
        ),
        ("account", Down("TWILIO_20003", "Authenticate with ***")),
        ("suspended", Down("TWILIO_20005", "Account not active")),
    ],
)
def test_what_twilio_says(rig, told, expected):
    assert outcome_in(rig, told) == expected


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (30003, 400, Deferred("TWILIO_30003", "x")),
        (30005, 400, Rejected("TWILIO_30005", "x", "hard_bounce")),
        (30007, 400, Rejected("TWILIO_30007", "x")),
        (39999, 400, Rejected("TWILIO_HTTP_400", "400 x")),
    ],
)
def test_codes_of_twilio_are_rules_and_others_are_read_by_their_status(rig, code, status, expected):
    channel = rig.channel()
    body = json.dumps({"code": code, "message": "x", "more_info": "y", "status": status}).encode()
    assert expected == channel._read(Answer(status, {}, body))


def test_what_is_posted_to_twilio(rig):
    rig.settings["status_callback"] = "https://x.org/v1/events?k=1"
    (sent,) = rig.wave(1)
    assert outcome_in(rig, "healthy", sent) == Delivered("SM" + sent.execution_id.hex)
    request = rig.channel()._request(sent)
    assert b"From=%2B15005550006" in request.body
    assert f"events%3Fk%3D1%26execution_id%3D{sent.execution_id}".encode() in request.body
    assert SECRET not in repr(request)


def test_a_messaging_service_and_an_api_key(rig):
    del rig.settings["sender"]
    rig.settings["messaging_service_sid"] = "MG" + "1" * 32
    rig.credentials = {"api_key": "SK1", "api_secret": SECRET}
    request = rig.channel()._request(rig.wave(1)[0])
    assert b"MessagingServiceSid=MG1" in request.body
    assert request.headers["Authorization"].startswith("Basic U0sxO")


def test_a_closed_account_is_found_by_a_test(rig):
    said = Answer(200, {}, b'{"sid": "AC", "status": "suspended"}')
    assert rig.channel()._well(said) == "TWILIO_ACCOUNT: the account is suspended"


def test_the_gateway_says_no_with_200(provider):
    rig = GatewayRig(provider("gateway"))
    assert outcome_in(rig, "permanent") == Rejected(
        "HTTP_NOT_ACCEPTED", "status of the answer is 'invalid number'"
    )
    assert outcome_in(rig, "healthy") == Delivered("m-1")


BASIC = "@£$¥èéùìòÇ ÄÖÑÜ§äöñüà"


@pytest.mark.parametrize(
    ("text", "encoding", "units", "messages"),
    [
        ("", "gsm7", 0, 1),
        ("x" * 160, "gsm7", 160, 1),
        ("x" * 161, "gsm7", 161, 2),
        ("x" * 306, "gsm7", 306, 2),
        ("x" * 307, "gsm7", 307, 3),
        (BASIC, "gsm7", 21, 1),
        ("€" * 80, "gsm7", 160, 1),
        ("€" * 81, "gsm7", 162, 2),
        ("€" * 153, "gsm7", 306, 3),  # 76 a part: the 153rd septet cannot hold half of one
        ("x" * 152 + "€" + "x" * 152, "gsm7", 306, 3),
        ("ж" * 70, "ucs2", 70, 1),
        ("ж" * 71, "ucs2", 71, 2),
        ("x" * 70 + "’", "ucs2", 71, 2),
        ("🙂" * 35, "ucs2", 70, 1),
        ("🙂" * 67, "ucs2", 134, 3),  # 33 a part
    ],
)
def test_what_a_text_costs(text, encoding, units, messages):
    assert count_segments(text)[:3] == (encoding, units, messages)


@given(st.text(alphabet="ab€[ж🙂’\n", max_size=600))
def test_every_character_is_in_one_part_and_none_is_parted(text):
    cost = count_segments(text)
    part = 153 if cost.encoding == "gsm7" else 67
    single = 160 if cost.encoding == "gsm7" else 70
    assert (cost.messages == 1) == (cost.units <= single)
    if cost.messages > 1:
        assert cost.units <= cost.messages * part
        assert cost.units > (cost.messages - 1) * (part - 1)


@pytest.mark.parametrize(
    ("text", "settings", "problem"),
    [
        ("", None, "no text"),
        ("x" * (153 * 6), None, None),
        ("x" * (153 * 6 + 1), None, "takes 7 SMS (gsm7); the channel allows 6"),
        (
            "x" * 71 + "’",
            {**GATEWAY, "max_segments": 1},
            "takes 2 SMS (ucs2, because of ’); the channel allows 1",
        ),
        ("x" * 1601, {**TWILIO, "max_segments": 20}, "1601 characters; Twilio takes 1600"),
    ],
)
def test_its_bounds(rig, text, settings, problem):
    problems = registry.problems_of("sms", Content(text=text), settings)
    assert (problem is None and problems == []) or (problem is not None and problem in problems[0])


def test_what_is_too_long_is_not_sent(rig):
    refused = outcome_in(rig, "healthy", message(ADA, content=Content(text="ж" * 403)))
    assert refused == Rejected(
        "CONTENT_INVALID", "the message takes 7 SMS (ucs2, because of ж); the channel allows 6"
    )
    assert rig.provider.taken == []


@pytest.mark.parametrize(
    ("settings", "credentials", "field", "words"),
    [
        ({"provider": "gatway"}, {}, "settings.provider", "gateway"),
        ({"provider": "gateway"}, {}, "settings", "request: a gateway needs it"),
        ({**GATEWAY, "sender": "+1500"}, {}, "settings", "sender: is not an option of gateway"),
        ({"provider": "twilio"}, {}, "settings", "account_sid: Twilio needs it"),
        ({**TWILIO, "sender": None}, {}, "settings", "either it or messaging_service_sid"),
        (TWILIO, {}, "credentials.auth_token", "either it, or api_key"),
        (TWILIO, {"api_key": "SK1"}, "credentials.api_key", "together with api_secret"),
        (TWILIO, {"bearer": SECRET}, "credentials.bearer", "is not an option of twilio"),
        (GATEWAY, {"auth_token": SECRET}, "credentials.auth_token", "is not an option of gateway"),
        (
            {**GATEWAY, "request": {"url": "https://x.org", "body": {"a": "{{ x | nope }}"}}},
            {},
            "settings.request.body.a",
            "unknown filter",
        ),
        ({**TWILIO, "base_url": "http://x.org"}, {"auth_token": SECRET}, "settings.base_url", "unencrypted"),
    ],
)
def test_what_it_does_not_take_is_named(settings, credentials, field, words):
    with pytest.raises(InvalidChannel) as error:
        registry.build("sms", settings, credentials)
    ((found, said),) = error.value.errors
    assert (found, words in said) == (field, True), said
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("attributes", "region", "address"),
    [
        ({"phone": "+49 151 12345678"}, None, ADA),
        ({"Mobile Number": "0151/12345678"}, "DE", ADA),
        ({"phone": "004915112345678"}, "DE", ADA),
        ({"phone": "(202) 456-1111"}, "US", "+12024561111"),
        ({"tel": ["nobody", {"value": ADA}]}, None, ADA),
        ({"phone": 4915112345678}, None, "+4915112345678"),
        ({"phone": 15112345678}, "DE", ADA),
        ({"phone": "0151 12345678"}, None, None),
        ({"phone": "+49 123"}, None, None),
        ({"phone": "+1 202 456 1111 ext. 5"}, None, None),
        ({"phone": "call me"}, "DE", None),
        ({"phone": "9" * 500}, "DE", None),
        ({}, "DE", None),
    ],
)
def test_numbers_are_written_in_e164_or_are_none(attributes, region, address):
    channel = registry.build("sms", {**GATEWAY, "region": region}, {})
    assert channel.address_of(attributes) == address


def test_a_region_is_a_country():
    with pytest.raises(InvalidChannel, match="two letters"):
        registry.build("sms", {**GATEWAY, "region": "Germany"}, {})
