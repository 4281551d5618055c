"""kill -9 of a real worker between the steps of a sequence, and inside the second."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from state.tables import Campaign, DeliveryHour, Execution, Touchpoint
from tests.chaos.house import SLICE, WAVE
from tests.chaos.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos

#: As the plan pages them.
PAGES = (500, 100)
SLICES = [min(SLICE, page - start) for page in PAGES for start in range(0, page, SLICE)]
WAVES = sum(-(-size // WAVE) for size in SLICES)
NOT_CLICKED = {"filter": {"items": [{"key": "engagement.clicked", "operator": "EMPTY"}]}}


def lengthen(scene: Scene) -> tuple[UUID, UUID]:
    """After the message: two seconds, and another message to those who did not click. Returns both messages."""
    with scene.stack.database.begin() as session:
        first = session.execute(
            select(Touchpoint)
            .join(Campaign, Campaign.flow_id == Touchpoint.flow_id)
            .where(Campaign.id == scene.campaign_id)
        ).scalar_one()
        common = {
            "org_id": first.org_id,
            "flow_id": first.flow_id,
            "created_at": first.created_at,
            "updated_at": first.updated_at,
        }
        wait = Touchpoint(**common, position=1, type="wait", settings={"seconds": 2})
        again = {"template_id": first.template_id, "channel_id": first.channel_id}
        second = Touchpoint(**common, **again, position=2, condition=NOT_CLICKED)
        session.add_all([wait, second])
        session.flush()
        return first.id, second.id


@pytest.mark.parametrize(
    ("where", "trigger", "duplicated"),
    [
        ("between two steps", f"slice.closed=kill@{len(SLICES)}", 0),
        ("as the next step begins", f"slice.leased=kill@{len(SLICES) + 1}", 0),
        ("inside a step, before a wave leaves", f"wave.claimed=kill@{WAVES + 2}", 0),
        ("inside a step, behind a wave", f"wave.sent=kill@{WAVES + 2}", WAVE),
    ],
)
def test_worker_dies(where: str, trigger: str, duplicated: int, house: House, tmp_path: Path) -> None:
    with Scene(house, tmp_path, size=sum(PAGES), latency=0.0, workers=1) as scene:
        first, second = lengthen(scene)
        healthy = scene.worker()
        doomed = house.stack.start_worker(MUSTER_TRIGGER=trigger, MUSTER_WORKER_THREADS="1")
        healthy.pause()  # nothing is on its way, so it holds nothing
        scene.begin()
        assert doomed.wait(60) == -signal.SIGKILL
        mark = scene.mark()
        healthy.resume()
        recovery = scene.recovery(mark)
        scene.judge(f"kill -9 {where}", duplicated=duplicated, recovery=recovery, allowed=20)
        with scene.stack.database.read() as session:
            told = session.execute(
                select(Execution.touchpoint_id, Execution.status, func.count())
                .where(Execution.campaign_id == scene.campaign_id)
                .group_by(Execution.touchpoint_id, Execution.status)
            ).all()
            sums = session.execute(
                select(DeliveryHour.touchpoint_id, func.sum(DeliveryHour.sent))
                .where(DeliveryHour.campaign_id == scene.campaign_id)
                .group_by(DeliveryHour.touchpoint_id)
            ).all()
    size = sum(PAGES)
    assert {(first, "success", size), (second, "success", size)} == {tuple(row) for row in told}
    assert {(first, size), (second, size)} == {tuple(row) for row in sums}
