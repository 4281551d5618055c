"""Days and words for days are those of the organization's time zone, in targets and in conditions alike."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, update

from engine.filters.targets import TargetInput, audience, create_target
from engine.kernel.inputs import read
from state.tables import Entity, Organization

#: In New York it is still the 31st of March, on Kiritimati noon of the 1st of April has passed.
NIGHT = datetime(2026, 4, 1, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "born", "seen"),
    [
        (None, {"04-01"}, {"utc night", "new york", "utc evening"}),
        ("America/New_York", {"03-31"}, {"utc night", "new york"}),
        ("Pacific/Kiritimati", {"04-01"}, {"utc night", "new york", "utc evening"}),
    ],
)
def test_today_is_the_organizations_day(database, org_id, zone, born, seen):
    people = [
        ("03-31", {"day": "2026-03-31"}),
        ("04-01", {"day": "01.04.2026"}),
        ("04-02", {"day": "2026-04-02"}),
        ("new york", {"seen": "2026-03-31T23:00:00-0400"}),  # 03:00 in UTC
        ("utc night", {"seen": "2026-04-01 03:59:59+00"}),
        ("utc evening", {"seen": "2026-04-01T09:00:00Z"}),
    ]
    with database.begin() as session:
        session.execute(update(Organization).where(Organization.id == org_id).values(time_zone=zone))
        session.execute(
            insert(Entity),
            [
                {"id": uuid4(), "org_id": org_id, "schema": "contact", "title": name, "attributes": found,
                 "created_at": NIGHT, "updated_at": NIGHT}
                for name, found in people
            ],
        )  # fmt: skip
    assert born == named(database, org_id, "day", "EQUALS", "TODAY")
    assert seen == named(database, org_id, "seen", "EQUALS", "TODAY")
    assert len(people) == len(named(database, org_id, "_created_at", "EQUALS", "TODAY"))
    day = "2026-03-31" if zone == "America/New_York" else "2026-04-01"
    assert len(people) == len(named(database, org_id, "_created_at", "EQUALS", day))


def named(database, org_id, key, operator, value):
    tree = {"filter": {"items": [{"key": key, "operator": operator, "value": value}], "combination": "AND"}}
    with database.begin() as session:
        given = read(TargetInput, {"name": "T", "entity_schema": "contact", "entity_filters": tree})
        target = create_target(session, org_id, given)
        conditions = audience(session, org_id, target, NIGHT)
        return set(session.scalars(select(Entity.title).where(*conditions)))
