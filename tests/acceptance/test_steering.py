"""A campaign steered while it delivers at full speed: paused and resumed ten times, edited once, cancelled at 80 %.

After a pause is acknowledged nothing leaves but what was on the wire; what left is what is recorded, to the last
message. `MUSTER_SCALE=full` runs the size of the promise (50,000 recipients), else a tenth. Where to pause is drawn
from a seed.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from state.tables import Campaign, Recipient, Slice, Target
from state.transitions import SliceState
from tests.acceptance.client import signed_in
from tests.harness.providers import SmtpSink
from tests.harness.seeds import smtp_settings
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.client import Client

pytestmark = pytest.mark.slow

FULL = os.environ.get("MUSTER_SCALE") == "full"
SIZE = 50_000 if FULL else 5_000
PAUSES = 10
SEED = 20_261
WORKERS = 2
THREADS = 4 if FULL else 2
WAVE = 100 if FULL else 25
#: On the wire at most: a wave of each thread.
ON_THE_WIRE = WORKERS * THREADS * WAVE
BASE = "/api/v1/campaigns"
FIRST, SECOND = "First wording", "Second wording"


def contacts() -> bytes:
    lines = ["id,email", *(f"{number},p{number}@d{number % 50}.example" for number in range(SIZE))]
    return "\n".join(lines).encode()


@dataclass
class Pause:
    """One pause, as it went."""

    at: int
    """Messages that had left when it was acknowledged."""
    after: int = 0
    """Messages that left behind that."""
    tail: float = 0.0
    """Seconds from the acknowledgement to the last of them."""


@dataclass
class Steered:
    """A campaign, the server that takes its mail, and what steering it showed."""

    client: Client
    stack: Stack
    sink: SmtpSink
    campaign: str
    pauses: list[Pause] = field(default_factory=list)

    def ask(self, method: str, path: str = "", **options: Any) -> Any:
        return self.client.ask(method, f"{BASE}/{self.campaign}{path}", **options)["data"]

    def left(self) -> int:
        """Messages that the mail server has taken."""
        return self.sink.journal.count()

    def wait_for(self, wanted: int) -> None:
        wait_until(
            lambda: self.left() >= wanted, f"{wanted} messages have left", deadline=120, interval=0.005
        )

    def pause(self) -> None:
        """Pause, and see what still leaves."""
        assert self.ask("POST", "/pause")["status"] == "paused"
        acknowledged = time.time()
        pause = Pause(self.left())
        wait_until(lambda: self.on_the_wire() == 0, "nothing is on the wire", deadline=60)
        pause.after = self.left() - pause.at
        pause.tail = max((sent.at - acknowledged for sent in self.sink.journal.sent()), default=0.0)
        self.pauses.append(pause)
        progress = self.ask("GET", "/progress")
        assert (progress["status"], progress["currentRate"]) == ("paused", 0)
        assert progress["waiting"][0]["reason"] == "paused"
        assert progress["progress"]["successful"] == self.left()

    def on_the_wire(self) -> int:
        """Slices that somebody works on: a lease ends when all of its wave is settled."""
        with self.stack.database.read() as session:
            return session.execute(select(func.count()).where(Slice.state == SliceState.LEASED)).scalar_one()

    def edit(self) -> int:
        """Another message for whoever is left; how many have had the first one."""
        shown = self.ask("PUT", json={"messages": [{"templateId": "second"}]})
        assert [message["templateId"] for message in shown["messages"]] == ["second"]
        return self.left()


def started(client: Client, stack: Stack, sink: SmtpSink) -> Steered:
    """Everybody is imported, and the campaign is executed."""
    client.import_csv("contact", contacts(), external_id="id")
    client.make("channel", name="mail", kind="smtp", settings=smtp_settings(sink.port, concurrency=20))
    client.target("contact", {"key": "email", "operator": "NOT_EMPTY"})
    for name, subject in (("first", FIRST), ("second", SECOND)):
        client.make("template", name=name, subject=subject, text="Hello")
    with stack.database.read() as session:
        segment = str(session.execute(select(Target.id)).scalar_one())
    plan = {
        "name": "Steered",
        "targetAudience": {"segments": [segment]},
        "messages": [{"templateId": "first"}],
        "strategy": {"channels": ["mail"]},
    }
    campaign = str(client.ask("POST", BASE, json=plan)["data"]["id"])
    steered = Steered(client, stack, sink, campaign)
    assert steered.ask("POST", "/execute", json={"priority": "high"})["status"] == "started"
    return steered


def check(steered: Steered, edited_at: int) -> None:
    """What left is what is recorded; the sums are exact; the edit took effect where it was made."""
    subjects = [sent.entry["subject"] for sent in steered.sink.journal.sent()]
    assert subjects == [FIRST] * edited_at + [SECOND] * (len(subjects) - edited_at)
    found = steered.stack.account(UUID(steered.campaign), expected=SIZE)
    found.assert_whole()
    success = found.statuses["success"]
    assert found.statuses == {"success": success, "cancelled": SIZE - success}
    assert success == len(subjects)
    assert found.errors == {"JOB_CANCELLED": SIZE - success}
    progress = steered.ask("GET", "/progress")
    assert progress["status"] == "cancelled"
    assert progress["progress"] == {
        "percentage": success * 100 // SIZE,
        "processed": success,
        "total": SIZE,
        "successful": success,
        "failed": 0,
        "pending": 0,
        "inProgress": 0,
        "cancelled": SIZE - success,
        "excluded": 0,
    }


@pytest.mark.services
def test_paused_ten_times_edited_once_and_cancelled_at_eighty_percent(tmp_path: Path) -> None:
    draw = random.Random(SEED)  # noqa: S311 - a drawn test, repeated exactly
    points = sorted(draw.uniform(0.02, 0.70) for _ in range(PAUSES))
    env = {
        "MUSTER_WAVE_SIZE": str(WAVE),
        "MUSTER_WORKER_THREADS": str(THREADS),
        "MUSTER_SLICE_SIZE": "500" if FULL else "100",
    }
    with (
        SmtpSink(tmp_path) as sink,
        Stack(tmp_path, workers=WORKERS, api=True, smtp=False, env=env) as stack,
        signed_in(stack) as client,
    ):
        stack.smtp = sink  # the account reads its journal
        steered = started(client, stack, sink)
        edited_at = 0
        for number, point in enumerate(points):
            steered.wait_for(int(point * SIZE))
            steered.pause()
            if number == PAUSES // 2:
                edited_at = steered.edit()
            assert steered.ask("POST", "/resume")["status"] == "active"
        steered.wait_for(int(0.8 * SIZE))
        assert steered.ask("PUT", json={"status": "cancelled"})["status"] == "cancelled"

        def wound_up() -> bool:
            with stack.database.read() as session:
                pending = Recipient.automation_status.in_(("pending", "in_progress"))
                return session.execute(select(Recipient.entity_id).where(pending).limit(1)).first() is None

        wait_until(wound_up, "everybody has an outcome", deadline=120, interval=0.2)
        wait_until(lambda: steered.on_the_wire() == 0, "nothing is on the wire", deadline=60)
        check(steered, edited_at)
        with stack.database.read() as session:
            assert session.execute(select(Campaign.status)).scalar_one() == "cancelled"
    assert [pause.after <= ON_THE_WIRE for pause in steered.pauses] == [True] * PAUSES, steered.pauses
    told = ", ".join(f"{pause.at}+{pause.after} ({pause.tail * 1000:.0f} ms)" for pause in steered.pauses)
    print(f"at most {ON_THE_WIRE} on the wire; left at each pause, and after it: {told}")  # noqa: T201
