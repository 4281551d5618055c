"""Three real scheduler processes, 200 starts within seconds, one scheduler killed inside one: each is made once."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from engine.campaigns import authoring, execute_campaign
from engine.kernel.inputs import read
from state.tables import Event, Job, ScheduledRun, Target, Template
from tests.harness.seeds import seed
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

pytestmark = pytest.mark.slow

STARTS = 200
#: They fall due within so many seconds: well inside a minute.
SPAN = 8.0
#: Which of its own starts kills the doomed scheduler: it makes about a third of them.
DOOMED_AT = 5


def prepare(session: Session, org_id: UUID, template: UUID, target: str) -> list[UUID]:
    """Two hundred campaigns, to be started tomorrow; the ids of the starts."""
    tomorrow = session.info["clock"].now() + timedelta(days=1)
    keys = []
    for number in range(STARTS):
        plan = {
            "name": f"c{number}",
            "audience": {"segments": [target]},
            "messages": [{"template": str(template)}],
        }
        campaign = authoring.write_campaign(session, org_id, read(authoring.Plan, plan))
        keys.append(
            execute_campaign.execute(session, org_id, campaign.id, window=4, due_at=tomorrow).execution_id
        )
    return keys


def bring_forward(session: Session) -> None:
    """All starts fall due within the next seconds, each at a time of its own: however long it took to write them."""
    now = session.info["clock"].now()
    for number, run in enumerate(session.scalars(select(ScheduledRun))):
        run.due_at = now + timedelta(seconds=1 + SPAN * number / STARTS)


@pytest.mark.services
def test_each_of_two_hundred_starts_is_made_once(tmp_path: Path) -> None:
    env = {"MUSTER_SWEEP_INTERVAL": "0.2"}
    with Stack(tmp_path, workers=0, scheduler=False, smtp=False, env=env) as stack:
        made = stack.seed(seed, stack.env["MUSTER_SECRET_KEY"], size=1, kind="null", settings={})
        doomed = stack.begin_scheduler(MUSTER_TRIGGER=f"schedule.before_commit=kill@{DOOMED_AT}")
        others = [stack.begin_scheduler() for _ in range(2)]
        stack.wait_started(doomed, *others)
        with stack.database.begin() as session:
            template = session.execute(select(Template.id)).scalar_one()
            target = session.execute(select(Target.id)).scalar_one()
            keys = prepare(session, made.org_id, template, str(target))
        with stack.database.begin() as session:
            bring_forward(session)

        def waiting() -> int:
            with stack.database.read() as session:
                return session.execute(
                    select(func.count()).where(ScheduledRun.status == "waiting")
                ).scalar_one()

        wait_until(lambda: waiting() == 0, "nothing waits any more", deadline=90, interval=0.2)
        assert doomed.wait(60) == -signal.SIGKILL
        with stack.database.read() as session:
            rows = session.scalars(select(ScheduledRun)).all()
            jobs = session.scalars(select(Job)).all()
            started = session.scalars(select(Event.job_id).where(Event.name == "campaign.started")).all()
        assert {row.status for row in rows} == {"started"}
        assert Counter(job.id for job in jobs) == Counter(keys) == Counter(started)
        assert len({job.campaign_id for job in jobs}) == STARTS
        late = [(row.ended_at - row.due_at).total_seconds() for row in rows if row.ended_at is not None]
        assert min(late) >= 0, "none before its time"
        print(f"latest start {max(late):.2f} s behind its time")  # noqa: T201
