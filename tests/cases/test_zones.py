"""Whatever tells a zone does, as address books have it: who sleeps is not written to at night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cases.house import House

#: 09:00 in UTC is 04:00 in New York, on the clock of these tests.
NIGHT = [{"from": "03:30", "to": "04:30"}]
VALUES = (
    "id,name,email,timezone\n1,exact,q1@example.com,America/New_York\n"
    "2,trailing blank,q2@example.com,America/New_York \n3,lower case,q3@example.com,america/new_york\n"
)


def waiting(house: House, *texts: str) -> tuple[int, int]:
    """How many wait for the night to end, and how many were written to."""
    house.connect()
    for text in texts:
        house.load(text)
    campaign = house.campaign(limits={"quiet_hours": NIGHT})
    house.execute(campaign)
    house.work()
    found = house.outcomes(campaign)
    return found["QUIET_HOURS"], found["success"]


def test_10_all_four_wait(house: House) -> None:
    header = "id,name,email,Country\n4,header Country,q4@example.com,US\n"
    assert (4, 0) == waiting(house, VALUES, header)


@pytest.mark.parametrize(
    "header",
    ["Time Zone", "TIMEZONE", "time_zone", "Time-Zone", "tz", "TimeZone", " timezone "],
)
def test_10_under_any_header(house: House, header: str) -> None:
    assert (1, 0) == waiting(house, f"id,name,email,{header}\n1,A,a@example.com,America/New_York\n")


@pytest.mark.parametrize(
    "zone",
    [
        "AMERICA/NEW_YORK",
        " america/New York",
        "New York",
        "Eastern Standard Time",
        "US Eastern Standard Time",
        "US/Eastern",
        "UTC-5",
        "UTC-05:00",
        "GMT-5",
        "-05:00",
        "-0500",
        "EST",
        "(UTC-05:00) Eastern Time (US & Canada)",
    ],
)
def test_10_in_any_spelling(house: House, zone: str) -> None:
    assert (1, 0) == waiting(house, f"id,name,email,timezone\n1,A,a@example.com,{zone}\n")


@pytest.mark.parametrize("header", ["country", "Country", "COUNTRY", "country_code", "Country Code"])
@pytest.mark.parametrize(
    "country", ["US", "us", "USA", "United States", "united states of america", "U.S.A."]
)
def test_10_and_from_countries(house: House, header: str, country: str) -> None:
    assert (1, 0) == waiting(house, f"id,name,email,{header}\n1,A,a@example.com,{country}\n")


def test_10_what_cannot_be_read_is_counted_before(house: House) -> None:
    house.connect()
    house.load("id,name,email,timezone\n1,A,a@example.com,Atlantis/City\n2,B,b@example.com,\n")
    campaign = house.campaign(limits={"quiet_hours": NIGHT})
    assert 2 == house.request("POST", f"/v1/campaign/{campaign}:plan")["without_zone"]
    house.execute(campaign)
    house.work()
    assert 2 == house.outcomes(campaign)["success"], "the organization's zone is UTC"
