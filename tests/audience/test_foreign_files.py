"""What is no data at all is refused as a whole, by what it seems to be; nobody is made of an error page."""

from __future__ import annotations

import pytest

from engine.audience.formats import CSV, NDJSON, XLSX, Columns, records_in
from engine.audience.lines import ImportRefused

PAGE = "<!DOCTYPE html>\n<html><head>\n<title>502 Bad\nGateway</title></head>\n<body>x</body></html>\n"


def refused(data: str | bytes, content_type: str) -> str:
    data = data.encode() if isinstance(data, str) else data
    with pytest.raises(ImportRefused) as caught:
        list(records_in(content_type, [data], Columns()))
    return str(caught.value)


@pytest.mark.parametrize("content_type", [CSV, NDJSON])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PAGE, "is an HTML page (titled '502 Bad Gateway'), not data"),
        ("\ufeff\r\n  <html>\r\n<body>Sign in</body></html>", "is an HTML page, not data"),
        ("<!-- cached --><html><body>x</body></html>", "is an HTML page"),
        ('<?xml version="1.0"?>\n<people/>\n', "is XML or HTML"),
        ("<Error><Code>AccessDenied</Code></Error>", "is XML or HTML"),
        ('[{"external_id": 1}, {"external_id": 2}]', "is a JSON array; write one object a line"),
        ('[\n  {"external_id": 1}\n]\n', "is a JSON array"),
        ("[]", "is a JSON array"),
        ('[["id", "name"], [1, "Ada"]]', "is a JSON array"),
        (b"PK\x03\x04\x14\x00", "is a workbook or a ZIP archive"),
        (b"PK\x05\x06" + b"\0" * 18, "is an empty ZIP archive"),
        (b"%PDF-1.4\n1 0 obj\nendobj\n", "is a PDF document"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF document"),
        (b"\x89PNG\r\n\x1a\n", "is a picture"),
        (b"BZh91AY&SY", "is compressed with bzip2"),
        (b"Rar!\x1a\x07\x01", "is a RAR archive"),
        (b"SQLite format 3\x00\x10\x00", "is a database"),
        (b"{\\rtf1\\ansi\n}", "is a document (RTF)"),
        ("BEGIN:VCARD\nVERSION:3.0\nFN:Ada\nEND:VCARD\n", "is a list of contacts"),
        ("-- a dump\nINSERT INTO people VALUES (1);\n", "is SQL"),
        ("version https://git-lfs.github.com/spec/v1\nsize 1\n", "is a Git LFS pointer"),
        ("", "is empty"),
        ("\ufeff\n \n", "is empty"),
    ],
)
def test_another_form_is_told(data: str | bytes, message: str, content_type: str) -> None:
    assert f"file: {message}" in refused(data, content_type)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("id,name\n", "has a header and no line after it; the header is 'id, name'"),
        ("Internal Server Error", "has a header and no line after it"),
        ("sep=;\nid;name\n;\n", "has a header and no line after it"),
        ('{"external_id": 1}\n{"external_id": 2}\n', "is JSON, not CSV"),
        ('{"error": "not found"}', "is JSON, not CSV"),
        ('{\n "results": []\n}', "is JSON, not CSV"),
    ],
)
def test_csv_needs_lines_of_csv(data: str, message: str) -> None:
    assert f"file: {message}" in refused(data, CSV)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("id,name\n1,Ada\n", "is no NDJSON: its first line begins with 'id,name'"),
        ('"Ada"\n"Bo"\n', "is no NDJSON"),
        ('{\n "results": []\n}', "is one JSON object over several lines"),
        ('{"results": [{"id": 1}, {"id": 2}], "total": 2}', "jq -c '.results[]'"),
        ('{"error": "not found", "code": 404}', "is one JSON object with 'error'"),
    ],
)
def test_ndjson_needs_objects_a_line(data: str, message: str) -> None:
    assert message in refused(data, NDJSON)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PAGE, "is an HTML page (titled '502 Bad Gateway'), not a workbook (XLSX)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a workbook of an old form (XLS) or has a password"),
        (b"%PDF-1.4\n", "is a PDF document, not a workbook"),
    ],
)
def test_a_workbook_is_one(data: str | bytes, message: str) -> None:
    assert message in refused(data, XLSX)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        ("[id],[name]\n1,Ada\n", CSV),
        ("<id>,name\n1,Ada\n", CSV),
        ("{id},name\n1,Ada\n", CSV),
        ("id,note\n1,<html>\n", CSV),
        ('{"external_id": 1, "error": "bounced"}', NDJSON),
        ('{"name": "Ada", "orders": [1, 2]}', NDJSON),
        ('{"external_id": 1, "orders": [{"n": 1}]}', NDJSON),
        ('{"name": "Ada", "error": 1}\n{"name": "Bo", "error": 2}\n', NDJSON),
    ],
)
def test_data_that_looks_a_little_so_is_read(data: str, content_type: str) -> None:
    found = list(records_in(content_type, [data.encode()], Columns()))
    assert all(record.row is not None for record in found)
    assert found
