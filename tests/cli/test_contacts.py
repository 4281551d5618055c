"""The example contacts are invented, the same everywhere, and awkward enough to be an example."""

from __future__ import annotations

import csv
import hashlib
from itertools import islice
from typing import TYPE_CHECKING

from actors.data.contacts import COLUMNS, contacts, write_contacts

if TYPE_CHECKING:
    from pathlib import Path

RESERVED = ("example.com", "example.net", "example.org")


def test_nobody_could_be_written_to() -> None:
    for row in contacts(2000):
        address = row[COLUMNS.index("email")]
        assert address == "" or address.endswith(RESERVED)


def test_they_are_the_same_everywhere(tmp_path: Path) -> None:
    write_contacts(tmp_path / "a.csv")
    digest = hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest()
    assert digest[:16] == "6db5e64956ac2db0"


def test_a_longer_list_begins_like_a_shorter_one() -> None:
    assert list(contacts(10)) == list(islice(contacts(100), 10))


def test_they_are_a_csv_file_with_what_makes_csv_hard(tmp_path: Path) -> None:
    write_contacts(tmp_path / "contacts.csv", 500)
    with (tmp_path / "contacts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 500
    assert len({row["customer_id"] for row in rows}) == 500
    assert any("," in row["company"] for row in rows)
    assert any('"' in row["company"] for row in rows)
    assert any(not row["city"].isascii() for row in rows)
    assert any(row["email"] == "" for row in rows)
    assert any(row["newsletter"] == "no" for row in rows)
