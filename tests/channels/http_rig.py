"""A channel over an HTTP API, and the server on loopback that it talks to."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any
from uuid import uuid4

from engine.channels import registry
from engine.channels.port import (
    ChannelContext,
    Deferred,
    Delivered,
    Doubtful,
    Down,
    Outcome,
    Rejected,
    Released,
    SenderRefused,
    Throttled,
)
from engine.content.message import Content
from engine.kernel.outbound import Guard
from muster_testing.channels import message, run, send_and_close

__all__ = ["EXPECTED", "LOOPBACK", "SILENCE", "SILENT", "ApiRig", "outcome_in", "refusal_in"]

Refusal = Rejected | Deferred | Throttled | SenderRefused | Down | Doubtful

#: What a channel needs to reach the servers of a test.
LOOPBACK = ChannelContext(guard=Guard([ip_network("127.0.0.0/8")]))

#: Scenarios in which no answer comes, or only its head. Only they get a time-out that is short enough for a test, in
#: seconds: on a busy machine an answer takes as long as it takes.
SILENT = ("stall", "accepted_in_silence", "half")
SILENCE = 2
#: Over HTTP a client cannot tell a reset before from one after the request was read: it was written, so it is doubt.
EXPECTED = {
    "healthy": (Delivered,),
    "permanent": (Rejected,),
    "transient": (Deferred,),
    "throttled": (Throttled,),
    "down": (Down,),
    "account": (Down,),
    "reset": (Doubtful,),
    "stall": (Doubtful,),
    "accepted_in_silence": (Doubtful,),
    "accepted_then_reset": (Doubtful,),
    "garbage": (Doubtful,),
    "half": (Delivered,),
}


class ApiRig:
    """`settings` and `credentials` are the channel's; `address(n)` is where the n-th message goes."""

    kind = ""

    def __init__(self, provider: Any, settings: dict[str, Any], credentials: dict[str, Any]) -> None:
        self.provider = provider
        self.settings = {"concurrency": 5, **settings}
        self.credentials = credentials
        self._scenario = "healthy"

    def channel(self) -> Any:
        return registry.build(self.kind, self.patient_settings(), self.credentials, LOOPBACK)

    def patient_settings(self) -> dict[str, Any]:
        """The channel's settings; a silent provider is waited for a short time, by all messages at once."""
        if self._scenario not in SILENT:
            return self.settings
        return {"timeout": SILENCE, **self.settings, "concurrency": 25}

    def arrange(self, scenario: str) -> None:
        self._scenario = scenario
        self.provider.arrange(scenario)

    def accepted(self) -> Any:
        return self.provider.accepted()

    def address(self, number: int) -> str:
        return f"user{number}@x.org"

    def wave(self, count: int) -> Any:
        """Each says its execution id, for providers that have no field for it."""
        wave = []
        for number in range(count):
            execution_id = uuid4()
            content = Content("Hello", f"Hello Ada, this is {execution_id}", "<p>Hello Ada</p>")
            wave.append(message(self.address(number), content=content, execution_id=execution_id))
        return wave


def outcome_in(rig: Any, scenario: str, sent: Any = None) -> Outcome:
    """What becomes of one message while the provider is in `scenario`."""
    rig.arrange(scenario)
    sent = sent or rig.wave(1)[0]
    return run(send_and_close(rig.channel(), [sent])).outcomes[sent.execution_id]


def refusal_in(rig: Any, scenario: str, sent: Any = None) -> Refusal:
    """The same of a message that is started and not taken."""
    outcome = outcome_in(rig, scenario, sent)
    assert not isinstance(outcome, (Delivered, Released)), outcome
    return outcome
