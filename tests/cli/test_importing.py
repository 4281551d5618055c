"""Importing from the command line: formats, standard input, rejected lines, repetition."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.audience.test_import_forms import PEOPLE, workbook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster

GOOD = ("--external-id", "customer_id", "--title", "{first_name}")


def test_a_file_is_imported_and_importing_it_again_changes_nothing(acme: Muster, people: Path) -> None:
    assert "5 created, 0 updated, 0 unchanged, 0 rejected" in acme.ok("import", people, *GOOD).out
    again = acme.ok("import", people, *GOOD, "--json").json
    assert again == {"created": 0, "updated": 0, "skipped": 5, "rejected": 0, "errors": [], "notes": []}


def test_a_bad_line_is_listed_and_the_others_are_in(acme: Muster, people: Path) -> None:
    people.write_text(people.read_text() + "6,Filippa\n7,Gro,gro@example.com,Norway,1\n")
    result = acme("import", people, *GOOD)
    assert result.code == 1
    assert "6 created" in result.out
    assert "1 rejected" in result.out
    assert "7" in result.out.splitlines()[-2]
    assert "all others are imported" in result.err

    as_json = acme("import", people, *GOOD, "--json")
    assert as_json.code == 1
    assert [error["line"] for error in as_json.json["errors"]] == [7]


def test_what_the_file_lacks_stays_unless_it_is_to_replace(
    acme: Muster, people: Path, tmp_path: Path
) -> None:
    acme.ok("import", people, *GOOD)
    orders = tmp_path / "orders.csv"
    orders.write_text("customer_id,orders\n1,4\n")
    assert "1 updated" in acme.ok("import", orders, "--external-id", "customer_id").out
    again = acme.ok("import", orders, "--external-id", "customer_id", "--replace").out
    assert "1 updated" in again  # it was unchanged but for what the first file said


def test_ndjson_by_its_suffix(acme: Muster, tmp_path: Path) -> None:
    path = tmp_path / "people.ndjson"
    path.write_text("\n".join(json.dumps({"id": n, "name": f"P{n}"}) for n in range(3)))
    assert "3 created" in acme.ok("import", path, "--schema", "customer", "--external-id", "id").out


def test_remarks_leave_nobody_out(acme: Muster, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"\xef\xbb\xbfsep=;\r\nid;name;\r\n1;Ada;\r\nid;name;\r\n2;Bo;\r\n")
    result = acme.ok("import", path, "--external-id", "id")
    assert "2 created, 0 updated, 0 unchanged, 0 rejected" in result.out
    assert "line 4 is the header again" in result.err
    found = acme.ok("import", path, "--external-id", "id", "--json").json
    assert [4] == [note["line"] for note in found["notes"]][-1:]


def test_a_delimiter_can_be_said(acme: Muster, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("id~name\n1~Ada\n")
    assert "1 created" in acme.ok("import", path, "--external-id", "id", "--delimiter", "~").out
    assert acme("import", path, "--external-id", "id", "--delimiter", "two").code == 2


def test_people_are_known_by_a_column(acme: Muster, people: Path) -> None:
    options = ("--key", "email", "--decimal-comma", "orders")
    first = acme("import", people, *options)
    assert (first.code, "4 created" in first.out, "1 rejected" in first.out) == (
        1,
        True,
        True,
    )  # Dana has no address
    people.write_text(people.read_text().replace("ada@", "ADA@").replace(",3\n", ',"1.003,5"\n'))
    assert "0 created, 1 updated, 3 unchanged" in acme("import", people, *options).out
    assert acme("import", people, "--key", "email", "--external-id", "email").code == 2


def test_a_workbook_by_its_suffix(acme: Muster, tmp_path: Path) -> None:
    path = tmp_path / "people.xlsx"
    path.write_bytes(workbook(PEOPLE, others=["Archive"]))
    result = acme("import", path, "--external-id", "id", "--title", "{name}")
    assert (result.code, "2 created" in result.out, "only 'People' is read" in result.err) == (1, True, True)
    assert acme("import", path, "--format", "csv").code == 2


def test_standard_input_needs_its_format_said(acme: Muster, people: Path) -> None:
    assert acme("import", "-", *GOOD, stdin=people.read_bytes()).code == 2
    assert "5 created" in acme.ok("import", "-", "--format", "csv", *GOOD, stdin=people.read_bytes()).out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--external-id", "custommer_id"), "customer_id"),
        (("--title", "{first name}"), "first_name"),
        (("--format", "xml"), "csv, ndjson, xlsx"),
        (("--schema", "no schema!"), "schema"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_in(
    acme: Muster, people: Path, args: tuple[str, ...], words: str
) -> None:
    result = acme("import", people, *args)
    assert result.code == 2, result
    assert words in result.err
    assert "5 created" in acme.ok("import", people, *GOOD).out


def test_another_encoding_is_told_as_such(acme: Muster, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes("customer_id,first_name\n1,Søren\n".encode("latin-1"))
    result = acme("import", path, *GOOD)
    assert result.code == 2
    assert "UTF-8" in result.err
    assert "Traceback" not in result.err
