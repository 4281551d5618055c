"""`muster doctor --domain`: what receivers need to believe mail, what to publish, and exit code 1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.content.dkim import Signer
from tests.servers.dns import DnsServer
from tests.servers.smtp import SmtpServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster

RECORDS = {
    "shop.example": {"TXT": ["v=spf1 mx -all"], "MX": ["10 mx.shop.example."]},
    "mx.shop.example": {"A": ["8.8.4.9"]},
    "_dmarc.shop.example": {"TXT": ["v=DMARC1; p=none"]},
}


def test_a_domain_without_a_channel_is_looked_at_by_its_records(acme: Muster) -> None:
    with DnsServer(RECORDS) as server:
        found = acme(
            "doctor", "--domain", "Shop.Example", "--selector", "s1", "--dns-server", server.address, "--json"
        )
        checks = {one["name"]: one for one in found.json}
        assert found.code == 1
        assert (True, True) == (checks["SPF"]["ok"], checks["DMARC"]["ok"])
        assert checks["DKIM"]["ok"] is False
        assert "publish at s1._domainkey.shop.example" in checks["DKIM"]["remedy"]
    refused = acme("doctor", "--domain", "nonsense")
    assert (refused.code, "is no domain" in refused.err) == (1, True)


def test_a_channels_key_is_compared_with_what_is_published(acme: Muster, tmp_path: Path) -> None:
    pem = (
        generate_private_key(65537, 2048)
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
    )
    signer = Signer("shop.example", "s1", pem)
    signer.close()
    name, text = signer.record
    with SmtpServer() as mail, DnsServer(RECORDS) as server:
        keys = tmp_path / "credentials.json"
        keys.write_text(json.dumps({"dkim_private_key": pem}))
        settings = {
            "host": "127.0.0.1",
            "port": mail.port,
            "security": "none",
            "from_email": "news@shop.example",
        }
        settings |= {"dkim_domain": "shop.example", "dkim_selector": "s1"}
        set_ = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        acme.ok("channel", "create", "mail", "--kind", "smtp", *set_, "--credentials", str(keys))
        arguments = ("doctor", "--domain", "shop.example", "--dns-server", server.address, "--json")
        missing = acme(*arguments)
        assert missing.code == 1
        remedies = {one["name"]: one["remedy"] for one in missing.json if one["ok"] is False}
        assert remedies == {"DKIM": f'publish at {name}: TXT "{text}"'}
        server.records[name] = {"TXT": [text]}
        mended = acme(*arguments)
        assert mended.code == 0, mended.json
        assert "the channel's key" in str(mended.json)
        tested = acme("channel", "test", "mail", "--records", "--dns-server", server.address)
        assert (0, True) == (tested.code, "DMARC" in tested.out)
        del server.records[name]
        assert 1 == acme("channel", "test", "mail", "--records", "--dns-server", server.address).code
        acme.ok("channel", "create", "files", "--kind", "file")
        assert "only a mail channel has a domain" in acme("channel", "test", "files", "--records").err
