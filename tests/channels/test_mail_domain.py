"""A domain's records as receivers read them, from a name server of our own."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from engine.channels.smtp.lookup import Lookup
from engine.channels.smtp.mail_domain import MailDomain, examine_domain
from engine.content.dkim import Signer
from tests.servers.dns import DnsServer

KEY = generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
SIGNER = Signer("shop.example", "s1", PEM)
SIGNER.close()
RECORD = SIGNER.record[1]
GOOD = {
    "shop.example": {
        "TXT": ["google-site-verification=x", "v=spf1 include:_spf.relay.example -all"],
        "MX": ["10 mx.shop.example."],
    },
    "_spf.relay.example": {"TXT": ["v=spf1 ip4:8.8.4.0/24 ip6:2606:4700::/32 ~all"]},
    "s1._domainkey.shop.example": {"TXT": [RECORD]},
    "_dmarc.shop.example": {"TXT": ["v=DMARC1; p=reject; rua=mailto:d@shop.example"]},
    "mail.relay.example": {"A": ["8.8.4.9"], "AAAA": ["2606:4700::9"]},
    "9.4.8.8.in-addr.arpa": {"PTR": ["mail.relay.example."]},
    "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.4.6.0.6.2.ip6.arpa": {
        "PTR": ["mail.relay.example."]
    },
}
SENT = MailDomain(
    "shop.example", "shop.example", "mail.relay.example", "shop.example", "s1", RECORD, None, "starttls"
)


SHOP, S1, DMARC = "shop.example", "s1._domainkey.shop.example", "_dmarc.shop.example"
SPF, PTR = "_spf.relay.example", "9.4.8.8.in-addr.arpa"


def findings(sent=SENT, changes=None):
    """By name, the worst of each; `changes` are other records of names, or none."""
    records = {name: kinds for name, kinds in {**GOOD, **(changes or {})}.items() if kinds is not None}
    with DnsServer(records) as server:
        found = examine_domain(sent, Lookup([server.address]))
    order = [False, None, True]
    return {one.name: one for one in sorted(found, key=lambda one: order.index(one.ok), reverse=True)}


def test_a_domain_that_is_well_set_up():
    found = findings()
    assert {one.ok for one in found.values()} == {True}
    assert found["SPF"].found == "shop.example: 1 lookups, the server may send"
    assert found["DKIM"].found == "s1._domainkey.shop.example: rsa, the channel's key"
    assert found["DMARC"].found == "_dmarc.shop.example: p=reject"
    assert found["DMARC alignment"].found == "by SPF and DKIM"
    assert found["reverse name"].found.endswith("is mail.relay.example")


@pytest.mark.parametrize(
    ("name", "ok", "says", "remedy", "changes"),
    [
        (
            "SPF",
            False,
            "has no SPF record",
            "v=spf1 a:mail.relay.example ~all",
            {SHOP: {"MX": ["10 mx.x.example."]}},
        ),
        ("SPF", False, "2 SPF records", "v=spf1", {SHOP: {"TXT": ["v=spf1 -all", "v=spf1 a -all"]}}),
        ("SPF", False, "is no term", "v=spf1", {SHOP: {"TXT": ["v=spf1 ipv4:1.2.3.4 -all"]}}),
        ("SPF", False, "is no network", "v=spf1", {SHOP: {"TXT": ["v=spf1 ip4:1.2.3.400 -all"]}}),
        ("SPF", False, "has no SPF record", "v=spf1", {SPF: None}),
        ("SPF", False, "includes itself", "v=spf1", {SPF: {"TXT": ["v=spf1 include:shop.example -all"]}}),
        ("SPF", False, "lets everybody send", "~all", {SHOP: {"TXT": ["v=spf1 +all"]}}),
        ("SPF", False, "needs 11 lookups", "v=spf1", {SHOP: {"TXT": ["v=spf1" + " a" * 11 + " -all"]}}),
        (
            "SPF",
            None,
            "is not among those",
            "add a:mail.relay.example",
            {SHOP: {"TXT": ["v=spf1 ip4:1.1.1.1 -all"]}},
        ),
        ("SPF", False, "could not answer", "--dns-server", {SHOP: {"SERVFAIL": []}}),
        ("DKIM", False, "no DKIM record", f'"{RECORD}"', {S1: None}),
        ("DKIM", False, "the key is revoked", RECORD, {S1: {"TXT": ["v=DKIM1; p="]}}),
        ("DKIM", False, "cannot be read", RECORD, {S1: {"TXT": ["v=DKIM1; p=AAAA"]}}),
        ("DKIM", None, "t=y", "without t=y", {S1: {"TXT": [RECORD + "; t=y"]}}),
        ("DMARC", False, "no DMARC record", "v=DMARC1; p=none", {DMARC: None}),
        (
            "DMARC",
            False,
            "2 DMARC records",
            "one",
            {DMARC: {"TXT": ["v=DMARC1; p=none", "v=DMARC1;p=reject"]}},
        ),
        ("DMARC", False, "cannot be read", "p=none", {DMARC: {"TXT": ["v=DMARC1; rua=mailto:x"]}}),
        ("answers", False, "null MX", "refuse", {SHOP: {"TXT": ["v=spf1 -all"], "MX": ["0 ."]}}),
        ("answers", False, "neither MX nor address", "MX", {SHOP: {"TXT": ["v=spf1 -all"]}}),
        ("reverse name", False, "8.8.4.9 has no name", "PTR", {PTR: None}),
        ("reverse name", False, "which has another address", "PTR", {PTR: {"PTR": ["x.example."]}}),
    ],
)
def test_what_is_missing_is_told_with_what_to_publish(name, ok, says, remedy, changes):
    finding = findings(changes=changes)[name]
    assert ok is finding.ok, finding
    assert says in finding.found
    assert remedy in finding.remedy


def test_another_key_than_the_channels_is_told():
    other = generate_private_key(65537, 2048).public_key()
    value = base64.b64encode(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    finding = findings(changes={S1: {"TXT": [f"v=DKIM1; p={value}"]}})["DKIM"]
    assert (finding.ok, finding.found) == (
        False,
        "s1._domainkey.shop.example has another key than the channel",
    )
    assert RECORD in finding.remedy


def test_a_key_is_the_same_in_every_form():
    pkcs1 = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
    for text in (RECORD.removeprefix("v=DKIM1; k=rsa; "), RECORD.replace("; ", ";  ") + " ;"):
        assert findings(changes={S1: {"TXT": [text]}})["DKIM"].ok
    assert findings(changes={S1: {"TXT": [f"p={pkcs1}"]}})["DKIM"].ok
    private = Ed25519PrivateKey.generate()
    name, text = Signer("shop.example", "e", base64.b64encode(private.private_bytes_raw()).decode()).record
    assert name == "e._domainkey.shop.example"
    sent = MailDomain("shop.example", dkim_domain="shop.example", selector="e", record=text)
    assert findings(sent, {name: {"TXT": [text]}})["DKIM"].found == f"{name}: ed25519, the channel's key"


@pytest.mark.parametrize(
    ("return_path", "dkim_domain", "dmarc", "ok", "says"),
    [
        ("bounces.shop.example", "shop.example", "v=DMARC1; p=none", True, "by SPF and DKIM"),
        ("bounces.shop.example", "shop.example", "v=DMARC1; p=none; aspf=s", True, "by DKIM"),
        ("relay.example", "shop.example", "v=DMARC1; p=none", True, "by DKIM"),
        (
            "relay.example",
            "relay.example",
            "v=DMARC1; p=none",
            False,
            "neither SPF nor DKIM is of shop.example",
        ),
        ("bounces.shop.example", None, "v=DMARC1; p=none", None, "by SPF"),
    ],
)
def test_somebody_has_to_speak_for_the_domain_that_readers_see(return_path, dkim_domain, dmarc, ok, says):
    sent = MailDomain(
        "shop.example",
        return_path,
        dkim_domain=dkim_domain,
        selector="s1" if dkim_domain else None,
        record=RECORD,
    )
    finding = findings(sent, {DMARC: {"TXT": [dmarc]}})["DMARC alignment"]
    assert ok is finding.ok
    assert says in finding.found


def test_a_domain_below_has_the_policy_of_the_one_above():
    sent = MailDomain("news.shop.example", dkim_domain="shop.example", selector="s1", record=RECORD)
    found = findings(sent)
    assert found["DMARC"].found == "_dmarc.shop.example: p=reject"
    assert found["DMARC alignment"].found == "by SPF and DKIM"
    assert found["SPF"].ok is False


def test_what_the_channel_says_of_its_server_is_told():
    assert findings(MailDomain("shop.example", security="none"))["TLS"].ok is None
    refused = MailDomain("shop.example", security="tls", trouble="SMTP_TLS: no")
    assert (findings(refused)["TLS"].ok, findings(refused)["TLS"].found) == (False, "SMTP_TLS: no")
