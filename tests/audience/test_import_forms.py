"""Files as spreadsheets, databases and people leave them: each is read as it is meant, or told by its line."""

from __future__ import annotations

import io
import json
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from engine.audience import workbook_rows
from engine.audience.csv_rows import csv_records
from engine.audience.formats import XLSX, records_in
from engine.audience.lines import ImportRefused, numbered_lines
from engine.audience.reading import Columns, Reading


def read(data, external_id=None, title=None, **options):
    """People (external id, attributes without it), troubles and notes by line."""
    data = data if isinstance(data, bytes) else data.encode()
    reading = Reading(Columns(external_id, title))
    return sorted_out(csv_records(numbered_lines([data]), reading, **options))


def sorted_out(records):
    people, troubles, notes = [], [], []
    for record in records:
        if record.row is not None:
            people.append((record.row.external_id, json.loads(record.row.attributes)))
        if record.trouble is not None:
            troubles.append((record.line, record.trouble))
        if record.note is not None:
            notes.append((record.line, record.note))
    return people, troubles, notes


TWO = [(None, {"email": "a@example.com", "name": "A"}), (None, {"email": "b@example.com", "name": "B"})]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nemail;name\r\na@example.com;A\r\nb@example.com;B\r\n",
        '"sep=;"\nemail;name\na@example.com;A\nb@example.com;B\n',
        "\ufeffsep=,\nemail,name\na@example.com,A\nb@example.com,B\n",
        "\ufeff\ufeffSEP=|\nemail|name\na@example.com|A\nb@example.com|B\n",
        "sep=\t\nemail\tname\na@example.com\tA\nb@example.com\tB\n",
        "sep=\\t\nemail\tname\na@example.com\tA\nb@example.com\tB\n",
        "sep=^\nemail^name\na@example.com^A\nb@example.com^B\n",
        "\nsep=;;\nemail;name\na@example.com;A\nb@example.com;B\n",
        "sep=\nemail;name\na@example.com;A\nb@example.com;B\n",
        '\ufeff"email";"name"\n"a@example.com";"A"\n\n\ufeffb@example.com;B\n',
        "email,name\na@example.com,A\n , \n,\n\x1a\nb@example.com,B\n\x1a",
    ],
)
def test_what_excel_and_other_systems_put_around_rows_is_no_row(text):
    assert (TWO, [], []) == read(text)


@pytest.mark.parametrize(
    "second",
    [
        "email;name\nb@example.com;B\n",
        "\ufeffemail;name\nb@example.com;B\n",
        'sep=;\n"Email";"NAME"\nb@example.com;B\n',
        "\ufeffsep=;\nemail;name\nb@example.com;B\n",
        "name;email\nB;b@example.com\n",
        "email;name;\nb@example.com;B;\n",
    ],
)
def test_joined_files_have_a_second_header(second):
    people, troubles, notes = read("sep=;\nemail;name\na@example.com;A\n" + second, "email")
    assert [("a@example.com", "A"), ("b@example.com", "B")] == [
        (key, one.get("name", one.get("NAME"))) for key, one in people
    ]
    assert [] == troubles
    assert "header" in notes[0][1]


def test_joined_files_may_differ_in_their_columns():
    text = "id,name\n1,Ada\nid,email\n2,bo@example.com\nemail,name,id\ncy@example.com,Cy,3\n"
    people, troubles, notes = read(text, "id", "{name}")
    assert [
        ("1", {"id": "1", "name": "Ada"}),
        ("2", {"id": "2", "email": "bo@example.com"}),
        ("3", {"id": "3", "name": "Cy", "email": "cy@example.com"}),
    ] == people
    assert ([], [3, 5]) == (troubles, [line for line, _ in notes])


def test_a_file_joined_without_a_line_feed_is_cut_where_it_begins():
    text = "email;name\na@example.com;A\ufeffemail;name\nb@example.com;B"
    people, troubles, notes = read(text)
    assert (TWO, [], [(2, "is the header again")]) == (people, troubles, notes)
    people, troubles, _ = read("email;name\na@example.com;Aemail;name\nb@example.com;B")
    assert (TWO[1:], [2]) == (people, [line for line, _ in troubles])


@pytest.mark.parametrize(
    "row", ["Last,First", "first,Smith", "name,x", "2,id", "id@example.com,email", "Country,Norway"]
)
def test_people_who_are_called_like_columns_are_people(row):
    people, troubles, notes = read(f"nr,last,country,first\n1,{row},x\n", "nr")
    assert (1, [], []) == (len(people), troubles, notes)
    if row != "Last,First":  # between these two columns it is the header
        assert 1 == len(read(f"last,first\n{row}\n")[0])


def test_the_delimiter_is_the_one_that_rows_agree_with():
    comma = "id;Name (last, first);Note (a, b, c)\n1;A;x\n"
    people, troubles, _ = read(comma, "id")
    assert ([("1", {"id": "1", "Name (last, first)": "A", "Note (a, b, c)": "x"})], []) == (people, troubles)
    for text, columns in {
        "Name, first|Name; last|x\nAda|Byron, L.|1; 2\n": 3,
        "id;balance;a\n1;12,50;1,5\n2;13,75;2,5\n": 3,
        "a\tb, c; d\n1\t2; 3, 4\n": 2,
        "email (a, b, c);x\na@example.com;1\n": 2,
        'a,b\n"1;2;3",x\n"1;2;3",y\n': 2,
        'a;b\n1;"open\n2;x, y\n3;z\n': 2,
        "name\nSmith; John\nDoe, Jane, Dr.\nByron; Ada\n": 1,
        "a,b,c\n1,2,3\n": 3,
    }.items():
        people, _, _ = read(text)
        assert {columns} == {len(one) for _, one in people}, text


def test_rows_that_fit_no_delimiter_become_nobody():
    people, troubles, _ = read("id,a\nx\ny\n")
    assert ([], [2, 3]) == (people, [line for line, _ in troubles])


@pytest.mark.parametrize(
    ("said", "between"), [(";", ";"), ("semicolon", ";"), ("TAB", "\t"), ("\\t", "\t"), ("~", "~")]
)
def test_a_delimiter_that_is_said_counts(said, between):
    text = f"a,b{between}c\n1,2{between}3\n".encode()
    found, _, _ = sorted_out(records_in("text/csv", [text], Columns(delimiter=said)))
    assert [(None, {"a,b": "1,2", "c": "3"})] == found


@pytest.mark.parametrize("said", ['"', "ab", "\n", "\0"])
def test_a_delimiter_that_can_be_none_is_refused(said):
    with pytest.raises(ImportRefused, match="delimiter: must be one character"):
        records_in("text/csv", [b"a\n1\n"], Columns(delimiter=said))
    with pytest.raises(ImportRefused, match="delimiter: is for CSV"):
        records_in("application/x-ndjson", [b"{}"], Columns(delimiter=";"))


@pytest.mark.parametrize(
    "text",
    [
        "email;name;\na@example.com;A;\nb@example.com;B;\n",
        "email;name;;\na@example.com;A;;\nb@example.com;B\n",
        "email;name\na@example.com;A;\nb@example.com;B; ;\n",
    ],
)
def test_delimiters_at_the_ends_of_lines_are_a_note(text):
    people, troubles, notes = read(text)
    assert (TWO, []) == (people, troubles)
    assert 1 == len(notes)
    assert "empty fields" in notes[0][1]


def test_what_stands_beyond_the_last_column_is_not_dropped():
    people, troubles, _ = read("email;name;\na@example.com;A;x\nb@example.com;B;\n")
    assert (TWO[1:], [2]) == (people, [line for line, _ in troubles])


def test_ndjson_that_was_joined():
    data = '\ufeff{"external_id": "1"}\n\ufeff{"external_id": "2"}\n\ufeff\n'.encode()
    people, troubles, _ = sorted_out(records_in("application/x-ndjson", [data], Columns()))
    assert (["1", "2"], []) == ([key for key, _ in people], troubles)


def workbook(rows, hidden=False, others=(), raw=None):
    """An XLSX file of one sheet; cells are XML that follows the name of their place."""
    sheet = raw or "".join(
        f'<row r="{line}">'
        + "".join(f'<c r="{place}{line}"{cell}</c>' for place, cell in row.items())
        + "</row>"
        for line, row in rows.items()
    )
    names = ["People", *others]
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    state = ' state="hidden"' if hidden else ""
    sheets = "".join(
        f'<sheet name="{name}" sheetId="{n}"{state if n == 1 else ""} r:id="rId{n}"/>'
        for n, name in enumerate(names, 1)
    )
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{relations}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(names) + 1)
    )
    links += f'<Relationship Id="rId99" Type="{relations}/styles" Target="styles.xml"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{links}</Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/>'
        '<xf numFmtId="22"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    } | {
        f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{main}"><sheetData><row r="1"><c r="A1"{text("x")}</c>'
        "</row></sheetData></worksheet>"
        for n in range(2, len(names) + 1)
    }
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, head + content)
    return out.getvalue()


def text(value):
    return f' t="inlineStr"><is><t>{value}</t></is>'


def number(value, style=0):
    return f' s="{style}"><v>{value}</v>'


PEOPLE = {
    3: {
        "B": text("id"),
        "C": text("name"),
        "D": text("joined"),
        "E": text("seen"),
        "F": text("n"),
        "G": text("ok"),
    },
    4: {
        "B": number(1),
        "C": text("Ada"),
        "D": number(46037, 1),
        "E": number(46037.5, 2),
        "F": number("12.5"),
        "G": ' t="b"><v>1</v>',
    },
    6: {"B": number("4915112345678"), "C": text("Bo"), "F": number("1E+22"), "G": ' t="e"><v>#N/A</v>'},
    7: {"C": text("nobody")},
    8: {
        "B": text("id"),
        "C": text("name"),
        "D": text("joined"),
        "E": text("seen"),
        "F": text("n"),
        "G": text("ok"),
    },
}


def read_workbook(data, **columns):
    return sorted_out(records_in(XLSX, [data[:100], data[100:]], Columns(**columns)))


def test_a_workbooks_cells_are_texts_that_filters_read():
    people, troubles, notes = read_workbook(workbook(PEOPLE), external_id="id", title="{name}")
    assert [
        (
            "1",
            {
                "id": "1",
                "name": "Ada",
                "joined": "2026-01-15",
                "seen": "2026-01-15T12:00:00",
                "n": "12.5",
                "ok": "true",
            },
        ),
        (
            "4915112345678",
            {"id": "4915112345678", "name": "Bo", "joined": "", "seen": "", "n": "1" + "0" * 22, "ok": ""},
        ),
    ] == people
    assert [(7, "id: is absent or empty; it must hold the external id")] == troubles
    assert [(8, "is the header again")] == notes


def test_of_several_sheets_the_first_visible_is_read():
    people, _, notes = read_workbook(workbook(PEOPLE, others=["Archive"]), external_id="id")
    assert 2 == len(people)
    assert (3, "of 2 sheets only 'People' is read") == notes[0]
    with pytest.raises(ImportRefused, match="column 'id', which is not there"):
        read_workbook(workbook(PEOPLE, hidden=True, others=["Archive"]), external_id="id")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id,name\n1,Ada\n", "is not a workbook"),
        (b"PK\x03\x04rest", "is not a workbook"),
        (b"", "is not a workbook"),
        (workbook({}), "is empty"),
        (
            workbook({1: {"A": text("id")}, 1048576: {"XFD": text("far")}}),
            "1,048,576 rows and 16,384 columns",
        ),
    ],
)
def test_what_is_no_workbook_is_refused(data, message):
    with pytest.raises(ImportRefused, match=message):
        read_workbook(data)


def test_a_workbook_is_bounded(monkeypatch):
    data = workbook(PEOPLE, raw="<!-- " + "x" * 100_000 + " -->")
    monkeypatch.setattr(workbook_rows, "MAX_UNPACKED", 50_000)
    with pytest.raises(ImportRefused, match="unpacked"):
        read_workbook(data)
    monkeypatch.setattr(workbook_rows, "MAX_FILE", len(data) - 1)
    with pytest.raises(ImportRefused, match="the most for a workbook"):
        read_workbook(data)
