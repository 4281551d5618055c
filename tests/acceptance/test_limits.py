"""A limit over four worker processes, one of which is killed, and raised while messages leave (issue 4).

Measured at the mail server, where one second may hold what was late from the one before: no time since the activation
holds more than is allowed; on a machine with nothing else to do no second does. (`MUSTER_SCALE=full`, which also sends
for thirty seconds before the limit is raised, otherwise six.)
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import select

from config.settings import Settings
from engine.authentication.api_keys import create_key
from engine.campaigns import lifecycle
from engine.kernel.runtime import Runtime
from state.tables import Channel, Slice
from tests.harness.seeds import seed, smtp_settings
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

pytestmark = pytest.mark.slow

FULL = os.environ.get("MUSTER_SCALE") == "full"
SECONDS = 30 if FULL else 6
RATE, RAISED = (200, 400) if FULL else (50, 200)
LEASE = RATE // 10
"""One lease: a tenth of a second's permits."""


def test_a_limit_holds_over_all_workers_and_is_raised_live(tmp_path: Path) -> None:
    env = {"MUSTER_LEASE": "3", "MUSTER_SWEEP_INTERVAL": "0.5", "MUSTER_SLICE_SIZE": "100"}
    with Stack(tmp_path, workers=2, env=env) as stack:
        stack.start_api()
        stack.wait_started(stack.begin_worker(), stack.begin_worker())
        assert stack.smtp is not None
        seeded = stack.seed(
            seed,
            stack.env["MUSTER_SECRET_KEY"],
            size=RATE * SECONDS + 4 * RAISED,
            kind="smtp",
            settings=smtp_settings(stack.smtp.port),
            limits={"rate": {"messages": RATE}},
        )
        key, channel_id = stack.seed(_key_and_channel, seeded.org_id)
        activated_at = time.time()
        began = _activate(stack, seeded.org_id, seeded.campaign_id)
        journal = stack.smtp.journal
        wait_until(lambda: len(journal.sent()) >= RATE * SECONDS // 3, "a third is sent", deadline=60)
        pid = wait_until(lambda: stack.seed(_who_sends), "somebody has a slice", deadline=10)
        next(worker for worker in stack.workers if pid in (worker.pid, *worker.descendants())).kill()
        wait_until(lambda: len(journal.sent()) >= RATE * SECONDS, "the time is over", deadline=60)
        raising_at = time.time()
        raised_at = _raise(stack, key, channel_id)
        stack.wait_for_job(began, "finished", deadline=120)
        times = sorted(sent.at for sent in journal.sent())
        account = stack.account(seeded.campaign_id, expected=RATE * SECONDS + 4 * RAISED)
        account.assert_whole(duplicated=4 * LEASE)

    before = [at for at in times if at < raised_at]
    after = [at for at in times if at >= raised_at]
    worst, worst_after = max(_windows(before)), max(_windows(after))
    used = len(before) / (RATE * (before[-1] - before[0]))
    lifted = len(after) / (after[-1] - raised_at)
    print(  # noqa: T201 - the figures are what the test is for
        f"\nlimit {RATE}/s over 4 processes, one killed, {before[-1] - before[0]:.1f} s: worst second {worst} (allowed"
        f" {RATE + LEASE}), used {used:.1%}; after raising it to {RAISED}/s: {lifted:.0f}/s, worst second {worst_after}"
        f" (allowed {RAISED + RAISED // 10})"
    )
    if FULL:  # what is late on the wire adds up there, and a machine that has other things to do is late
        assert worst <= RATE + LEASE
        assert worst_after <= RAISED + RAISED // 10
    for number, at in enumerate(times, 1):
        raised_for = max(at - raising_at, 0)
        allowed = RATE * (at - activated_at - raised_for) + LEASE + RAISED * raised_for + RAISED // 10
        assert number <= allowed, "however late the others were"
    assert lifted > RATE, "the raised limit is used beyond what the old one allowed"


def _windows(times: Sequence[float]) -> list[int]:
    """How many there are in the second that begins with each of `times`, which are in order."""
    return [bisect_left(times, at + 1.0) - position for position, at in enumerate(times)]


def _key_and_channel(session: Session, org_id: UUID) -> tuple[str, UUID]:
    _, plain = create_key(session, org_id, "test", "admin")
    channel_id = session.query(Channel.id).filter(Channel.org_id == org_id).scalar()
    return plain, channel_id


def _who_sends(session: Session) -> int | None:
    """The process that has had a slice under lease for longest."""
    owner = session.execute(
        select(Slice.lease_owner)
        .where(Slice.state == "leased", Slice.lease_owner.is_not(None))
        .order_by(Slice.woken_at)
        .limit(1)
    ).scalar()
    return None if owner is None else int(owner.rpartition(":")[2])


def _activate(stack: Stack, org_id: UUID, campaign_id: UUID) -> UUID:
    settings = Settings(redis_url=stack.redis.url)
    runtime = Runtime(settings, database=stack.database)
    with runtime.transaction() as session:
        job = lifecycle.activate(session, org_id, campaign_id, window=settings.window)
        assert job is not None
        return job.id


def _raise(stack: Stack, key: str, channel_id: UUID) -> float:
    answer = httpx.patch(
        f"{stack.api_url}/v1/channel/{channel_id}",
        json={"limits": {"rate": {"messages": RAISED}}},
        headers={"authorization": f"Bearer {key}"},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return time.time()
