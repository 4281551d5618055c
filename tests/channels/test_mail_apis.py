"""The channels over mail APIs: the suite, requests as few as can be, and refusals that land where they belong."""

from __future__ import annotations

import asyncio
import json
import threading
from math import ceil
from typing import TYPE_CHECKING, ClassVar

import pytest

from engine.channels.http.answers import Answer
from engine.channels.port import (
    Deferred,
    Delivered,
    Doubtful,
    Down,
    Rejected,
    Released,
    SenderRefused,
    Throttled,
)
from engine.content.message import Content
from muster_testing.channels import Report, WireConformance, message, run
from tests.channels.http_rig import EXPECTED, outcome_in
from tests.channels.mail_api_rigs import RIGS, MailApiRig, received, sent_by

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Messages of one request.
MOST = {"mailgun": 1000, "postmark": 500, "resend": 100, "sendgrid": 1000, "ses": 50}


def wave_of(*addresses: str):
    return [message(address, content=Content("Hello", f"Hello {address}")) for address in addresses]


def people(count: int):
    return wave_of(*(f"user{number}@x.org" for number in range(count)))


class MailApiConformance(WireConformance):
    scenarios = frozenset(EXPECTED)
    expected: ClassVar[Mapping[str, tuple[type, ...]]] = EXPECTED
    kind: ClassVar[str]

    @pytest.fixture
    def rig(self, provider):
        return MailApiRig(provider(self.kind), self.kind)


class TestSendGrid(MailApiConformance):
    kind = "sendgrid"


class TestMailgun(MailApiConformance):
    kind = "mailgun"


#: Where every message has a result in the body: without it nobody knows.
BY_BODY: Mapping[str, tuple[type, ...]] = {**EXPECTED, "half": (Doubtful,)}


class TestPostmark(MailApiConformance):
    kind = "postmark"
    expected = BY_BODY


class TestResend(MailApiConformance):
    kind = "resend"
    expected = BY_BODY


class TestSes(MailApiConformance):
    kind = "ses"
    expected = BY_BODY


@pytest.mark.parametrize("kind", RIGS)
def test_as_few_requests_as_can_be(provider, kind):
    """Two and a half requests' worth are three requests."""
    rig = MailApiRig(provider(kind), kind)
    count = MOST[kind] * 5 // 2
    wave = people(count)
    report = sent_by(rig, wave)
    assert {"Delivered": count} == report.kinds
    assert ceil(count / MOST[kind]) == rig.provider.stats["requests"]
    assert {one.execution_id: one.address for one in wave} == {
        key: got["to"] for key, got in received(rig).items()
    }


@pytest.mark.parametrize("kind", RIGS)
def test_what_is_refused_is_refused_to_the_right_recipient(provider, kind):
    rig = MailApiRig(provider(kind), kind)
    addresses = [f"{'bad' if number in (3, 17, 40) else 'user'}{number}@x.org" for number in range(45)]
    wave = wave_of(*addresses)
    report = sent_by(rig, wave)
    refused = {one.address for one in wave if one.execution_id in report.with_outcome(Rejected)}
    assert {"Delivered": 42, "Rejected": 3} == report.kinds
    assert {"bad3@x.org", "bad17@x.org", "bad40@x.org"} == refused
    assert report.with_outcome(Delivered) == set(rig.accepted())
    assert len(rig.accepted()) == 42, "nobody gets it twice"


@pytest.mark.parametrize(
    ("kind", "requests"),
    [("postmark", 1), ("resend", 1), ("ses", 1), ("sendgrid", 2), ("mailgun", 11)],
)
def test_a_refusal_costs_as_few_requests_as_the_provider_allows(provider, kind, requests):
    """Mailgun does not say whom it refuses: of 45 it is found in halves."""
    rig = MailApiRig(provider(kind), kind)
    wave = wave_of("bad@x.org", *(f"user{number}@x.org" for number in range(44)))
    report = sent_by(rig, wave, concurrency=1)
    assert {"Delivered": 44, "Rejected": 1} == report.kinds
    stats = rig.provider.stats
    assert requests == stats["requests"] + stats.get("answered", 0)


@pytest.mark.parametrize(
    ("kind", "address", "expected"),
    [
        ("sendgrid", "bad@x.org", Rejected("SENDGRID_HTTP_400", "400 Does not contain a valid address.")),
        (
            "mailgun",
            "bad@x.org",
            Rejected(
                "MAILGUN_HTTP_400", "400 to parameter is not a valid address. please check documentation"
            ),
        ),
        ("postmark", "bad@x.org", Rejected("POSTMARK_HTTP_422", "422 Invalid 'To' address: 'bad@x.org'.")),
        (
            "postmark",
            "inactive@x.org",
            Rejected(
                "POSTMARK_406",
                "You tried to send to recipient(s) that have been marked as inactive. "
                "Found inactive addresses: inactive@x.org.",
                "hard_bounce",
            ),
        ),
        ("resend", "bad@x.org", Rejected("RESEND_HTTP_422", "422 Invalid `to` field: bad@x.org")),
        ("ses", "bad@x.org", Rejected("SES_INVALID_PARAMETER", "bad@x.org is refused")),
        ("ses", "inactive@x.org", Rejected("SES_MESSAGE_REJECTED", "inactive@x.org is refused")),
        ("ses", "later@x.org", Deferred("SES_TRANSIENT_FAILURE", "later@x.org is refused")),
        (
            "ses",
            "quota@x.org",
            Throttled("SES_ACCOUNT_DAILY_QUOTA_EXCEEDED", "quota@x.org is refused", 300.0, quota=True),
        ),
    ],
)
def test_what_is_said_of_one_recipient(provider, kind, address, expected):
    rig = MailApiRig(provider(kind), kind)
    wave = wave_of("ada@x.org", address)
    report = sent_by(rig, wave)
    assert expected == report.outcomes[wave[1].execution_id]
    assert isinstance(report.outcomes[wave[0].execution_id], Delivered)


@pytest.mark.parametrize(
    ("kind", "told", "expected"),
    [
        ("sendgrid", "throttled", Throttled("SENDGRID_HTTP_429", "429 too many requests", 7.0)),
        ("mailgun", "throttled", Throttled("MAILGUN_HTTP_429", "429 too many requests", 7.0)),
        ("postmark", "throttled", Throttled("POSTMARK_HTTP_429", "429 Rate limit exceeded", 7.0)),
        ("resend", "throttled", Throttled("RESEND_HTTP_429", "429 Too many requests.", 7.0)),
        ("ses", "throttled", Throttled("SES_HTTP_429", "429 Maximum sending rate exceeded.")),
        (
            "sendgrid",
            "transient",
            Deferred("SENDGRID_HTTP_500", "500 Internal Server Error", of_service=True),
        ),
        ("resend", "running", Deferred("RESEND_HTTP_409", "409 Another request with this key is running.")),
        (
            "mailgun",
            "elsewhere",
            Down("MAILGUN_PATH", "the answer is not the API's: look at base_url and domain"),
        ),
    ],
)
def test_what_is_said_to_everybody(provider, kind, told, expected):
    assert expected == outcome_in(MailApiRig(provider(kind), kind), told)


@pytest.mark.parametrize(
    ("kind", "told", "quota"),
    [("sendgrid", "credits", True), ("resend", "quota", True)],
)
def test_a_quota_of_the_account_lets_the_channel_wait(provider, kind, told, quota):
    outcome = outcome_in(MailApiRig(provider(kind), kind), told)
    assert isinstance(outcome, Throttled)
    assert quota is outcome.quota


@pytest.mark.parametrize(
    ("kind", "told"),
    [("sendgrid", "from"), ("mailgun", "closed"), ("postmark", "pending"), ("ses", "suspended")],
)
def test_what_is_about_the_sender_pauses_the_campaign(provider, kind, told):
    assert isinstance(outcome_in(MailApiRig(provider(kind), kind), told), SenderRefused)


@pytest.mark.parametrize(
    ("name", "well"), [("restricted_api_key", True), ("missing_api_key", False), ("validation_error", False)]
)
def test_a_key_of_resend_that_may_only_send_is_well(provider, name, well):
    said = {"statusCode": 401, "name": name, "message": "This API key is restricted to only send emails"}
    answer = Answer(401, {}, json.dumps(said).encode())
    assert well is (MailApiRig(provider("resend"), "resend").channel()._well(answer) is None)


@pytest.mark.parametrize("kind", RIGS)
def test_a_request_in_doubt_leaves_all_its_messages_in_doubt_and_no_other(provider, kind):
    rig = MailApiRig(provider(kind), kind, concurrency=1)
    rig.provider.arrange("accepted_then_reset", times=1)
    wave = people(20)
    report = Report()

    async def go():
        channel = rig.channel()
        await channel.send(wave, report, threading.Event())
        await channel.close()

    run(go())
    first = {one.execution_id for one in wave[:7]}
    assert first == report.with_outcome(Doubtful)
    assert {"Doubtful": 7, "Delivered": 13} == report.kinds


@pytest.mark.parametrize("kind", ["mailgun", "sendgrid"])
def test_what_was_not_sent_for_anothers_sake_is_released_by_a_stop(provider, kind):
    """The provider has taken nothing of a request that it refused."""
    rig = MailApiRig(provider(kind), kind, concurrency=1)
    wave = wave_of("bad@x.org", *(f"user{number}@x.org" for number in range(6)))
    stop = threading.Event()
    report = Report()
    channel = rig.channel()
    exchange = channel._client.exchange

    async def exchange_and_stop(*given):
        answer = await exchange(*given)
        stop.set()
        return answer

    async def go():
        channel._client.exchange = exchange_and_stop
        await channel.send(wave, report, stop)
        await channel.close()

    run(go())
    report.assert_complete(wave)
    assert report.with_outcome(Delivered) == set()
    assert report.with_outcome(Released) >= {one.execution_id for one in wave[1:]}


@pytest.mark.parametrize("kind", RIGS)
def test_one_address_twice_in_a_wave_is_two_requests(provider, kind):
    rig = MailApiRig(provider(kind), kind)
    wave = wave_of("ada@x.org", "bo@x.org", "ada@x.org")
    assert {"Delivered": 3} == sent_by(rig, wave).kinds
    assert 2 == rig.provider.stats["requests"]
    assert sorted(one.execution_id for one in wave) == sorted(rig.accepted())


@pytest.mark.parametrize("kind", RIGS)
def test_a_connection_that_was_worn_out_costs_nobody_anything(provider, kind):
    rig = MailApiRig(provider(kind), kind)

    async def go():
        channel = rig.channel()
        first, second = Report(), Report()
        await channel.send(people(5), first, threading.Event())
        rig.provider.drop_connections()
        await asyncio.sleep(0)
        await channel.send(people(5), second, threading.Event())
        await channel.close()
        return first.kinds, second.kinds

    assert ({"Delivered": 5}, {"Delivered": 5}) == run(go())
