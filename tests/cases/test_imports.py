"""An import changes what its file says, and nothing else; files are read as spreadsheets and people leave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cases.house import House
    from tests.cli.conftest import Muster

PEOPLE = "id,first_name,email,plan,consent\n1,Ada,ada@example.com,gold,yes\n2,Bo,bo@example.com,free,no\n"


@pytest.mark.parametrize(
    "partial",
    [
        "id,loyalty_points\n1,120\n2,80\n",
        "loyalty_points;id\r\n120;1\r\n80;2\r\n",
        "\ufeffid\tloyalty_points\n1\t120\n2\t80\n",
        '{"id": "1", "loyalty_points": "120"}\n{"id": "2", "loyalty_points": "80"}\n',
        "id,loyalty_points\n1,7\n2,80\n1,120\n",
        "id,loyalty_points,\n1,120,\n2,80,\n",
    ],
)
def test_01_a_column_that_a_file_lacks_changes_nothing(house: House, partial: str) -> None:
    house.load(PEOPLE)
    done = house.load(partial, external_id="id")
    assert (0, []) == (done["created"], done["errors"])
    assert {
        "1": ("Ada", "ada@example.com", "gold", "yes", "120"),
        "2": ("Bo", "bo@example.com", "free", "no", "80"),
    } == {
        key: tuple(
            str(one.get(name)) for name in ("first_name", "email", "plan", "consent", "loyalty_points")
        )
        for key, one in house.known().items()
    }


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("id,plan\n1,\n", {"email": "ada@example.com", "plan": None}),
        ('{"id": "1", "plan": null}\n', {"email": "ada@example.com", "plan": None}),
        ('{"id": "1", "plan": ""}\n', {"email": "ada@example.com", "plan": None}),
        ('{"id": "1"}\n', {"email": "ada@example.com", "plan": "gold"}),
    ],
)
def test_01_an_empty_cell_empties(house: House, text: str, left: dict[str, str | None]) -> None:
    house.load(PEOPLE)
    house.load(text, external_id="id")
    found = house.known()["1"]
    assert left == {name: found.get(name) or None for name in left}


def test_01_replacing_is_asked_for(house: House) -> None:
    house.load(PEOPLE)
    house.load("id,loyalty_points\n1,120\n", mode="replace")
    known = house.known()
    assert (None, "120") == (known["1"].get("email"), known["1"].get("loyalty_points"))
    assert "bo@example.com" == known["2"]["email"]


def test_01_on_the_command_line_as_well(acme: Muster, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "partial.csv").write_text("id,loyalty_points\n1,120\n2,80\n")
    for name in (tmp_path / "people.csv", tmp_path / "partial.csv"):
        acme.ok("import", name, "--schema", "contact", "--external-id", "id")
    rows = acme.ok("entity", "list", "--json").json["results"]
    assert {("ada@example.com", "120"), ("bo@example.com", "80")} == {
        (row["email"], row["loyalty_points"]) for row in rows
    }
    acme.ok("import", tmp_path / "partial.csv", "--schema", "contact", "--external-id", "id", "--replace")
    assert {None} == {row.get("email") for row in acme.ok("entity", "list", "--json").json["results"]}


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nemail;name\r\na@example.com;A\r\nb@example.com;B\r\n",
        "\ufeffsep=;\r\nemail;name\r\na@example.com;A\r\nb@example.com;B\r\n",
        "SEP=,\nemail,name\na@example.com,A\nb@example.com,B\n",
        "sep=\t\nemail\tname\na@example.com\tA\nb@example.com\tB\n",
        '"sep=|"\nemail|name\na@example.com|A\nb@example.com|B\n',
        "sep=;\n\nemail;name\na@example.com;A\nb@example.com;B\n",
    ],
)
def test_07_excels_line_names_the_delimiter(house: House, text: str) -> None:
    done = house.load(text)
    assert (2, []) == (done["created"], done["errors"])
    assert [("a@example.com", "A"), ("b@example.com", "B")] == house.rows("email", "name")


@pytest.mark.parametrize(
    "text",
    [
        "id;Name (last, first);Note (a, b, c)\n1;A;x\n",
        "id\tName (last, first)\tNote (a, b; c)\n1\tA\tx\n",
        "id|Name (last, first)|Note (a, b, c)\n1|A|x\n",
        "id;Name (last, first);Note (a, b, c);\n1;A;x;\n",
        'id;"Name (last, first)";"Note (a; b; c)"\n1;A;x\n',
        "id;Name (last, first);Note (a, b, c)\n1;A;x\nid;Name (last, first);Note (a, b, c)\n",
    ],
)
def test_09_commas_in_headers_are_text(house: House, text: str) -> None:
    done = house.load(text, external_id="id")
    assert (1, []) == (done["created"], done["errors"])
    (person,) = house.known().values()
    assert "A" == person["Name (last, first)"]


@pytest.mark.parametrize(
    "text",
    [
        "id,email\n1,a@example.com\nid,email\n2,b@example.com\n",
        "\ufeffid,email\n1,a@example.com\n\ufeffid,email\n2,b@example.com\n",
        "id;email;\n1;a@example.com;\n2;b@example.com;\n",
        "id,email\r\n1,a@example.com\r\n\r\n,\r\n2,b@example.com\r\n",
    ],
)
def test_joined_files_and_trailing_delimiters_become_nobody(house: House, text: str) -> None:
    done = house.load(text)
    assert 2 == done["created"]
    assert [("a@example.com",), ("b@example.com",)] == house.rows("email")
    assert {"email"} == {name for one in house.known().values() for name, value in one.items() if value} - {
        "id"
    }


NO_DATA = {
    "page.csv": b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n<body>x</body></html>\n",
    "people.xml.csv": b'<?xml version="1.0"?>\n<people><id>1</id></people>\n',
    "array.csv": b'[\n  {"id": 1, "name": "Ada"}\n]\n',
    "object.csv": b'{"error": "not found", "code": 404}\n',
    "sheet.csv": b"PK\x03\x04\x14\x00\x06\x00",
    "paper.csv": b"%PDF-1.4\n1 0 obj\nendobj\n",
    "empty.csv": b"",
    "header.csv": b"id,name,email\n",
    "array.ndjson": b'[{"external_id": 1}]',
    "page.ndjson": b"<html>\n<body>x</body></html>\n",
    "people.ndjson": b"id,name\n1,Ada\n",
    "empty.ndjson": b"\n",
    "page.xlsx": b"<html>\n<body>x</body></html>\n",
}


@pytest.mark.parametrize("name", NO_DATA)
def test_what_is_no_data_is_refused_and_changes_nothing(house: House, name: str) -> None:
    house.load(PEOPLE)
    before = house.known()
    kinds = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
    kind = kinds.get(
        name.rpartition(".")[2], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    )
    for external_id in ({"external_id": "id"}, {}):
        answer = house.client.post(
            "/v1/entity/contact:import",
            params=external_id,
            content=NO_DATA[name],
            headers={"content-type": kind},
        )
        assert 400 == answer.status_code, answer.text
        assert "file: " in answer.json()["message"]
    assert before == house.known()


def test_what_is_no_data_is_refused_on_the_command_line(acme: Muster, tmp_path: Path) -> None:
    for name, data in NO_DATA.items():
        (tmp_path / name).write_bytes(data)
        done = acme("import", tmp_path / name, "--external-id", "id")
        assert 2 == done.code, (name, done.err)
    (tmp_path / "list.csv").write_bytes(NO_DATA["page.csv"])
    assert 2 == acme("suppression", "import", tmp_path / "list.csv").code
    assert [] == acme.ok("entity", "list", "--json").json["results"]


def test_ids_are_the_same_however_a_spreadsheet_kept_them(house: House) -> None:
    house.load("id,name,phone\n0123,Ada,+4791234567\n17,Bo,+4791234568\n")
    done = house.load('id,points,phone\n\'0123,1,\'+4791234567\n17.0,2,"=""+4791234568"""\n1.7E+01,3,x\n')
    assert (2, [4]) == (done["updated"], [one["line"] for one in done["errors"]])
    known = house.known()
    assert [("Ada", "1", "+4791234567"), ("Bo", "2", "+4791234568")] == [
        tuple(known[key][name] for name in ("name", "points", "phone")) for key in ("0123", "17")
    ]
