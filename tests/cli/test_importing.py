"""Importing from the command line: formats, standard input, rejected lines, repetition."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster

GOOD = ("--external-id", "customer_id", "--title", "{first_name}")


def test_a_file_is_imported_and_importing_it_again_changes_nothing(acme: Muster, people: Path) -> None:
    assert "5 created, 0 updated, 0 unchanged, 0 rejected" in acme.ok("import", people, *GOOD).out
    again = acme.ok("import", people, *GOOD, "--json").json
    assert again == {"created": 0, "updated": 0, "skipped": 5, "rejected": 0, "errors": []}


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


def test_standard_input_needs_its_format_said(acme: Muster, people: Path) -> None:
    assert acme("import", "-", *GOOD, stdin=people.read_bytes()).code == 2
    assert "5 created" in acme.ok("import", "-", "--format", "csv", *GOOD, stdin=people.read_bytes()).out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--external-id", "custommer_id"), "customer_id"),
        (("--title", "{first name}"), "first_name"),
        (("--format", "xml"), "csv, ndjson"),
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
