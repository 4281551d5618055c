"""Statistics equal what a hand computes, for every period, and read as many statements for much as for little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event as hooks

from engine.insight.significance import interval
from engine.insight.statistics import PERIODS, amount, rate, statistics, variant_counts
from engine.kernel.inputs import Invalid
from state.tables import Campaign, DeliveryHour, EngagementHour, Target
from state.types import NIL_UUID
from tests.api.world import make_target

if TYPE_CHECKING:
    from state.database import Database
    from tests.conftest import ManualClock

STEP = UUID(int=7)


class World:
    """A campaign whose roll-ups are written by hand."""

    def __init__(self, database: Database, org_id: UUID) -> None:
        self.database = database
        self.org_id = org_id
        now = database.clock.now()
        with database.begin() as session:
            self.first = make_target(session, org_id, name="Premium Users")
            self.second = make_target(session, org_id, name="Newcomers")
            campaign = Campaign(id=uuid4(), org_id=org_id, name="c", created_at=now, updated_at=now)
            session.add(campaign)
            session.flush()
            self.campaign_id = campaign.id

    def sent(
        self, at: datetime, count: int, *, variant: str = "", target: UUID = NIL_UUID, **more: int
    ) -> None:
        with self.database.begin() as session:
            session.add(
                DeliveryHour(
                    org_id=self.org_id,
                    campaign_id=self.campaign_id,
                    hour=at,
                    touchpoint_id=STEP,
                    variant=variant,
                    target_id=target,
                    sent=count,
                    **more,
                )
            )

    def did(self, at: datetime, kind: str, recipients: int, **values: Any) -> None:
        key = {
            "channel": "email",
            "touchpoint_id": STEP,
            "variant": "",
            "target_id": NIL_UUID,
            "currency": "",
        }
        with self.database.begin() as session:
            session.add(
                EngagementHour(
                    org_id=self.org_id,
                    campaign_id=self.campaign_id,
                    hour=at,
                    kind=kind,
                    **{
                        **key,
                        "events": recipients,
                        "recipients": recipients,
                        "touchpoint_recipients": recipients,
                        **values,
                    },
                )
            )

    def read(self, period: str = "all") -> Any:
        with self.database.read() as session:
            return statistics(session, self.org_id, self.campaign_id, period)


@pytest.fixture
def world(database: Database, org_id: UUID) -> World:
    return World(database, org_id)


def hours_ago(clock: ManualClock, hours: float) -> datetime:
    return (clock.now() - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)


def test_the_contracts_own_figures(world: World, clock: ManualClock) -> None:
    """8,500 sent: 8,200 delivered are 96.5, 6,500 read 76.5, 1,200 clicked 14.1, 425 converted 5.0."""
    now = hours_ago(clock, 0)
    world.sent(now, 8500, failed=30, cancelled=20)
    for kind, count in (("delivered", 8200), ("read", 6500), ("clicked", 1200)):
        world.did(now, kind, count)
    world.did(now, "converted", 425, revenue=4_250_000, currency="EUR")
    world.did(now, "read", 0, channel="sms", events=9, bots=9)
    world.did(now, "seen", 77, channel="portal")
    found = world.read()
    overview = found.overview
    assert (8500, 30, 20) == (overview.sent, overview.failed, overview.excluded)
    assert [96.5, 76.5, 14.1, 5.0] == [
        overview.rate(metric) for metric in ("delivered", "read", "clicked", "converted")
    ]
    assert {"EUR": 4_250_000} == overview.revenue
    assert 42500 == amount("EUR", overview.revenue["EUR"])
    assert 9 == overview.bots


def test_each_period_holds_its_hours(world: World, clock: ManualClock) -> None:
    clock.instant = datetime(2026, 3, 2, 9, 40, tzinfo=UTC)
    for hours, count in ((0, 1), (1, 10), (20, 100), (24 * 6, 1000), (24 * 29, 10_000), (24 * 300, 100_000)):
        world.sent(hours_ago(clock, hours), count)
        world.did(hours_ago(clock, hours), "read", count // 2)
    sent = {period: world.read(period).overview.sent for period in PERIODS}
    assert {"1h": 11, "24h": 111, "7d": 1111, "30d": 11_111, "all": 111_111} == sent
    read = {period: world.read(period).overview.read for period in PERIODS}
    assert {"1h": 5, "24h": 55, "7d": 555, "30d": 5555, "all": 55_555} == read
    with pytest.raises(Invalid, match="period: is none of 1h, 24h, 7d, 30d, all"):
        world.read("2h")


def test_the_timeline_is_by_hour_or_by_day(world: World, clock: ManualClock) -> None:
    clock.instant = datetime(2026, 3, 2, 9, 40, tzinfo=UTC)
    for hours in (0, 1, 2, 12):
        world.sent(hours_ago(clock, hours), 5)
    world.did(hours_ago(clock, 1), "converted", 2)
    by_hour = world.read("24h").timeline
    assert [21, 7, 8, 9] == [part.key.hour for part in by_hour]
    assert [0, 0, 2, 0] == [part.counts.converted for part in by_hour]
    by_day = world.read("7d").timeline
    assert [("2026-03-01", 5), ("2026-03-02", 15)] == [
        (part.key.date().isoformat(), part.counts.sent) for part in by_day
    ]


def test_segments_are_the_targets_that_let_recipients_in(world: World, clock: ManualClock) -> None:
    now = hours_ago(clock, 0)
    world.sent(now, 2000, target=world.first)
    world.sent(now, 100, target=world.second)
    world.sent(now, 7)
    world.did(now, "converted", 170, target_id=world.first)
    segments = world.read().segments
    assert [("Newcomers", 100), ("Premium Users", 2000), ("", 7)] == [
        (part.name, part.counts.sent) for part in segments
    ]
    assert 8.5 == segments[1].counts.rate("converted")
    with world.database.begin() as session:
        session.delete(session.get_one(Target, world.second))
    assert [""] == [part.name for part in world.read().segments if part.key == world.second]


def test_variants_have_intervals_and_tests(world: World, clock: ManualClock) -> None:
    now = hours_ago(clock, 0)
    for variant, clicked in (("a", 100), ("b", 130)):
        world.sent(now, 1000, variant=variant)
        world.did(now, "clicked", clicked, variant=variant)
    one, two = world.read().variants
    low, high = interval(100, 1000)
    assert (round(low * 100, 1), round(high * 100, 1)) == one.intervals["clicked"]
    assert 1.0 == one.p_values["clicked"]
    assert 0.0355 == pytest.approx(two.p_values["clicked"], abs=0.0001)
    with world.database.read() as session:
        counts = variant_counts(session, world.org_id, world.campaign_id, STEP)
        assert {"a": 100, "b": 130} == {name: one.clicked for name, one in counts.items()}
        assert {} == variant_counts(session, world.org_id, world.campaign_id, uuid4())


def test_reading_much_takes_as_many_statements_as_reading_little(world: World, clock: ManualClock) -> None:
    def statements() -> int:
        seen: list[str] = []
        listen = lambda *given: seen.append(given[2])  # noqa: E731
        hooks.listen(world.database.engine, "before_cursor_execute", listen)
        world.read()
        hooks.remove(world.database.engine, "before_cursor_execute", listen)
        return len(seen)

    world.sent(hours_ago(clock, 0), 1)
    few = statements()
    for hours in range(1, 50):
        for variant in ("a", "b"):
            world.sent(hours_ago(clock, hours), 10_000, variant=variant, target=world.first)
    assert few == statements() <= 8


def test_another_organization_reads_nothing(world: World, clock: ManualClock) -> None:
    world.sent(hours_ago(clock, 0), 5)
    with world.database.read() as session:
        assert 0 == statistics(session, uuid4(), world.campaign_id).overview.sent


def test_rates_and_amounts() -> None:
    assert [None, 33.3, 66.7, 100.0] == [rate(0, 0), rate(1, 3), rate(2, 3), rate(5, 5)]
    assert [42.5, 4250.0, 4.25] == [amount(currency, 4250) for currency in ("EUR", "JPY", "KWD")]
