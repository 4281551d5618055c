"""Signed mail through a real server: every promise of the channel holds, and a verifier believes what arrived."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from engine.content.message import Content
from muster_testing.channels import WireConformance, message, run, send_and_close

KEY = generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
RECORD = b"v=DKIM1; p=" + base64.b64encode(
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
SIGNED = {
    "settings": {"dkim_domain": "muster.example", "dkim_selector": "spring"},
    "credentials": {"dkim_private_key": PEM},
}


class TestSmtpSigned(WireConformance):
    @pytest.fixture
    def rig(self, smtp):
        return smtp(**SIGNED)


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_verifier_believes_what_arrived(smtp, pipelining):
    rig = smtp(pipelining=pipelining, **SIGNED)
    texts = [".", "..\n.\n", "Grüße\n" * 200, "a  b\t\nend  ", "\n\n\n", "x" * 100_000]
    wave = [
        message(content=Content(f"Ünter {index}", text, f"<p>{text}")) for index, text in enumerate(texts)
    ]
    run(send_and_close(rig.channel(), wave))
    assert len(rig.server.messages) == len(texts)
    for taken in rig.server.messages:
        assert taken.raw.startswith(b"DKIM-Signature: v=1;")
        assert dkim.verify(taken.raw, dnsfunc=lambda *_, **__: RECORD)
