"""What spreadsheets do to ids and numbers is undone where that is certain; else the line is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.audience.formats import CSV, NDJSON, Columns, records_in
from engine.kernel.csv_cells import defused, unmarked


def read(
    text: str, content_type: str = CSV, **columns: Any
) -> tuple[list[tuple[str | None, dict[str, Any]]], list[tuple[int, str]], list[str]]:
    """Ids and attributes, troubles by line, notes."""
    found = list(records_in(content_type, [text.encode()], Columns(**columns)))
    people = [(one.row.external_id, json.loads(one.row.attributes)) for one in found if one.row is not None]
    troubles = [(one.line, one.trouble) for one in found if one.trouble is not None]
    return people, troubles, [one.note for one in found if one.note is not None]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("'0123", "0123"),
        ("'+47 912 34 567", "+47 912 34 567"),
        ("'00A12-3", "00A12-3"),
        ("'2026-03-02", "2026-03-02"),
        ("'=1+1", "=1+1"),
        ("'@ada", "@ada"),
        ('="00123"', "00123"),
        ('="+4791234567" ', "+4791234567"),
        ('="say ""hi"""', 'say "hi"'),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("'90s", "'90s"),
        ("'tis", "'tis"),
        ("'2026'", "'2026'"),
        ("'", "'"),
        ('="a"&"b"', '="a"&"b"'),
        ("=A1", "=A1"),
        ("O'Brien", "O'Brien"),
    ],
)
def test_a_texts_mark_is_no_part_of_it(cell: str, text: str) -> None:
    assert text == unmarked(cell)


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@ada", "Ada", "'s", "+4791234567"])
def test_what_we_write_down_is_read_back(text: str) -> None:
    assert text == unmarked(defused(text))


def test_ids_and_numbers_are_read_without_marks() -> None:
    text = 'id;phone;town\n\'0123;\'+4791234567;\'s-Hertogenbosch\n="0124";="+4791234568";x\n'
    people, troubles, notes = read(text, external_id="id")
    assert [
        ("0123", {"id": "0123", "phone": "+4791234567", "town": "'s-Hertogenbosch"}),
        ("0124", {"id": "0124", "phone": "+4791234568", "town": "x"}),
    ] == people
    assert [] == troubles
    assert ["spreadsheet's form" in one for one in notes] == [True]


def test_excels_own_way_to_keep_zeros() -> None:
    people, troubles, _ = read('id,name\n"=""00123""","Byron, Ada"\n', external_id="id")
    assert ([("00123", {"id": "00123", "name": "Byron, Ada"})], []) == (people, troubles)


@pytest.mark.parametrize("said", ["4.79E+10", "4,79123E+10", "1E+05", "'4.79E+10"])
def test_an_id_that_lost_digits_is_refused_by_its_line(said: str) -> None:
    text = f"id;name\n1;Ada\n{said};Bo\n2;Cy\n"
    people, troubles, _ = read(text, external_id="id")
    assert ["1", "2"] == [key for key, _ in people]
    assert [3] == [line for line, _ in troubles]
    assert "lost digits in a spreadsheet" in troubles[0][1]
    people, troubles, _ = read(text, key="id")
    assert [3] == [line for line, _ in troubles]


@pytest.mark.parametrize("column", ["phone", "Mobile Number", "Tel"])
def test_and_so_is_a_phone_number(column: str) -> None:
    people, troubles, _ = read(f"id;{column}\n1;4.79123E+10\n2;+4791234567\n", external_id="id")
    assert (["2"], [2]) == ([key for key, _ in people], [line for line, _ in troubles])
    line = json.dumps({"external_id": "1", column: "4.79123E+10"})
    _, troubles, _ = read(f'{line}\n{{"external_id": 2}}\n', NDJSON)
    assert [1] == [line for line, _ in troubles]


def test_codes_with_an_e_are_codes() -> None:
    people, troubles, _ = read("id;code\n1E5;4.79E+10\n12E+5;x\n", external_id="id")
    assert (["1E5", "12E+5"], []) == ([key for key, _ in people], troubles)


def test_a_whole_number_is_the_same_id_however_a_program_wrote_it() -> None:
    people, _, _ = read("id\n1.0\n2\n1.10\nA1.0\n007.0\n", external_id="id")
    assert ["1", "2", "1.10", "A1.0", "007"] == [key for key, _ in people]
    people, _, _ = read('{"external_id": "1.0"}\n{"external_id": 1.0}\n{"external_id": 1}\n', NDJSON)
    assert ["1", "1", "1"] == [key for key, _ in people]


@pytest.mark.parametrize(
    "said", ["#N/A", "#REF!", "NULL", "nan", "None", "N/A", "undefined", "\\N", " null "]
)
def test_what_stands_for_no_value_identifies_nobody(said: str) -> None:
    people, troubles, _ = read(f"id;name\n{said};Ada\n1;Bo\n{said};Cy\n", external_id="id")
    assert (["1"], [2, 4]) == ([key for key, _ in people], [line for line, _ in troubles])
    assert "is nobody's" in troubles[0][1]


def test_names_of_columns_have_nothing_unseen_around_them() -> None:
    people, _, _ = read("\u00a0id\u200b ;\u2003name\n1;Ada\n", external_id="id")
    assert [("1", {"id": "1", "name": "Ada"})] == people
