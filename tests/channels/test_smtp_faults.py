"""Whatever a mail server does, in whatever order: nobody is lost, nobody gets two without doubt."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.channels.port import Delivered, Doubtful
from engine.content.message import Content
from muster_testing.channels import Report, message, messages, run
from tests.channels.smtp_rig import SmtpRig

actions = st.sampled_from(
    ["550 5.1.1 no", "451 4.3.0 later", "421 4.7.0 enough", "554 5.5.1 no", "reset", "close", "stall"]
)
rules = st.fixed_dictionaries(
    {
        "stage": st.sampled_from(["greeting", "ehlo", "mail", "rcpt", "data", "content", "message"]),
        "action": actions,
        "times": st.integers(1, 4),
        "every": st.integers(1, 5),
    }
) | st.fixed_dictionaries(
    {
        "stage": st.just("message"),
        "action": st.sampled_from(["accept, stall", "accept, reset", "accept, close"]),
        "times": st.integers(1, 4),
        "every": st.integers(1, 5),
    }
)


async def interrupted(channel, wave, interruption, after):
    """Send a wave, and interrupt it when so many of it have their outcome."""
    stop, reached = threading.Event(), asyncio.Event()
    report = Report(until=after, reached=reached)
    task = asyncio.create_task(channel.send(wave, report, stop))
    if interruption is not None:
        signal = asyncio.create_task(reached.wait())
        await asyncio.wait([task, signal], return_when=asyncio.FIRST_COMPLETED)
        signal.cancel()
    if interruption == "stop":
        stop.set()
    elif interruption == "cancel":
        task.cancel()
    await asyncio.wait([task])
    await channel.close()
    return report


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    faults=st.lists(rules, max_size=5),
    pipelining=st.booleans(),
    connections=st.sampled_from([1, 2, 1000]),
    concurrency=st.integers(1, 6),
    uses=st.sampled_from([1, 3, 500]),
    large=st.booleans(),
    interruption=st.sampled_from([None, None, "stop", "cancel"]),
    after=st.integers(1, 20),
)
def test_every_message_has_one_outcome_and_it_is_true(
    faults, pipelining, connections, concurrency, uses, large, interruption, after
):
    limits = {"connect_timeout": 0.15, "command_timeout": 0.1, "data_timeout": 0.1}
    rig = SmtpRig(
        pipelining=pipelining,
        connections=connections,
        settings={**limits, "concurrency": concurrency, "messages_per_connection": uses},
    )
    try:
        for fault in faults:
            rig.server.rule(**fault)
        wave = messages(20)
        if large:
            wave.append(message(content=Content("Large", "line\n" * 50_000)))
        report = run(interrupted(rig.channel(), wave, interruption, after))
        report.assert_complete(wave)
        accepted = Counter(rig.accepted())
    finally:
        rig.close()
    delivered, doubtful = report.with_outcome(Delivered), report.with_outcome(Doubtful)
    assert max(accepted.values(), default=1) == 1
    assert delivered <= accepted.keys() <= delivered | doubtful
