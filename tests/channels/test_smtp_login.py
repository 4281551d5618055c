"""Logging in: the mechanisms that servers offer, and their ways with AUTH LOGIN; pipelining, on and off."""

from __future__ import annotations

import base64

import pytest

from engine.channels.port import Delivered, Down
from engine.channels.registry import build
from muster_testing.channels import SECRET, messages
from tests.channels.http_rig import LOOPBACK
from tests.channels.smtp_rig import SETTINGS
from tests.channels.test_smtp import outcomes

GOOD = {"username": "muster", "password": SECRET}
TOKEN = {"username": "muster", "access_token": SECRET}


@pytest.mark.parametrize(
    ("mechanisms", "strict", "credentials", "tried"),
    [
        ("PLAIN LOGIN", "", GOOD, {"PLAIN": 1}),
        ("LOGIN", "", GOOD, {"LOGIN": 1}),
        ("LOGIN", "ask", GOOD, {"LOGIN": 1}),
        ("LOGIN", "501 5.5.4 no initial response", GOOD, {"LOGIN": 2}),
        ("LOGIN", "535 5.7.8 no", GOOD, {"LOGIN": 2}),
        ("NTLM LOGIN", "504 5.5.4 no", GOOD, {"LOGIN": 2}),
        ("CRAM-MD5 PLAIN", "", GOOD, {"CRAM-MD5": 1}),
        ("PLAIN XOAUTH2", "", TOKEN, {"XOAUTH2": 1}),
        ("XOAUTH2 LOGIN", "", GOOD, {"LOGIN": 1}),
    ],
)
def test_a_login_is_taken_however_the_server_wants_it(smtp, mechanisms, strict, credentials, tried):
    rig = smtp(users={"muster": SECRET}, mechanisms=mechanisms, strict_login=strict, credentials=credentials)
    assert [Delivered] == [type(outcome) for outcome in outcomes(rig, messages(1))]
    assert tried == {name[5:]: count for name, count in rig.server.stats.items() if name.startswith("auth ")}


@pytest.mark.parametrize(
    ("mechanisms", "credentials", "says"),
    [
        ("PLAIN LOGIN", {**GOOD, "password": "other"},
         "535 5.7.8 who are you? (the server offers PLAIN, LOGIN; tried: PLAIN, LOGIN)"),
        ("GSSAPI NTLM", GOOD, "the server offers GSSAPI, NTLM; CRAM-MD5 or PLAIN or LOGIN is needed"),
        ("PLAIN LOGIN", TOKEN, "the server offers PLAIN, LOGIN; XOAUTH2 is needed"),
        ("XOAUTH2", {**TOKEN, "access_token": "old"},
         "535 5.7.8 the token is not valid (the server offers XOAUTH2; tried: XOAUTH2)"),
    ],
)  # fmt: skip
def test_a_refused_login_says_what_the_server_offers(smtp, mechanisms, credentials, says):
    rig = smtp(users={"muster": SECRET}, mechanisms=mechanisms, credentials=credentials)
    (outcome,) = outcomes(rig, messages(1))
    assert (Down, "SMTP_LOGIN", says) == (type(outcome), outcome.code, outcome.text)


def test_a_server_without_logins_says_so(smtp):
    (outcome,) = outcomes(smtp(credentials=GOOD), messages(1))
    assert "the server offers no login" in outcome.text


def test_trouble_that_passes_is_not_taken_for_wrong_credentials(smtp):
    rig = smtp(users={"muster": SECRET}, credentials=GOOD)
    rig.server.rule("auth", "454 4.7.0 temporary authentication failure")
    (outcome,) = outcomes(rig, messages(1))
    assert 1 == rig.server.stats["auth PLAIN"]
    assert 0 == rig.server.stats["auth LOGIN"]
    assert outcome.text.startswith("454 4.7.0 ")


def test_an_access_token_is_never_shown(smtp):
    rig = smtp(users={"muster": "other"}, mechanisms="XOAUTH2", credentials=TOKEN)
    sent = base64.b64encode(f"user=muster\1auth=Bearer {SECRET}\1\1".encode()).decode()
    rig.server.rule("auth", f"535 5.7.8 {SECRET} {sent}")
    (outcome,) = outcomes(rig, messages(1))
    assert outcome.text.startswith("535 5.7.8 *** ***")
    assert SECRET not in repr(rig.channel())


@pytest.mark.parametrize(
    ("credentials", "says"),
    [
        (
            {"username": "a", "password": "b", "access_token": "c"},
            "access_token: stands instead of a password",
        ),
        ({"access_token": "c"}, "username and access_token go together"),
        ({"username": "a"}, "username and password go together"),
    ],
)
def test_credentials_are_whole(credentials, says):
    with pytest.raises(ValueError, match=says):
        build("smtp", {**SETTINGS, "port": 25}, credentials, LOOPBACK)


@pytest.mark.parametrize("pipelining", [True, False])
def test_commands_travel_together_only_where_that_is_wanted(smtp, pipelining):
    rig = smtp(settings={"pipelining": pipelining, "concurrency": 1, "messages_per_connection": 4})
    rig.server.delay(0.02)
    assert [Delivered] * 8 == [type(outcome) for outcome in outcomes(rig, messages(8))]
    assert 2 == rig.server.stats["connections"]
    groups = rig.server.stats["groups"]
    assert groups < 30 if pipelining else groups > 34
