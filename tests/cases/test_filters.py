"""Whom a filter means is what a person who reads it would say, and the same on both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cases.house import House
    from tests.cli.conftest import Muster

WORDS = ["TRUE", "FALSE", "True", "False", "yes", "no", "1", "0", "", "t", "f", "true", "false"]


def people(name: str, values: list[Any]) -> str:
    """One person a value, as NDJSON."""
    return "".join(json.dumps({"id": str(key), name: value}) + "\n" for key, value in enumerate(values))


def table(name: str, values: list[str]) -> str:
    return f"id,{name}\n" + "".join(f"{key},{value}\n" for key, value in enumerate(values))


def test_02_yes_is_what_says_yes(house: House) -> None:
    house.load(table("newsletter", WORDS))
    assert (6, 7) == (house.total(newsletter=True), house.total(newsletter=False))
    assert 6 == house.count("newsletter", "EQUALS", "true", "boolean")


@pytest.mark.parametrize(
    ("values", "yes", "no"),
    [
        ([" Yes ", "Y", "ON", "1.0", "unsubscribed", "off", "N", "0.0", None], 4, 4),
        ([True, False, 1, 0, 1.0, None, "true", "none"], 4, 3),
        (["NULL", "no ", "NO", "-", "oui", "ON"], 1, 2),
    ],
)
def test_02_in_any_usual_word(house: House, values: list[Any], yes: int, no: int) -> None:
    house.load(people("newsletter", values), external_id="id")
    assert yes == house.total(newsletter=True)
    assert yes == house.count("newsletter", "EQUALS", "true", "boolean")
    assert yes == house.count("newsletter", "EQUALS", "YES", "boolean")
    assert no == house.total(newsletter=False)


@pytest.mark.parametrize("operator", ["LESS_THAN", "LESS_THAN_OR_EQUAL"])
@pytest.mark.parametrize("data_type", [None, "number"])
def test_05_what_is_empty_is_not_less_than_a_number(
    house: House, operator: str, data_type: str | None
) -> None:
    house.load("id,age,last_login\n1,17,2026-01-05\n2,100,2026-10-01\n3,,\n6, ,  \n")
    house.load('{"id":"4","age":null}\n{"id":"5"}\n', external_id="id")
    assert 1 == house.count("age", operator, "18", data_type)
    assert 1 == house.count("age", operator, 18, data_type)
    assert 1 == house.total(age={"lt" if operator == "LESS_THAN" else "lte": 18})


@pytest.mark.parametrize("data_type", [None, "date"])
def test_05_nor_before_a_date(house: House, data_type: str | None) -> None:
    house.load("id,age,last_login\n1,17,2026-01-05\n2,100,2026-10-01\n3,,\n6, ,  \n")
    house.load('{"id":"4","last_login":null}\n{"id":"5"}\n', external_id="id")
    assert 1 == house.count("last_login", "LESS_THAN", "2026-02-01", data_type)
    assert 1 == house.count("last_login", "LESS_THAN_OR_EQUAL", "2026-02-01", data_type)
    assert 1 == house.count("last_login", "LESS_THAN", "TODAY")
    assert 1 == house.total(last_login={"lt": "2026-02-01"})


def test_05_nor_greater(house: House) -> None:
    house.load("id,age\n1,17\n2,100\n3,\n4,n/a\n5,old\n")
    assert 2 == house.count("age", "GREATER_THAN", "3")
    assert 2 == house.count("age", "GREATER_THAN_OR_EQUAL", "-5", "number")
    assert 2 == house.count("age", "LESS_THAN", "1000")
    assert 2 == house.total(ageRange=[None, 200])


SIX = (
    "customer_id,first_name,email,country,age\n1,Ada,ada@example.com,Norway,17\n2,Bo,bo@example.com,Sweden,100\n"
    "3,Cy,cy@example.com,Norway,30\n4,Di,di@example.com,Sweden,\n5,Ed,ed@example.com,Denmark,15\n"
)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("age < 18 and country = Norway", 1),
        ("age < 18 AND country = 'Norway'", 1),
        ("age < 18 or country = Sweden", 4),
        ('(age < 18 or age > 50) and not country = "Norway"', 2),
        ("age < 18 && country = Norway", None),
        ("age < 18, country = Norway", None),
        ("age < 18 < 20", None),
        ("age < 18 country = Norway", None),
        ("age < 18; country = Norway", None),
        ("age < 18 and", None),
        ("age", None),
        ("country = 'Norway and Sweden'", 0),
        ('first_name = "Ada or Bo"', 0),
        ("age between 15 and 17", 2),
    ],
)
def test_06_a_condition_in_words_is_read_whole_or_refused(
    acme: Muster, tmp_path: Path, where: str, found: int | None
) -> None:
    people, text = tmp_path / "people.csv", tmp_path / "hello.txt"
    people.write_text(SIX)
    text.write_text("Hello")
    acme.ok("import", people, "--external-id", "customer_id")
    acme.ok("channel", "create", "mail", "--kind", "file", "--default")
    made = acme("campaign", "create", "X", "--where", where, "--text", text)
    if found is None:
        assert (2, []) == (made.code, acme.ok("campaign", "list", "--json").json["results"])
        assert where.split(maxsplit=1)[0] in made.err
        return
    assert 0 == made.code, made.err
    assert found == acme("plan", "X", "--json").json["recipients"]
    target = acme.ok("target", "create", "Y", "--where", where)
    assert f"{found:,}" in acme.ok("target", "preview", "Y").out, target.out


@pytest.mark.parametrize("wanted", ["Σπύρος", "ΣΠΎΡΟΣ", "σπύρος", "σπύροσ", "ΣΠύρος"])
def test_11_letters_are_the_same_letter_in_any_case(house: House, wanted: str) -> None:
    house.load("id,name\n1,Σπύρος\n2,ΣΠΎΡΟΣ\n3,σπύρος\n")
    assert 3 == house.count("name", "CONTAINS", wanted)
    assert 0 == house.count("name", "NOT_CONTAINS", wanted)
    assert 3 == house.total(name={"contains": wanted})


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["Straße", "STRASSE", "strasse"], "STRASSE"),
        (["Café", "CAFE\u0301", "cafe\u0301"], "café"),
        (["ÅNGSTRÖM", "A\u030angstro\u0308m", "ångström"], "Ångström"),
        (["ПЁТР", "Пётр", "пётр"], "пЁтР"),
        (["Ĳsland", "ĳsland", "ĲSLAND"], "ĳsland"),
    ],
)
def test_11_in_every_script(house: House, names: list[str], wanted: str) -> None:
    house.load(people("name", names), external_id="id")
    assert 3 == house.count("name", "CONTAINS", wanted)


def test_11_of_the_dotless_i_other_languages_are_left_alone(house: House) -> None:
    house.load(people("name", ["Istanbul", "ISTANBUL", "ıstanbul"]), external_id="id")
    assert 2 == house.count("name", "CONTAINS", "istanbul")


INSTANTS = [
    "2026-01-15 12:00:00+00",
    "2026-01-15T12:00:00.000+0000",
    "2026-01-15 12:00:00 UTC",
    "2026-01-15t12:00:00z",
    "2026-01-15T12:00:00+00:00",
]


@pytest.mark.parametrize(
    "values",
    [
        INSTANTS,
        [
            "2026-01-15 13:00:00.123456+01",
            "2026-01-15T12:00:00,5Z",
            "2026-01-15 12:00",
            " 2026-01-15T12:00:00Z ",
            "2026-01-15",
        ],
        [
            "2026-01-15 12:00:00 GMT",
            "2026-01-15T06:00:00-0600",
            "2026-01-15 12:00:00 +0000",
            "2026-01-15 12:00:00.5+00",
            "2026-01-15T12:00Z",
        ],
    ],
)
def test_12_instants_are_read_as_databases_write_them(house: House, values: list[str]) -> None:
    house.load(people("d", values), external_id="id")
    assert 5 == house.count("d", "EQUALS", "2026-01-15", "date")
    assert 5 == house.count("d", "LESS_THAN", "TODAY")
    assert 5 == house.count("d", "LESS_THAN", "2026-01-16T00:00:00Z")
    assert 5 == house.count("d", "GREATER_THAN", "2026-01-14", "date")


def test_12_compared_with_an_instant_by_the_offset_that_it_names(house: House) -> None:
    values = ["2026-01-15 12:00:00+02", "2026-01-15T12:00:00-0500", "2026-01-15 10:00:00 UTC"]
    house.load(people("d", values), external_id="id")
    assert 2 == house.count("d", "LESS_THAN", "2026-01-15T12:00:00Z")
    assert 1 == house.count("d", "GREATER_THAN", "2026-01-15T12:00:00+00:00")


@pytest.mark.parametrize("wanted", ["TODAY", "2026-01-01", "9999-01-01"])
def test_13_the_end_of_time_is_later_than_today(house: House, wanted: str) -> None:
    ends = [
        "9999-12-31T23:59:59-05:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31",
        "9999-12-31 23:59:59.999999-12",
    ]
    house.load(people("contract_end", ends), external_id="id")
    assert 4 == house.count("contract_end", "GREATER_THAN", wanted)
    assert 0 == house.count("contract_end", "LESS_THAN", wanted)


def test_13_and_its_beginning_earlier(house: House) -> None:
    begins = ["0001-01-01T00:00:00+05:00", "0001-01-01", "0001-01-01T00:00:00Z"]
    house.load(people("contract_end", begins), external_id="id")
    assert 3 == house.count("contract_end", "LESS_THAN", "TODAY")
    assert 0 == house.count("contract_end", "GREATER_THAN", "TODAY")


@pytest.mark.parametrize("ages", [["18", "45"], ["18", 45], [18, 45], [18.0, "45.0"], [" 18 ", "45"]])
def test_25_a_range_takes_numbers_as_text(house: House, ages: list[Any]) -> None:
    house.load(table("age", ["17", "18", "45", "46"]))
    assert 2 == house.total(ageRange=ages)


@pytest.mark.parametrize(
    "ages",
    [[45, 18], ["45", "18"], [18], "18-45", [18, 30, 45], ["eighteen", 45], [], {"from": 18}, [True, 45]],
)
def test_25_or_is_refused_by_its_field(house: House, ages: Any) -> None:
    body = house.document({"ageRange": ages})
    answer = house.client.post("/api/v1/campaigns", json=body)
    assert 400 == answer.status_code, answer.text
    assert "ageRange" in answer.json()["details"]["field"]


@pytest.mark.parametrize(
    "since", [["01.01.2026", "01.03.2026"], ["2026-01-01", "2026-03-01"], ["01.01.2026", "TODAY"]]
)
def test_25_a_range_of_dates(house: House, since: list[str]) -> None:
    house.load(table("since", ["2025-12-31", "2026-01-01", "2026-03-01", "2026-03-03"]))
    assert 2 == house.total(sinceRange=since)


@pytest.mark.parametrize(
    "since", [["01.03.2026", "01.01.2026"], ["31.02.2026", "01.03.2026"], ["soon", "later"]]
)
def test_25_that_makes_no_sense_is_refused(house: House, since: list[str]) -> None:
    answer = house.client.post("/api/v1/campaigns", json=house.document({"sinceRange": since}))
    assert 400 == answer.status_code, answer.text
    assert "sinceRange" in answer.json()["details"]["field"]


@pytest.mark.parametrize(
    ("operator", "wanted", "found"),
    [
        ("CONTAINS", "e", 0),
        ("NOT_CONTAINS", "E", 6),
        ("CONTAINS", ".", 1),
        ("EQUALS", "100000", 1),
        ("IS_ONE_OF", "0.1", 1),
        ("GREATER_THAN", "999999", 1),
        ("LESS_THAN", "0.00001", 2),
    ],
)
def test_30_floats_are_one_text_on_both_databases(
    house: House, operator: str, wanted: str, found: int
) -> None:
    lines = (
        '{"id":"1","v":1e22}', '{"id":"2","v":5e-324}', '{"id":"3","v":0.1}', '{"id":"4","v":1e5}',
        '{"id":"5","v":7}', '{"id":"6","v":-0.0}',
    )  # fmt: skip
    house.load("\n".join(lines), external_id="id")
    value: Any = [wanted] if operator == "IS_ONE_OF" else wanted
    assert found == house.count("v", operator, value)


DATES = (
    "2026-02-03", "03.02.2026", "2026/02/03", "3.2.2026", "03/02/2026", "2/3/26", "45000", "46056", "1770076800000",
    "3 Feb 2026", "2026-2-3", "31.02.2026", "",
)  # fmt: skip


def test_12_dates_of_another_form_are_never_another_date(house: House) -> None:
    house.load(table("since", list(DATES)))
    house.load('{"id":"n1","since":46056}\n{"id":"n2","since":1770076800000}')
    for operator, value, found in (
        ("EQUALS", "2026-02-03", 4),
        ("LESS_THAN", "2026-02-04", 4),
        ("GREATER_THAN", "1970-01-02", 5),
        ("LESS_THAN", "TODAY", 5),
    ):
        assert found == house.count("since", operator, value, "date"), (operator, value)
    item = {"key": "since", "operator": "LESS_THAN", "value": "2026-02-04"}
    body = {"name": "t", "entity_schema": "contact", "entity_filters": {"filter": {"items": [item]}}}
    target = house.request("POST", "/v1/target", 201, json=body)["_id"]
    notes = house.request("POST", f"/v1/target/{target}:preview")["notes"]
    assert "since: 9 values are no dates" in [note["message"] for note in notes]


@pytest.mark.parametrize(
    "day", ["03/02/2026", "3.2.2026", "45000", 45000, 1770076800000, "1770076800000", 46056.5]
)
def test_12_dates_of_documents_are_refused_by_their_field(house: House, day: Any) -> None:
    answer = house.client.post("/v1/campaign", json={"name": "c", "start_date": day})
    assert 400 == answer.status_code, answer.text
    assert "start_date" in answer.json()["message"]
    for field in ("startDate", "endDate"):
        answer = house.client.post("/api/v1/campaigns", json=house.document(**{field: day}))
        assert 400 == answer.status_code, answer.text
        assert field in answer.json()["details"]["field"]
    campaign = house.campaign()
    answer = house.client.post(f"/api/v1/campaigns/{campaign}/execute", json={"scheduledAt": day})
    assert 400 == answer.status_code, answer.text
    assert "scheduledAt" in answer.json()["details"]["field"]
    assert (
        400
        == house.client.post("/v1/key", json={"name": "k", "role": "viewer", "expires_at": day}).status_code
    )
