"""The null channel: takes everything."""

from __future__ import annotations

import pytest

from engine.channels import registry
from engine.channels.null import NullChannel
from muster_testing.channels import Conformance


class NullRig:
    latency = 0.0

    def __init__(self):
        self.taken = []

    def channel(self):
        channel = registry.build("null", {"latency": 0.0}, {})
        assert isinstance(channel, NullChannel)
        rig, send = self, channel.send

        async def recorded(messages, report, stop):
            def noted(message, outcome):
                if type(outcome).__name__ == "Delivered":
                    rig.taken.append(message.execution_id)
                report(message, outcome)

            channel._latency = rig.latency
            await send(messages, noted, stop)

        channel.send = recorded  # type: ignore[method-assign]
        return channel

    def arrange(self, scenario):
        self.latency = 0.02 if scenario == "slow" else 0.0

    def accepted(self):
        return self.taken


class TestNull(Conformance):
    scenarios = frozenset({"healthy"})

    @pytest.fixture
    def rig(self):
        return NullRig()


def test_its_address_is_the_email_or_the_entitys_id():
    channel = registry.build("null", {}, {})
    assert channel.address_of({"Email": "A@x.org", "_id": "17"}) == "a@x.org"
    assert channel.address_of({"_id": "17"}) == "17"
    assert (
        registry.build("null", {"address": "work.mail"}, {}).address_of({"work": {"mail": "b@x.org"}})
        == "b@x.org"
    )
