"""Numbers as people write them, in columns of which somebody says which mark stands before the decimals."""

from __future__ import annotations

import json

import pytest

from engine.audience.formats import CSV, NDJSON, XLSX, records_in
from engine.audience.lines import ImportRefused
from engine.audience.reading import Columns
from engine.filters.written_numbers import DecimalMark, plain_number


@pytest.mark.parametrize(
    ("text", "comma", "point"),
    [
        ("1.234,50", "1234.50", None), ("1,234.50", None, "1234.50"), ("12,5", "12.5", None), ("12.5", None, "12.5"),
        ("1234,5", "1234.5", None), ("-1.234.567", "-1234567", None), ("1,234,567", None, "1234567"),
        ("1 234,5", "1234.5", None), ("1\u00a0234\u00a0567", "1234567", "1234567"), ("1\u202f234,5", "1234.5", None),
        ("1'234.50", None, "1234.50"), ("1\u2019234.50", None, "1234.50"), (" 7 ", "7", "7"), ("+7", "7", "7"),
        ("\u22123,5", "-3.5", None), ("3-", "-3", "-3"), ("€ 12,50", "12.50", None), ("12,50 €", "12.50", None),
        ("-$3", "-3", "-3"), ("1.23,4", None, None), ("1.2345,6", None, None), ("1,2,3", None, None), ("", None, None),
        (".5", None, None), ("abc", None, None), ("1e5", None, None), ("12 EUR", None, None), ("9" * 100, None, None),
    ],
)  # fmt: skip
def test_a_number_is_read_by_the_mark_before_its_decimals(text, comma, point):
    assert comma == plain_number(text, DecimalMark.COMMA)
    assert point == plain_number(text, DecimalMark.POINT)


def test_columns_that_were_named_are_kept_as_filters_read_them():
    columns = Columns("id", "{b}", decimal_comma=("a", "b"), decimal_point=("c",))
    text = "id;a;b;c;d\n1;1.234,50;3;1,234.50;1.234,50\n2;abc;;1.234,50;x\n"
    records = list(records_in(CSV, [text.encode()], columns))
    assert [
        {"id": "1", "a": "1234.50", "b": "3", "c": "1234.50", "d": "1.234,50"},
        {"id": "2", "a": "abc", "b": "", "c": "1.234,50", "d": "x"},
    ] == [record.row and json.loads(record.row.attributes) for record in records]
    assert (None, 3) == (records[0].note, records[1].line)
    assert (
        "a: 'abc' is no number with a decimal comma; c: '1.234,50' is no number with a decimal point"
        == records[1].note
    )
    lines = [b'{"id": 1, "a": "1.234,50", "b": 2.5}\n']
    found = next(records_in(NDJSON, lines, Columns("id", decimal_comma=("a", "b"))))
    assert {"id": 1, "a": "1234.50", "b": 2.5} == (found.row and json.loads(found.row.attributes))


@pytest.mark.parametrize(
    ("kind", "columns", "message"),
    [
        (CSV, Columns(decimal_comma=("x",)), "decimal_comma: names the column 'x'"),
        (CSV, Columns(decimal_comma=("a",), decimal_point=("a",)), "decimal_point: names 'a', and so does"),
        (XLSX, Columns(decimal_point=("a",)), "decimal_point: is not for workbooks"),
        (CSV, Columns("a", key="a"), "key: stands in the place of external_id"),
        (CSV, Columns(key="b"), "key: names the column 'b'"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, columns, message):
    with pytest.raises(ImportRefused, match=message):
        list(records_in(kind, [b"a\n1\n"], columns))
