"""Every long-running service starts and stops alike, twice, and under stress; the embedded one delivers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from actors.services import Embedded, SchedulerService, WorkerService
from config.settings import EMBEDDED, Settings
from engine.campaigns import lifecycle
from engine.kernel.runtime import Runtime
from state.tables import Base, Campaign, Channel, Organization, Template
from tests.delivery.kit import Bench
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from actors.services import Service

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MUSTER_DATABASE_URL", f"sqlite:///{tmp_path}/muster.db")
    monkeypatch.setenv("MUSTER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MUSTER_BROKER_URL", EMBEDDED)
    monkeypatch.setenv("MUSTER_WORKER_THREADS", "2")
    return Settings()


@pytest.fixture
def runtime(settings: Settings) -> Iterator[Runtime]:
    runtime = Runtime(settings)
    Base.metadata.create_all(runtime.database.engine)
    yield runtime
    runtime.close()


SERVICES: list[Callable[[Settings, Runtime], Service]] = [
    lambda settings, runtime: WorkerService(settings, runtime=runtime),
    lambda settings, runtime: SchedulerService(settings, runtime=runtime),
    lambda settings, _: Embedded(settings),
]


@pytest.mark.parametrize("make", SERVICES, ids=["worker", "scheduler", "embedded"])
def test_start_and_stop_are_safe_twice_and_often(
    settings: Settings, runtime: Runtime, make: Callable[[Settings, Runtime], Service]
) -> None:
    before = threading.active_count()
    for _ in range(10):
        service = make(settings, runtime)
        service.start()
        service.start()
        service.stop()
        service.stop()
    wait_until(lambda: threading.active_count() <= before, "every thread has ended", deadline=10)


def test_embedded_delivers_to_real_files(
    settings: Settings, runtime: Runtime, request: pytest.FixtureRequest
) -> None:
    """No service, no network: import, activate, and everybody has an outcome."""
    with runtime.database.begin() as session:
        organization = Organization(name="o", created_at=runtime.database.clock.now())
        session.add(organization)
        session.flush()
        org_id = organization.id
    bench = Bench(runtime.database, org_id)
    bench.entities(700)
    campaign = bench.campaign()
    with runtime.database.begin() as session:
        channel = session.execute(select(Channel)).scalar_one()
        channel.kind = "file"
        session.execute(select(Template)).scalar_one().text = "Hello {{ _title }}"
    embedded = Embedded(settings)
    request.addfinalizer(embedded.stop)
    embedded.start()
    with embedded.runtime.transaction() as session:
        lifecycle.activate(session, org_id, campaign, window=4)

    def completed() -> bool:
        with runtime.database.read() as session:
            return session.execute(select(Campaign.status)).scalar_one() == "completed"

    wait_until(completed, "the campaign is complete", deadline=60)
    embedded.stop()
    bench.close()
    assert {"success": 700} == bench.statuses()
    lines = [
        line for file in (settings.data_dir / "outbox").iterdir() for line in file.read_text().splitlines()
    ]
    assert 700 == len(set(lines))
