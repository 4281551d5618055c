"""Where somebody is: whatever tells a zone, as address books, programs and people write it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from engine.limits import countries, zone_names
from engine.limits.config import CampaignLimits
from engine.limits.countries import country_of
from engine.limits.hours import Hours
from engine.limits.zones import place_is_unreadable, zone_of


@pytest.mark.parametrize(
    "name",
    [
        "timezone",
        "Time Zone",
        "time_zone",
        "TimeZone",
        "TIMEZONE",
        "time-zone",
        "tz",
        "TZ name",
        "User Time Zone",
        "Zeitzone",
        "TimeZoneSidKey",
        "zoneinfo",
        "Time Zone (IANA)",
    ],
)
def test_a_zones_name_may_be_spelled_in_any_way(name):
    assert "Asia/Tokyo" == zone_of({"id": "1", name: "Asia/Tokyo", "country": "DE"})


@pytest.mark.parametrize(
    "name",
    [
        "country", "Country", "COUNTRY", "country_code", "CountryCode", "Country/Region", "Country or Region",
        "Mailing Country", "home_country", "Business Country/Region", "Land", "País",
        "ISO Country", "country_iso2", "Country code (2)", "ISO-3", "Land/Region", "Land (ISO)", "Staat",
        "mp_country_code", "geo_country", "Ship To Country", "Residence Country",
    ],
)  # fmt: skip
def test_a_countrys_name_may_be_spelled_in_any_way(name):
    assert "Europe/Oslo" == zone_of({"id": "1", name: "NO"})


@pytest.mark.parametrize(
    "name",
    ["phone country code", "country_of_birth", "zone", "island", "landline", "timezoned", "nationality"],
)
def test_other_attributes_tell_no_place(name):
    assert zone_of({name: "NO"}) is None
    assert not place_is_unreadable({name: "Nowhere"})


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        (" America/New_York ", "America/New_York"),
        ("america/new_york", "America/New_York"),
        ("AMERICA/NEW YORK", "America/New_York"),
        ("\ufeffEurope/Berlin\u00a0", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Sao Paulo", "America/Sao_Paulo"),
        ("UTC", "UTC"), ("utc", "UTC"), ("Z", "UTC"), ("GMT+0", "UTC"), ("+00:00", "UTC"),
        ("UTC-5", "Etc/GMT+5"), ("-05:00", "Etc/GMT+5"), ("GMT+2", "Etc/GMT-2"), ("gmt +02:00", "Etc/GMT-2"),
        ("+0530", "Asia/Kolkata"), ("UTC+5:45", "Asia/Kathmandu"), ("UTC\u22123", "Etc/GMT+3"), ("+14", "Etc/GMT-14"),
        ("Eastern Standard Time", "America/New_York"),
        ("Pacific Daylight Time", "America/Los_Angeles"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("tokyo standard time", "Asia/Tokyo"),
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Amsterdam"),
        ("(GMT+03:30) Somewhere", "Asia/Tehran"),
        ("PST", "America/Los_Angeles"), ("CEST", "Europe/Berlin"),
        ("EST", "America/New_York"), ("mst", "America/Denver"),
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("W Europe Standard Time", "Europe/Berlin"),
        ("Europe / Berlin", "Europe/Berlin"), ("EUROPE-BERLIN", "Europe/Berlin"),
        ("Europe/Berlin (CET)", "Europe/Berlin"), ("Eastern Standard Time (EST)", "America/New_York"),
        ("América/São_Paulo", "America/Sao_Paulo"), ("Zürich", "Europe/Zurich"), ("UTC±00:00", "UTC"),
        ("GMT+1 Berlin", "Europe/Berlin"), ("UTC+1 (CET)", "Etc/GMT-1"), ("UTC/GMT +5:30 hours", "Asia/Kolkata"),
        ("America\\/New_York", "America/New_York"),
        ("(UTC) Coordinated Universal Time", "UTC"), ("(GMT) Dublin, Edinburgh, Lisbon, London", "Europe/Dublin"),
    ],
)  # fmt: skip
def test_a_zone_is_read_as_it_is_meant(text, zone):
    found = zone_of({"timezone": text})
    assert found is not None
    assert zone == found
    ZoneInfo(found)


@pytest.mark.parametrize(
    "text",
    [
        "Mars/Olympus",
        "CST",
        "IST",
        "5",
        "-15",
        "UTC+99",
        "+05:99",
        "+05:10",
        "-300",
        "+330",
        "Berlin, Ohio",
        "../etc/passwd",
        "America",
        "x" * 1000,
    ],
)
def test_what_nobody_can_read_is_no_zone_but_the_country_counts(text):
    assert zone_of({"timezone": text}) is None
    assert place_is_unreadable({"timezone": text})
    assert "Europe/Berlin" == zone_of({"timezone": text, "Country": "Germany"})
    assert not place_is_unreadable({"timezone": text, "Country": "Germany"})


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("US", ["us", " US ", "USA", "U.S.A.", "United States",
            "united states of america", "The United States", "Vereinigte Staaten", "États-Unis"]),
        ("GB", ["GB", "uk", "U.K.", "GBR", "United Kingdom", "Great Britain", "England", "Großbritannien"]),
        ("DE", ["de", "DEU", "Germany", "Deutschland", "Allemagne", "Alemania", "Germany (DE)",
            "Federal Republic of Germany"]),
        ("AT", ["AUT", "Österreich", "osterreich", "Austria"]),
        ("TR", ["Turkey", "Türkiye", "TURKIYE", "Türkei"]),
        ("KR", ["South Korea", "Republic of Korea", "Korea, Republic of", "Korea (South)", "S. Korea"]),
        ("KP", ["Korea, North", "Korea (North)", "Korea, Democratic People's Republic of"]),
        ("CD", ["Congo, Democratic Republic of the", "Congo (Kinshasa)", "DR Congo"]),
        ("SS", ["Sudan, South", "South Sudan"]),
        ("HK", ["Hong Kong SAR", "China, Hong Kong SAR", "Hong Kong, China"]),
        ("VI", ["Virgin Islands (U.S.)", "US Virgin Islands"]), ("VG", ["Virgin Islands, British"]),
        ("GW", ["Guinea-Bissau", "Guinea Bissau"]), ("XK", ["Kosovo"]),
        ("BE", ["BE - Belgium", "Belgique/België", "\U0001f1e7\U0001f1ea", "Belgium | BE"]),
        ("CZ", ["Czech Republic", "Czechia", "Česko"]),
        ("BO", ["Bolivia, Plurinational State of", "Bolivia"]),
        ("KN", ["St. Kitts & Nevis", "Saint Kitts and Nevis"]),
        ("NL", ["the Netherlands", "Holland", "Nederland"]),
    ],
)  # fmt: skip
def test_countries_go_by_codes_and_usual_names(code, texts):
    assert dict.fromkeys(texts, code) == {text: country_of(text) for text in texts}


@pytest.mark.parametrize(
    "text",
    [
        "Atlantis",
        "XX",
        "ZZZ",
        "49",
        "",
        "  ",
        "u",
        "x" * 1000,
        "Georgia (US)",
        "Korea (East)",
        "Congo (Zaire)",
        "DE/AT",
        "Ireland or Britain",
    ],
)
def test_what_is_no_country_has_no_zone(text):
    assert zone_of({"country": text}) is None


def test_who_says_nothing_is_not_called_unreadable():
    for attributes in ({}, {"timezone": ""}, {"timezone": None, "country": " "}, {"name": "Ada"}):
        assert not place_is_unreadable(attributes)
    assert place_is_unreadable({"timezone": 5})


def test_every_zone_that_is_named_exists():
    for zone in {
        *zone_names._known().values(),
        *zone_names._windows().values(),
        *zone_names._ODD_OFFSETS.values(),
        *zone_names._CHANGING_OFFSETS.values(),
        *countries._MOST_PEOPLE.values(),
        *countries._first_zones().values(),
    }:
        ZoneInfo(zone)
    assert set(countries._USUAL.values()) <= set(countries._first_zones())


@pytest.mark.parametrize(
    "attributes",
    [
        {"timezone": "America/New_York "}, {"timezone": "america/new_york"}, {"Time Zone": "New York"},
        {"tz": "Eastern Standard Time"}, {"Country": "US"}, {"Mailing Country": "usa"}, {"utc_offset": "-05:00"},
    ],
)  # fmt: skip
def test_at_night_nobody_is_written_to_however_their_place_is_written(attributes):
    night = CampaignLimits.model_validate({"quiet_hours": [{"from": "21:00", "to": "08:00"}]})
    hours = Hours([night], default_zone="Europe/Berlin")
    at = datetime(2026, 1, 15, 11, 0, tzinfo=UTC)  # noon in Berlin, six in New York
    assert datetime(2026, 1, 15, 13, 0, tzinfo=UTC) == hours.opens_at(attributes, at)
    assert hours.opens_at({"timezone": "Mars"}, at) is None
