"""A webhook's signature: what the server signs, `verify` takes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import signing
from muster_client.webhooks import InvalidSignature, verify

BODY = b'{"id": "evt_1", "event": "campaign.started", "timestamp": "", "data": {"n": 1}}'
NOW = 1_000_000


def _headers(*keys: str, timestamp: int = NOW) -> dict[str, str]:
    return signing.headers(
        keys, event_id="evt_1", event="campaign.started", delivery_id="1", timestamp=timestamp, body=BODY
    )


@pytest.mark.parametrize(
    "secret", [signing.new_secret(), "sixteen characters", "whsec_YWJj"], ids=["made", "text", "base64"]
)
def test_what_the_server_signs_is_taken(secret: str) -> None:
    headers = {name.upper(): value for name, value in _headers(secret).items()}
    assert verify(BODY, headers, secret, now=NOW + 300)["data"] == {"n": 1}


def test_while_a_secret_is_replaced_either_side_may_have_both() -> None:
    assert verify(BODY, _headers("the new one", "the old one"), "the old one", now=NOW)
    assert verify(BODY, _headers("the old one"), ["the new one", "the old one"], now=NOW)


@pytest.mark.parametrize(
    ("body", "change", "secret", "reason"),
    [
        (BODY + b" ", {}, "right", "none of the secrets"),
        (BODY, {}, "wrong", "none of the secrets"),
        (BODY, {"webhook-id": "evt_2"}, "right", "none of the secrets"),
        (BODY, {"webhook-signature": ""}, "right", "none of the secrets"),
        (BODY, {"webhook-signature": "v2,abc é"}, "right", "none of the secrets"),
        (BODY, {"webhook-timestamp": str(NOW - 301)}, "right", "300 seconds off"),
        (BODY, {"webhook-timestamp": str(NOW + 301)}, "right", "300 seconds off"),
        (BODY, {"webhook-timestamp": "soon"}, "right", "no number"),
        (BODY, {"webhook-timestamp": None}, "right", "no header 'webhook-timestamp'"),
    ],
)
def test_anything_else_is_refused(body: bytes, change: dict[str, Any], secret: str, reason: str) -> None:
    headers = {name: value for name, value in (_headers("right") | change).items() if value is not None}
    with pytest.raises(InvalidSignature, match=reason):
        verify(body, headers, secret, now=NOW)


def test_a_secret_that_is_none_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="not base64"):
        verify(BODY, _headers("right"), "whsec_!", now=NOW)
