"""Two campaigns over one account that takes so many a second share the rate that was found, over two worker processes;
a third over another account does not notice; and a worker that is killed takes nothing of it along.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from state.tables import Channel
from tests.acceptance.client import signed_in
from tests.harness.answering import AnsweringProvider
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.client import Client

pytestmark = pytest.mark.slow

RATE, EACH, FREE = 20, 150, 600
PROBES = 1.5
"""Refusals a second at most, on average: a rate is found by going beyond it now and then, a lease of two messages each
time; a worker that forgot it is refused about twenty times a second."""
EVERYBODY = {"filter": {"items": [{"key": "email", "operator": "NOT_EMPTY"}], "combination": "AND"}}
MAIL = {"security": "none", "from_email": "news@shop.example", "host": "127.0.0.1"}


def draft(client: Client, channel: str, name: str, people: int) -> str:
    """A campaign to people of its own."""
    rows = "".join(f"{name}{n},{name}{n}@{name}{n % 20}.example\n" for n in range(people))
    data = f"name,email\n{rows}".encode()
    assert client.import_csv(name, data, external_id="name", title="{name}")["created"] == people
    target = client.make("target", name=name, entity_schema=name, entity_filters=EVERYBODY)
    return client.campaign(target, channel, subject="Hello", text="Hello {{ name }}")


def test_campaigns_share_the_rate_that_was_found(tmp_path: Path) -> None:
    with (
        AnsweringProvider(rate=RATE) as account,
        AnsweringProvider() as other,
        Stack(tmp_path, workers=2, api=True, smtp=False, env={"MUSTER_SWEEP_INTERVAL": "0.5"}) as stack,
        signed_in(stack) as client,
    ):
        slow = client.make("channel", name="slow", kind="smtp", settings={**MAIL, "port": account.port})
        fast = client.make("channel", name="fast", kind="smtp", settings={**MAIL, "port": other.port})
        first, second = (draft(client, slow, name, EACH) for name in ("one", "two"))
        third = draft(client, fast, "three", FREE)

        def found() -> Any:
            with stack.database.read() as session:
                row = session.get_one(Channel, UUID(slow))
                return row.throttled_rate, row.throttled_at, row.returns_to_rate

        began = time.monotonic()
        client.change_status(first, "active")
        client.change_status(second, "active")
        wait_until(lambda: found()[0] is not None, "a rate is found")
        client.change_status(third, "active")
        assert FREE == client.finish(third)["execution_counts"]["success"]
        assert len(account.told()["taken"]) < 2 * EACH, "it was over before those that wait"
        stack.workers[0].kill()
        kept, at_kill = found(), account.told()
        stack.begin_worker()
        for campaign in (first, second):
            assert EACH == client.finish(campaign)["execution_counts"]["success"]
        seconds, told = time.monotonic() - began, account.told()
        refused, busy = (told[name] - at_kill[name] for name in ("refused", "seconds"))
        print(  # noqa: T201 - the figures are what the test is for
            f"\n{2 * EACH} at {RATE} a second over 2 campaigns and 2 workers, one killed: {seconds:.1f} s, ideal "
            f"{2 * EACH / RATE:.1f} s, {told['refused']} refused, {refused} of them in the {busy} s that were used "
            f"after the kill; rates at the kill and in the end: {kept[0]:.1f} and {found()[0]:.1f}"
        )
        assert 2 * EACH == len(set(told["taken"]))
        assert max(Counter(told["taken"]).values()) <= 2, (
            "what the dead worker had on the wire may come twice"
        )
        assert not other.told()["refused"]
        assert kept[0] is not None
        assert kept[1] <= found()[1], "it is kept"
        assert refused <= PROBES * (busy + 1), "all keep to what one has found, also who begins behind it"
        assert found()[0] <= 1.3 * RATE
