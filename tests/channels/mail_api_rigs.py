"""Channels over mail APIs, and the servers on loopback that they talk to."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from engine.channels import registry
from muster_testing.channels import SECRET, run, send_and_close
from tests.channels.http_rig import LOOPBACK, ApiRig

__all__ = ["RIGS", "MailApiRig", "received", "sent_by"]

FROM = {"from_email": "news@shop.example", "from_name": "The Shop"}
_KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mailgun": ({"domain": "mg.x.org"}, {"api_key": SECRET}),
    "postmark": ({}, {"server_token": SECRET}),
    "resend": ({}, {"api_key": SECRET}),
    "sendgrid": ({}, {"api_key": SECRET}),
    "ses": ({"region": "eu-central-1"}, {"access_key_id": "AKIDEXAMPLE00000", "secret_access_key": SECRET}),
}
RIGS = tuple(_KINDS)


class MailApiRig(ApiRig):
    """A rig of a kind; requests hold seven messages, if `batch` says nothing else."""

    def __init__(self, provider: Any, kind: str, **settings: Any) -> None:
        self.kind = kind
        more, credentials = _KINDS[kind]
        given = {**FROM, **more, "base_url": provider.url, "batch": 7, **settings}
        super().__init__(provider, given, credentials)

    def usual(self, **settings: Any) -> Any:
        """A channel with as many messages a request as its provider takes."""
        given = {name: value for name, value in self.settings.items() if name != "batch"}
        return registry.build(self.kind, {**given, **settings}, self.credentials, LOOPBACK)


def sent_by(rig: MailApiRig, wave: Any, **settings: Any) -> Any:
    """What becomes of a wave, with as many messages a request as the provider takes."""
    return run(send_and_close(rig.usual(**settings), wave))


def received(rig: MailApiRig) -> dict[UUID, dict[str, Any]]:
    """What each recipient got, by execution."""
    return {UUID(one["key"]): {"to": one["to"], **json.loads(one["text"])} for one in rig.provider.taken}
