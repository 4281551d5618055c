"""Signatures: dkimpy believes every message that is signed, and nothing that was changed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from threading import get_ident
from uuid import uuid4

import dkim
import dkim.util
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from dkim import canonicalization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.channels import registry
from engine.content.dkim import Signer
from engine.content.enclosed import Attachment, Enclosed
from engine.content.message import Content, Message
from engine.content.mime import MimeBuilder

RSA = generate_private_key(65537, 2048)
ED25519 = Ed25519PrivateKey.generate()


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def record(key):
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)


def message(content=None, *, address="ada@y.org", unsubscribe_url="https://x.org/u/abc"):
    return Message(
        uuid4(), uuid4(), uuid4(), uuid4(), address, content or Content("s", "t", "<p>h"), unsubscribe_url
    )


@pytest.fixture(scope="module")
def signer():
    made = Signer("x.org", "spring", pem(RSA))
    yield made
    made.close()


def builder(signer, **options):
    return MimeBuilder(**{"sender_email": "news@x.org", "sender_name": "Nüws", "signer": signer, **options})


def believed(raw):
    asked = []

    def dns(name, timeout=5):
        asked.append(name)
        return record(RSA)

    good = dkim.verify(raw, dnsfunc=dns)
    assert asked[:1] in ([], [b"spring._domainkey.x.org."])
    return good


bodies = st.none() | st.text(
    st.sampled_from("a é\t\n.=") | st.characters(exclude_categories=["Cs"]), max_size=60
).map(lambda text: text or None)


@given(
    subject=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120),
    text=bodies,
    html=bodies,
    enclosed=st.booleans(),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_verifier_believes_every_message(signer, subject, text, html, enclosed):
    files = Enclosed([Attachment("a b.txt", "text/plain", b"x \t y\r\n\r\n" * 9)]) if enclosed else None
    content = Content(subject, text, html, headers=(("X-A", "b  c"),), enclosed=files)
    raw = builder(signer).build(message(content))
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert believed(raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: s", b"Subject: x"),
        (b"To: ada@y.org", b"To: bob@y.org"),
        (b"<https://x.org/u/abc>", b"<https://x.org/u/abd>"),
        (b"MIME-Version", b"Subject: first\r\nMIME-Version"),
        (b"MIME-Version", b"From: <evil@z.org>\r\nMIME-Version"),
        (b"<p>h", b"<p>i"),
    ],
)
def test_nobody_believes_a_message_that_was_changed(signer, old, new):
    raw = builder(signer).build(message())
    assert believed(raw)
    assert not believed(raw.replace(old, new, 1))


def test_one_click_unsubscribing_is_signed(signer):
    raw = builder(signer).build(message())
    named = re.search(rb" h=([a-z:\s-]+);", raw)
    assert named is not None
    names = named[1].split(b":")
    assert {b"list-unsubscribe", b"list-unsubscribe-post"} <= {name.strip() for name in names}


def signed_data(header, raw):
    """What RFC 6376 §3.7 has a verifier hash, worked out in another way."""
    canonical = canonicalization.CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    own = dkim.rfc822_parse(header + b"\r\n")[0][0]
    names = re.split(rb"\s*:\s*", dkim.util.parse_tag_value(own[1])[b"h"])
    headers = canonical.canonicalize_headers(dkim.rfc822_parse(raw)[0])
    digest = hashlib.sha256()
    dkim.hash_headers(digest, canonical, headers, names, own, {})
    return digest.digest()


def test_ed25519_signs_as_its_rfc_says():
    raw_key = ED25519.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    for given_key in (pem(ED25519), base64.b64encode(raw_key).decode()):
        raw = MimeBuilder(sender_email="news@x.org").build(message())
        header = Signer("x.org", "spring", given_key).sign(raw)
        signature = base64.b64decode(re.sub(rb"\s", b"", header.rpartition(b"b=")[2]))
        data = signed_data(header, raw)
        ED25519.public_key().verify(signature, data)
        with pytest.raises(InvalidSignature):
            ED25519.public_key().verify(signature, data[::-1])


def test_senders_of_other_domains_are_not_signed_for(signer):
    assert b"DKIM-Signature" in builder(signer, sender_email="a@mail.x.org").build(message())
    assert b"DKIM-Signature" not in builder(signer, sender_email="a@evilx.org").build(message())
    other = Content("s", "t", sender_email="a@z.org")
    assert b"DKIM-Signature" not in builder(signer).build(message(other))


def test_an_event_loop_goes_on_while_rsa_signs(signer, monkeypatch):
    threads = []
    sign = Signer.sign

    def noted(self, raw):
        threads.append(get_ident())
        return sign(self, raw)

    monkeypatch.setattr(Signer, "sign", noted)
    raws = [
        asyncio.run(builder(one).built(message()))
        for one in (signer, Signer("x.org", "spring", pem(ED25519)))
    ]
    assert believed(raws[0])
    assert threads[0] != get_ident()
    assert threads[1] == get_ident(), "Ed25519 is faster than the way to another thread"


def test_a_closed_signer_still_signs_what_is_on_its_way():
    made = Signer("x.org", "spring", pem(RSA))
    made.close()
    made.close()
    assert believed(asyncio.run(builder(made).built(message())))


@pytest.mark.parametrize(
    ("domain", "selector", "key"),
    [
        ("x", "s", "K"),
        ("x.org\r\nBcc: a@b", "s", "K"),
        ("x.org", "s;", "K"),
        ("x.org", "", "K"),
        ("x.org", "s", "secret-secret"),
        ("x.org", "s", "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"),
        ("x.org", "s", base64.b64encode(b"secret").decode()),
    ],
)
def test_what_cannot_sign_is_refused_and_no_key_is_repeated(domain, selector, key):
    with pytest.raises(ValueError, match=r".") as refused:
        Signer(domain, selector, pem(RSA) if key == "K" else key)
    assert "secret" not in str(refused.value)


def smtp(**options):
    settings = {
        "host": "mail.x.org",
        "from_email": "news@x.org",
        "dkim_domain": "x.org",
        "dkim_selector": "spring",
    }
    settings |= options.pop("settings", {})
    settings = {name: value for name, value in settings.items() if value is not None}
    return registry.build("smtp", settings, {"dkim_private_key": pem(RSA), **options})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"settings": {"dkim_domain": "y.org"}}, "news@x.org is not of y.org"),
        ({"settings": {"dkim_domain": None}}, "go together"),
        ({"settings": {"dkim_domain": None, "dkim_selector": None}}, "beside it"),
        ({"dkim_private_key": None}, "dkim_private_key"),
        ({"dkim_private_key": "secret"}, "neither PEM"),
    ],
)
def test_a_mail_channel_whose_key_does_not_fit_is_refused(options, says):
    with pytest.raises(registry.InvalidChannel, match=re.escape(says)) as refused:
        smtp(**options)
    assert "secret" not in str(refused.value)


def test_a_mail_channel_with_a_key_can_be_built():
    channel = smtp()
    assert "BEGIN" not in repr(channel) + repr(channel._credentials)
    asyncio.run(channel.close())
