"""Send windows and quiet hours in the recipient's own time zone, over changes of clocks too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.kernel.inputs import Invalid, read
from engine.limits.config import CampaignLimits, ChannelLimits, OrganizationLimits, stored
from engine.limits.hours import Hours
from engine.limits.zones import zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"quiet_hours": [{"from": "21:00", "to": "08:00"}]}
OFFICE = {"send_windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "18:00"}]}


def hours(*rules: dict[str, Any], zone: str | None = None) -> Hours:
    return Hours([CampaignLimits.model_validate(rule) for rule in rules], default_zone=zone)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-04T12:00", None),
        ("2026-03-04T20:59", None),
        ("2026-03-04T21:00", "2026-03-05T08:00"),
        ("2026-03-05T03:30", "2026-03-05T08:00"),
        ("2026-03-05T07:59", "2026-03-05T08:00"),
        ("2026-03-05T08:00", None),
        ("2026-03-28T23:00", "2026-03-29T08:00"),  # an hour is skipped
        ("2026-10-24T23:00", "2026-10-25T08:00"),  # an hour comes twice
    ],
)
def test_quiet_hours_end_when_the_clock_on_the_recipients_wall_says_so(now, opens):
    found = hours(NIGHT).opens_at({"timezone": "Europe/Berlin"}, berlin(now))
    assert found == (None if opens is None else berlin(opens))


def test_a_window_of_days_waits_for_monday():
    friday_evening = berlin("2026-03-06T18:00")
    assert hours(OFFICE).opens_at({"timezone": "Europe/Berlin"}, friday_evening) == berlin("2026-03-09T09:00")


def test_everybodys_rules_hold_together():
    both = hours(OFFICE, {"quiet_hours": [{"days": ["mon"], "from": "09:00", "to": "10:30"}]})
    assert both.opens_at({"timezone": "Europe/Berlin"}, berlin("2026-03-07T12:00")) == berlin(
        "2026-03-09T10:30"
    )


def test_a_window_that_the_change_of_clocks_skips_is_the_next_days():
    skipped = hours({"send_windows": [{"from": "02:10", "to": "02:40"}]})
    assert skipped.opens_at({"timezone": "Europe/Berlin"}, berlin("2026-03-29T00:00")) == berlin(
        "2026-03-30T02:10"
    )


@pytest.mark.parametrize(
    ("attributes", "zone"),
    [
        ({"timezone": "Asia/Tokyo", "country": "DE"}, "Asia/Tokyo"),
        ({"time_zone": "America/New_York"}, "America/New_York"),
        ({"timezone": "Mars/Olympus", "country": "de"}, "Europe/Berlin"),
        ({"country": "Germany"}, "Europe/Berlin"),
        ({"country": "Deutschland"}, "Europe/Berlin"),
        ({"country_code": "RU"}, "Europe/Moscow"),
        ({"country": "US"}, "America/New_York"),
        ({"country": "Atlantis"}, None),
        ({"timezone": 5, "country": None}, None),
        ({"timezone": "../etc/passwd"}, None),
        ({}, None),
    ],
)
def test_the_zone_is_the_recipients_or_its_countrys(attributes, zone):
    assert zone_of(attributes) == zone


def test_without_a_zone_the_organizations_counts_and_then_utc():
    at = datetime(2026, 3, 4, 22, 0, tzinfo=UTC)
    assert hours(NIGHT, zone="America/New_York").opens_at({}, at) is None
    assert hours(NIGHT).opens_at({}, at) == datetime(2026, 3, 5, 8, 0, tzinfo=UTC)


def test_nothing_configured_is_no_limit():
    assert not hours({}, {}).limited
    assert hours({}).opens_at({}, datetime.now(UTC)) is None


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (CampaignLimits, {"quiet_hours": [{}]}, "leave no time to send"),
        (CampaignLimits, {"quiet_hours": [{"from": "9:00"}]}, "quiet_hours[0].from: is a time of day"),
        (CampaignLimits, {"send_windows": [{"from": "08:00", "to": "08:00"}]}, "the same time"),
        (CampaignLimits, {"send_windows": [{"days": ["mo"]}]}, "send_windows[0].days[0]"),
        (CampaignLimits, {"rates": {}}, "rates: is not known here"),
        (CampaignLimits, {"domain_rate": {"messages": 1}}, "domain_rate: is not known here"),
        (ChannelLimits, {"rate": {"messages": 0}}, "rate.messages"),
        (ChannelLimits, {"rate": {"messages": 5, "per": "fortnight"}}, "rate.per"),
        (ChannelLimits, {"domains": {"not a domain": {"messages": 5}}}, "is not a mail domain"),
        (ChannelLimits, {"frequency_cap": {"messages": 3, "hours": 0}}, "frequency_cap.hours"),
    ],
)
def test_what_cannot_be_a_limit_is_refused_by_name(model, given, said):
    with pytest.raises(Invalid) as error:
        read(model, given)
    assert said in str(error.value)


def test_what_is_stored_reads_back_the_same():
    given = {
        **NIGHT,
        **OFFICE,
        "rate": {"messages": 5, "per": "minute"},
        "frequency_cap": {"messages": 1, "hours": 24},
    }
    kept = stored(read(OrganizationLimits, given))
    assert read(OrganizationLimits, kept or {}) == read(OrganizationLimits, given)
    assert stored(read(OrganizationLimits, {})) is None
