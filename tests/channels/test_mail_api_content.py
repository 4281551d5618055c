"""What recipients of mail APIs get: content of their own, headers, files, and the marks that events bring back."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from engine.channels import registry
from engine.channels.mail_apis.aws_signature import AwsKey, signed_headers
from engine.channels.port import Delivered, Rejected
from engine.channels.registry import InvalidChannel
from engine.content.enclosed import Attachment, Enclosed
from engine.content.links import read_message_id
from engine.content.message import Content
from muster_testing.channels import SECRET, message
from tests.channels.http_rig import LOOPBACK
from tests.channels.mail_api_rigs import RIGS, MailApiRig, received, sent_by

UNSUBSCRIBE = "https://muster.example/u/abc"
NAMES = ("Ada", "Grace Brewster Hopper", "Zoë & Söhne", "100 % [%m] %recipient {{html}}", "")


def page(name: str, number: int) -> Content:
    """As a template renders it; every second has a part more."""
    offer = '<p class="offer">Only for you</p>\n' if number % 2 else ""
    link = f'<a href="https://muster.example/t/c/{number:032x}/1">open</a>'
    html = f"<html><body>\n<h1>Hello {name}</h1>\n{offer}{link}\n</body></html>"
    return Content(f"News for {name}", f"Hello {name}\n\nhttps://muster.example/{number}\n", html)


@pytest.fixture(params=RIGS)
def rig(request, provider):
    return MailApiRig(provider(request.param), request.param)


def names_for(rig):
    return [name for name in NAMES if rig.kind != "mailgun" or "%recipient" not in name]


def test_everybody_gets_their_own(rig):
    names = names_for(rig)
    wave = [
        message(f"user{number}@x.org", content=page(names[number % len(names)], number))
        for number in range(40)
    ]
    assert {"Delivered": 40} == sent_by(rig, wave).kinds
    got = received(rig)
    for one in wave:
        its = got[one.execution_id]
        assert (one.address, one.content.subject, one.content.text, one.content.html) == (
            its["to"],
            its["subject"],
            its["text"],
            its["html"],
        )
    shapes = 1 if rig.kind in ("postmark", "resend", "ses") else 2
    assert shapes == rig.provider.stats["requests"]


def test_parts_that_a_message_lacks_are_not_sent(rig):
    wave = [
        message("ada@x.org", content=Content("Text", "Hello")),
        message("bo@x.org", content=Content("Page", html="<p>Hello</p>")),
    ]
    assert {"Delivered": 2} == sent_by(rig, wave).kinds
    got = received(rig)
    assert [("Hello", ""), ("", "<p>Hello</p>")] == [
        (got[one.execution_id]["text"], got[one.execution_id]["html"]) for one in wave
    ]


def test_headers_and_marks_are_each_recipients_own(rig):
    wave = [
        message(
            f"user{number}@x.org",
            unsubscribe_url=f"{UNSUBSCRIBE}{number}",
            content=Content("Hello", "Hello", headers=(("X-Number", str(number)),)),
            touchpoint_id=uuid4(),
        )
        for number in range(5)
    ]
    assert {"Delivered": 5} == sent_by(rig, wave, headers={"X-Shop": "yes"}).kinds
    got = received(rig)
    for number, one in enumerate(wave):
        its = got[one.execution_id]
        expected = {
            "X-Shop": "yes",
            "X-Number": str(number),
            "List-Unsubscribe": f"<{UNSUBSCRIBE}{number}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        assert expected.items() <= its["headers"].items()
        assert {
            "muster_execution_id": str(one.execution_id),
            "muster_campaign_id": str(one.campaign_id),
            "muster_recipient_id": str(one.entity_id),
            "muster_touchpoint_id": str(one.touchpoint_id),
        } == its["marks"]


@pytest.mark.parametrize("kind", ["sendgrid", "postmark", "resend"])
def test_the_message_id_is_ours_where_the_provider_lets_it(provider, kind):
    rig = MailApiRig(provider(kind), kind)
    sent = message("ada@x.org")
    sent_by(rig, [sent])
    headers = received(rig)[sent.execution_id]["headers"]
    assert (sent.campaign_id, sent.entity_id) == read_message_id(headers["Message-ID"])
    assert headers["Message-ID"].endswith("@shop.example>")
    assert kind != "postmark" or headers["X-PM-KeepID"] == "true"


def test_senders_of_a_wave_have_requests_of_their_own_where_a_request_has_one(rig):
    contents = [
        Content("Hello", "Hello"),
        Content("Hello", "Hello", sender_email="ceo@shop.example", sender_name="The Boß"),
        Content("Hello", "Hello", reply_to='"Help, now" <help@shop.example>'),
    ]
    wave = [message(f"user{number}@x.org", content=content) for number, content in enumerate(contents)]
    assert {"Delivered": 3} == sent_by(rig, wave).kinds
    one_request = rig.kind in ("postmark", "resend")
    assert (1 if one_request else 3) == rig.provider.stats["requests"]


@pytest.mark.parametrize(
    ("kind", "field", "plain", "other"),
    [
        ("postmark", "From", "The Shop <news@shop.example>", '"The Boß" <ceo@shop.example>'),
        ("resend", "from", "The Shop <news@shop.example>", '"The Boß" <ceo@shop.example>'),
        (
            "sendgrid",
            "from",
            {"email": "news@shop.example", "name": "The Shop"},
            {"email": "ceo@shop.example", "name": "The Boß"},
        ),
        (
            "ses",
            "FromEmailAddress",
            "The Shop <news@shop.example>",
            "=?utf-8?q?The_Bo=C3=9F?= <ceo@shop.example>",
        ),
    ],
)
def test_who_it_is_from(provider, kind, field, plain, other):
    rig = MailApiRig(provider(kind), kind)
    wave = [
        message("ada@x.org"),
        message(
            "bo@x.org", content=Content("x", "x", sender_email="ceo@shop.example", sender_name="The Boß")
        ),
    ]
    sent_by(rig, wave)
    got = received(rig)
    assert [plain, other] == [got[one.execution_id]["said"][field] for one in wave]


FILES = Enclosed(
    [
        Attachment("terms.txt", "text/plain", b"All rights"),
        Attachment("logo.png", "image/png", b"\x89PNG", content_id="logo"),
    ]
)


def test_files_go_with_it(rig):
    wave = [
        message(f"user{number}@x.org", content=Content("x", "x", '<img src="cid:logo">', enclosed=FILES))
        for number in range(3)
    ]
    assert {"Delivered": 3} == sent_by(rig, wave).kinds
    alone = rig.kind in ("resend", "ses")
    assert (3 if alone else 1) == rig.provider.stats["requests"]
    got = received(rig)[wave[0].execution_id]
    text, picture = (base64.b64encode(content).decode() for content in (b"All rights", b"\x89PNG"))
    match rig.kind:
        case "mailgun":
            assert {"attachment:terms.txt": text, "inline:logo": picture} == got["files"]
        case "ses":
            assert ["logo.png", "terms.txt"] == sorted(got["files"])
        case "postmark":
            assert [(text, None), (picture, "cid:logo")] == [
                (one["Content"], one.get("ContentID")) for one in got["said"]["Attachments"]
            ]
        case _:
            assert [(text, None), (picture, "logo")] == [
                (one["content"], one.get("content_id")) for one in got["said"]["attachments"]
            ]


def test_what_differs_too_much_is_a_request_of_its_own(provider):
    """SendGrid takes 10,000 bytes of substitutions for each recipient."""
    rig = MailApiRig(provider("sendgrid"), "sendgrid")
    long = ["x" * 11_000, "ü" * 5_500]
    bodies = [f"<p>{body}</p>" for body in ["short", "also short", *long]]
    wave = [message(f"user{n}@x.org", content=Content("x", html=html)) for n, html in enumerate(bodies)]
    assert {"Delivered": 4} == sent_by(rig, wave).kinds
    assert 3 == rig.provider.stats["requests"]
    assert bodies == [received(rig)[one.execution_id]["html"] for one in wave]


def test_requests_of_ses_stay_below_a_megabyte(provider):
    """And a message that is longer than an entry may be is sent as it stands."""
    rig = MailApiRig(provider("ses"), "ses")
    wave = [message(f"user{n}@x.org", content=Content("x", html='<p class="y">' * 4_000)) for n in range(20)]
    wave.append(message("long@x.org", content=Content("x", html="y" * 300_000)))
    assert {"Delivered": 21} == sent_by(rig, wave).kinds
    assert 3 <= rig.provider.stats["requests"] <= 5


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (Content("Hello\r\nBcc: x@x.org", "x"), "the subject holds a line break"),
        (Content("Hello", "x", headers=(("X-A", "a\nb"),)), "X-A holds a line break"),
        (Content("Hello", "x\ud800"), "half of a surrogate pair"),
        (Content("Hello"), "neither text nor HTML"),
        (Content("Hello", "x", sender_name="a\nb"), "the sender's name holds"),
    ],
)
def test_what_no_mail_can_hold_is_refused_to_its_recipient_alone(rig, content, expected):
    wave = [message("ada@x.org", content=content), message("bo@x.org")]
    report = sent_by(rig, wave)
    refused = report.outcomes[wave[0].execution_id]
    assert isinstance(refused, Rejected)
    assert "CONTENT_INVALID" == refused.code
    assert expected in refused.text
    assert isinstance(report.outcomes[wave[1].execution_id], Delivered)


def test_the_same_batch_again_has_the_same_key_and_any_other_has_not(provider):
    rig = MailApiRig(provider("resend"), "resend")
    wave = [message("ada@x.org"), message("bo@x.org")]
    for one in (wave, wave, wave[:1]):
        sent_by(rig, one)
    keys = [one["headers"]["idempotency-key"] for one in rig.provider.taken]
    assert keys[0] == keys[1] == keys[2] == keys[3] != keys[4]


def test_problems_are_told_before_anything_is_sent():
    for kind in RIGS:
        assert ["the message has no subject"] == registry.problems_of(kind, Content("", "x"))
        assert [] == registry.problems_of(kind, Content("x", "x"))
    (problem,) = registry.problems_of("mailgun", Content("x", "%recipient.name%"))
    assert "%recipient" in problem


@pytest.mark.parametrize(
    ("kind", "settings", "credentials", "field"),
    [
        ("sendgrid", {"base_url": "http://api.example"}, {}, "settings.base_url"),
        ("sendgrid", {"batch": 1001}, {}, "settings.batch"),
        ("postmark", {"batch": 501}, {}, "settings.batch"),
        ("resend", {"batch": 101}, {}, "settings.batch"),
        ("ses", {"batch": 51}, {}, "settings.batch"),
        ("ses", {"region": "moon"}, {}, "settings.region"),
        ("mailgun", {"domain": "a/b"}, {}, "settings.domain"),
        ("resend", {"headers": {"Subject": "x"}}, {}, "settings"),
        ("resend", {}, {"api_key": f"{SECRET}\r\nX: y"}, "credentials.api_key"),
        ("postmark", {}, {"server_token": f"{SECRET} x"}, "credentials.server_token"),
        ("ses", {}, {"secret_access_key": f"{SECRET}é"}, "credentials.secret_access_key"),
    ],
)
def test_what_cannot_be_is_named(provider, kind, settings, credentials, field):
    rig = MailApiRig(provider(kind), kind)
    given = {**{k: v for k, v in rig.settings.items() if k != "batch"}, **settings}
    with pytest.raises(InvalidChannel) as error:
        registry.build(kind, given, rig.credentials | credentials, LOOPBACK)
    assert [field] == [name for name, _ in error.value.errors]
    assert SECRET not in str(error.value)


def test_a_signature_is_amazons():
    """The vector `get-vanilla` of Amazon's test suite."""
    key = AwsKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    headers = signed_headers(
        "GET",
        "https://example.amazonaws.com/",
        b"",
        key=key,
        region="us-east-1",
        service="service",
        at=datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )
    assert headers["Authorization"].endswith(
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )
    assert "wJalr" not in repr(key)
