"""Imports: exact counts, file line numbers, bad lines beside good ones, constant memory."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from engine.audience import importing
from engine.audience.csv_rows import csv_records
from engine.audience.entities import entities_by_external_id, find_entity, upsert_entity
from engine.audience.importing import ImportInterrupted, import_entities
from engine.audience.lines import MAX_LINE, Line, numbered_lines
from engine.audience.reading import Columns, Reading
from engine.audience.store import Counts
from engine.audience.titles import TitleTemplate
from engine.filters.targets import TargetInput, count, create_target
from engine.kernel.csv_cells import unmarked
from engine.kernel.inputs import Invalid, read
from state.tables import Entity

CSV = "text/csv; charset=utf-8"
NDJSON = "application/x-ndjson"
DATA = Path(__file__).parents[3] / "shared" / "data"


def load(database, org_id, text, *, content_type=CSV, **options):
    data = text if isinstance(text, bytes) else text.encode()
    options.setdefault("schema", "contact")
    return import_entities(database.begin, org_id, chunks=[data], content_type=content_type, **options)


def counts(result):
    return result.created, result.updated, result.skipped, result.rejected


def stored(database, org_id):
    with database.read() as session:
        rows = session.scalars(select(Entity).where(Entity.org_id == org_id))
        return {row.external_id: (row.title, row.attributes) for row in rows}


def errors(result):
    return [(error.line, error.message) for error in result.errors]


def notes(result):
    return [(note.line, note.message) for note in result.notes]


def test_columns_become_attributes_and_the_title(database, org_id):
    text = "Id,First Name,Last Name\r\n7,Ada,Lovelace\r\n8,,Müller\r\n"
    result = load(database, org_id, text, external_id="Id", title="{First Name} {Last Name}")
    assert (2, 0, 0, 0) == counts(result)
    assert {
        "7": ("Ada Lovelace", {"Id": "7", "First Name": "Ada", "Last Name": "Lovelace"}),
        "8": ("Müller", {"Id": "8", "First Name": "", "Last Name": "Müller"}),
    } == stored(database, org_id)


def test_importing_again_writes_what_differs(database, org_id, clock):
    load(database, org_id, "id,a\n1,x\n2,x\n3,x\n", external_id="id", title="T{id}")
    before = clock.now()
    clock.forward(minutes=1)
    result = load(database, org_id, "a,id\nx,1\ny,2\nx,4\n", external_id="id")
    assert (1, 1, 1, 0) == counts(result)
    found = stored(database, org_id)
    assert ("T2", {"id": "2", "a": "y"}) == found["2"]
    assert ("", {"id": "4", "a": "x"}) == found["4"]
    with database.read() as session:
        changed = set(session.scalars(select(Entity.external_id).where(Entity.updated_at > before)))
    assert {"2", "4"} == changed
    assert (0, 3, 0, 0) == counts(
        load(database, org_id, "id,a\n1,x\n2,y\n4,x\n", external_id="id", title="No. {id}")
    )


def test_an_upsert_and_an_import_agree_on_what_is_unchanged(database, org_id):
    body = {"external_id": "1", "title": "ü", "b": [1.0, 0.1, {"z": "straße", "a": None}], "a": "é"}
    with database.begin() as session:
        upsert_entity(session, org_id, "contact", body)
    line = json.dumps(dict(reversed(body.items())))
    assert (0, 0, 1, 0) == counts(load(database, org_id, line, content_type=NDJSON))


def test_of_the_same_external_id_in_a_batch_the_last_wins(database, org_id):
    result = load(database, org_id, "id,a\n1,x\n2,x\n1,y\n1,z\n", external_id="id")
    assert (2, 0, 2, 0) == counts(result)
    assert {"id": "1", "a": "z"} == stored(database, org_id)["1"][1]


def test_schemas_and_organizations_are_apart(database, org_id):
    load(database, org_id, "id\n1\n", external_id="id")
    assert (1, 0, 0, 0) == counts(load(database, org_id, "id\n1\n", external_id="id", schema="order"))


def test_without_external_ids_each_row_is_new(database, org_id):
    assert (2, 0, 0, 0) == counts(load(database, org_id, "a,title\nx,T\nx,T\n"))
    assert {None: ("T", {"a": "x"})} == stored(database, org_id)


def test_a_bad_line_never_stops_the_good_ones(database, org_id):
    text = "\n".join(
        [
            "id,name,note",  # 1
            "1,Ada,fine",
            "2,too,many,fields",  # 3
            "3,few",  # 4
            "",
            ",nobody,no id",  # 6
            '4,"quoted, with',
            '""two"" lines",good',
            "5,nul\0,x",  # 9
            "id,name,note",  # 10
            '6,"ends" badly,x',  # 11
            "7,fine,x",
            '8,"never closed,x',  # 13
            "9,fine,x",
            '10,5" pipe,x',
            "11,x," + "x" * 70_000,  # 16
            "12," + "x" * MAX_LINE + ",x",  # 17
            "13,fine,x\r",
            "14,a\rb,x",  # 19
        ]
    )
    result = load(database, org_id, text, external_id="id", title="{name}")
    assert {"1", "4", "7", "9", "10", "13"} == set(stored(database, org_id))
    assert 'quoted, with\n"two" lines' == stored(database, org_id)["4"][1]["name"]
    assert [3, 4, 6, 9, 11, 13, 16, 17, 19] == [line for line, _ in errors(result)]
    messages = dict(errors(result))
    assert "has 4 fields where the header has 3" == messages[3]
    assert "id: is absent or empty; it must hold the external id" == messages[6]
    assert "contains NUL characters" == messages[9]
    assert [(10, "is the header again")] == notes(result)
    assert "goes on after a closing quotation mark" in messages[11]
    assert messages[11] == messages[13]
    assert "bytes of attributes as JSON; at most 65536" in messages[16]
    assert f"is longer than {MAX_LINE} characters" == messages[17]
    assert "carriage return" in messages[19]
    assert (6, 0, 0, 9) == counts(result)


def test_an_open_quotation_mark_costs_one_line(database, org_id):
    rows = "".join(f"{n},fine\n" for n in range(2, 40_000))
    result = load(database, org_id, 'id,a\n1,"open\n' + rows, external_id="id")
    assert [(2, f"opens a quotation mark that is not closed within {MAX_LINE} characters")] == errors(result)
    assert 39_998 == result.created


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_told_from_the_header(database, org_id, delimiter):
    text = f'"a,b;c"{delimiter}id\nx{delimiter}1\n'
    load(database, org_id, text, external_id="id")
    assert {"1": ("", {"a,b;c": "x", "id": "1"})} == stored(database, org_id)


def test_odd_headers_are_reported_and_the_rest_is_read(database, org_id):
    result = load(database, org_id, "id, a ,a,,b\n1,x,y,z,w\n", external_id="id")
    assert {"1": ("", {"id": "1", "a": "x", "b": "w"})} == stored(database, org_id)
    assert [1, 1] == [line for line, _ in notes(result)]
    assert "two columns 'a'" in notes(result)[0][1]
    assert "column 4 no name" in notes(result)[1][1]
    assert (1, 0, 0, 0) == counts(result)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "file: is empty"),
        ("\n\n", {}, "file: is empty"),
        ("a,b\nx,y\n", {"external_id": "B"}, "external_id: names the column 'B'"),
        ("naem,b\nx,y\n", {"title": "{name}"}, "title: names the column 'name'.*did you mean 'naem'"),
        ("a\n", {"title": "{a"}, "title: has a '{' without its partner"),
        ("a\n", {"title": "a}"}, "title: has a '}' without"),
        (
            "a\n",
            {"content_type": "text/html"},
            "content_type: 'text/html' cannot be imported; use text/csv or",
        ),
        ("a\n", {"schema": "7 up"}, "schema: must begin with a letter"),
        ('"a\n', {}, "file: has a first line, to name the columns, that opens a quotation mark"),
        ("a\nü\n".encode("latin-1"), {}, "file: is not UTF-8"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_anything_is_written(
    database, org_id, text, options, message
):
    with pytest.raises(Invalid, match=message):
        load(database, org_id, text, **options)
    assert {} == stored(database, org_id)


def test_title_templates():
    template = TitleTemplate("{{{a}}} {b c}-{a}")
    assert ["a", "b c", "a"] == template.columns
    assert "{1} x-1" == template.fill({"a": 1, "b c": " x"})
    assert "{}-" == template.fill({"a": None, "b c": [1]}).replace(" ", "")


def test_ndjson(database, org_id):
    lines = [
        '{"external_id": "a", "title": "A", "n": 1, "l": [1, {"x": "ü"}], "_org": "x"}',
        "",
        '{"external_id": 7, "n": 2.0}',
        "[1]",  # 4
        '{"external_id": ',  # 5
        '{"external_id": "c", "n": "\\u0000"}',  # 6
        '{"external_id": "d", "n": 123456789012345678901234567890}',  # 7
        '{"external_id": true}',  # 8
        '{"external_id": "e", "n": NaN}',  # 9
        '{"_id": "0f0e0d0c-0b0a-4908-8706-050403020100"}',  # 10
        '{"external_id": "f", "n": 1e300}',
        "[" * 100_000,  # 12
    ]
    result = load(database, org_id, "\r\n".join(lines), content_type=NDJSON)
    assert {
        "a": ("A", {"n": 1, "l": [1, {"x": "ü"}]}),
        "7": ("", {"n": 2}),
        "f": ("", {"n": 1e300}),
    } == stored(database, org_id)
    assert [4, 5, 6, 7, 8, 9, 10, 12] == [line for line, _ in errors(result)]
    assert "must fit into 64 bits" in dict(errors(result))[7]
    assert (3, 0, 0, 8) == counts(result)


def test_ndjson_by_a_named_field(database, org_id):
    text = '{"nr": 1, "name": "Ada"}\n{"name": "nobody"}\n'
    result = load(database, org_id, text, content_type=NDJSON, external_id="nr", title="{name}!")
    assert {"1": ("Ada!", {"nr": 1, "name": "Ada"})} == stored(database, org_id)
    assert [(2, "nr: is absent or empty; it must hold the external id")] == errors(result)


def test_a_whole_float_is_the_integers_id(database, org_id):
    lines = ['{"nr": 1.0, "a": 1}', '{"nr": 1, "b": 2}', '{"nr": "1", "c": 3}', '{"nr": 1.5}', '{"nr": 1e22}']
    result = load(database, org_id, "\n".join(lines), content_type=NDJSON, external_id="nr")
    assert {"1": ("", {"nr": "1", "a": 1, "b": 2, "c": 3})} == stored(database, org_id)
    assert [4, 5] == [line for line, _ in errors(result)]


def test_what_nobody_sees_around_an_id_is_no_part_of_it(database, org_id):
    ids = [
        "A-1",
        " A-1\u00a0",
        "\u200bA-1",
        "A-1\ufeff",
        "\u202aA-1\u202c",
        "\u3000A-1",
        "Ren\u00e9",
        "Rene\u0301",
    ]
    result = load(
        database, org_id, "id,n\n" + "".join(f"{one},{n}\n" for n, one in enumerate(ids)), external_id="id"
    )
    assert (2, 6) == (result.created, result.skipped)
    assert {"A-1": ("", {"id": ids[5], "n": "5"}), "Ren\u00e9": ("", {"id": ids[7], "n": "7"})} == stored(
        database, org_id
    )
    with database.read() as session:
        for wanted in ids:
            assert find_entity(session, org_id, wanted).external_id in {"A-1", "Ren\u00e9"}
            assert len(entities_by_external_id(session, org_id, wanted, limit=2)) == 1


def test_a_thousand_troubles_are_kept_and_all_are_counted(database, org_id):
    result = load(database, org_id, "id,a\n" + "x\n" * 1500 + "1,x\n", external_id="id")
    assert (1, 1500, 1000) == (result.created, result.rejected, len(result.errors))


def test_progress_is_told_after_each_batch(database, org_id, monkeypatch):
    monkeypatch.setattr(importing, "_BATCH_ROWS", 10)
    told = []
    text = "id\n" + "".join(f"{n}\n" for n in range(25))
    load(database, org_id, text, external_id="id", progress=lambda *at: told.append(at))
    assert [11, 21, 26] == [lines for lines, _ in told]
    assert len(text) == told[-1][1]


def test_a_lost_database_says_what_is_in_and_again_is_safe(database, org_id, monkeypatch):
    monkeypatch.setattr(importing, "_BATCH_ROWS", 10)
    text = "id\n" + "".join(f"{n}\n" for n in range(35))
    begun = []

    def lose(connection):
        begun.append(connection)
        if len(begun) == 3:
            raise OperationalError("BEGIN", {}, ConnectionError("gone"))

    event.listen(database.engine, "begin", lose)
    try:
        with pytest.raises(
            ImportInterrupted, match=r"up to line 21.*import the same file again"
        ) as interruption:
            load(database, org_id, text, external_id="id")
    finally:
        event.remove(database.engine, "begin", lose)
    assert (21, 20) == (interruption.value.lines, interruption.value.result.created)
    assert 20 == len(stored(database, org_id))
    assert (15, 0, 20, 0) == counts(load(database, org_id, text, external_id="id"))


def test_without_external_ids_a_loss_says_what_to_do(database, org_id):
    def lose(connection):
        raise OperationalError("BEGIN", {}, ConnectionError("gone"))

    event.listen(database.engine, "begin", lose)
    try:
        with pytest.raises(ImportInterrupted, match="would be imported twice"):
            load(database, org_id, "a\nx\n")
    finally:
        event.remove(database.engine, "begin", lose)


def test_other_faults_are_not_called_a_loss(database, org_id, monkeypatch):
    monkeypatch.setattr(importing, "store", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load(database, org_id, "a\nx\n")


cells = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=6)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=20), st.integers(1, 50))
@settings(deadline=None)
def test_whatever_the_csv_module_writes_is_read_back(rows, piece):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "a"])
    lines = []
    for n, row in enumerate(rows):
        lines.append(out.getvalue().count("\n") + 1)
        writer.writerow([f"{n}{row[0]}", row[1]])
    data = out.getvalue().encode()
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    found = list(csv_records(numbered_lines(pieces), Reading(Columns())))
    assert [None] * len(rows) == [record.trouble for record in found]
    assert lines == [record.line for record in found]
    assert [{"id": f"{n}{row[0]}", "a": unmarked(row[1])} for n, row in enumerate(rows)] == [
        record.row and json.loads(record.row.attributes) for record in found
    ]


@given(st.lists(st.text('a",;\n\r', max_size=12), max_size=8))
def test_no_line_is_read_twice_or_lost(texts):
    """Whatever the quotation marks do: each record and each trouble starts at a line of its own, in order."""
    numbered = enumerate("\n".join(["x,y", *texts, "1,2"]).split("\n"), 1)
    found = [
        record.line for record in csv_records((Line(n, text) for n, text in numbered), Reading(Columns()))
    ]
    assert sorted(set(found)) == found


class NoDatabase:
    """Gives sessions that nothing is done with."""

    @contextmanager
    def begin(self):
        yield None


def test_memory_does_not_grow_with_the_file(monkeypatch):
    """Measured without a database, whose driver has memory of its own."""
    monkeypatch.setattr(importing, "store", lambda *_: Counts(0, 0, 0))

    def peak(lines):
        def chunks():
            yield b"id,name\n"
            for start in range(0, lines, 1000):
                yield b"".join(b"%d,Ada Lovelace %d\n" % (n, n) for n in range(start, start + 1000))

        tracemalloc.start()
        import_entities(NoDatabase().begin, uuid4(), "contact", chunks(), content_type=CSV, external_id="id")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1_000)  # what is imported and cached at the first call is not of the file
    small, large = peak(20_000), peak(200_000)
    assert large < small * 1.5, "ten times the lines"
    assert large < 4_000_000


def sample(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in shared/data beside the repository")
    return path


def import_sample(database, org_id, name, **options):
    with sample(name).open("rb") as file:
        chunks = iter(lambda: file.read(65_536), b"")
        return import_entities(database.begin, org_id, "contact", chunks, content_type=CSV, **options)


def test_ten_thousand_customers(database, org_id, clock):
    options = {"external_id": "Customer Id", "title": "{First Name} {Last Name}"}
    assert (10_000, 0, 0, 0) == counts(import_sample(database, org_id, "customers-10000.csv", **options))
    assert (0, 0, 10_000, 0) == counts(import_sample(database, org_id, "customers-10000.csv", **options))
    with sample("customers-10000.csv").open(newline="", encoding="utf-8") as file:
        wanted = sum(row["Subscription Date"].endswith(("-2021", "-2022")) for row in csv.DictReader(file))
    assert wanted == audience_of(database, org_id, clock, ("Subscription Date", "GREATER_THAN", "31-12-2020"))


def test_the_bank_s_audiences(database, org_id, clock):
    result = import_sample(database, org_id, "bank-full.csv")
    assert (45_211, 0, 0, 0) == counts(result)
    retired = ("job", "EQUALS", "retired"), ("balance", "GREATER_THAN", "1000")
    assert 1_010 == audience_of(database, org_id, clock, *retired)
    assert 5_289 == audience_of(database, org_id, clock, ("y", "EQUALS", "yes"))


def audience_of(database, org_id, clock, *conditions):
    items = [{"key": key, "operator": operator, "value": value} for key, operator, value in conditions]
    filters = {"filter": {"items": items, "combination": "AND"}}
    with database.begin() as session:
        given = read(TargetInput, {"name": "T", "entity_schema": "contact", "entity_filters": filters})
        return count(session, org_id, create_target(session, org_id, given), clock.now())


def test_columns_are_renamed_left_out_and_a_value_is_added_to_each(database, org_id):
    text = "Nr;E-Mail;Rest\n1;ada@example.com;x\n"
    done = load(
        database,
        org_id,
        text,
        external_id="number",
        renamed={"Nr": "number", "E-Mail": "email", "Rest": ""},
        added={"list": "spring"},
    )
    assert counts(done) == (1, 0, 0, 0)
    assert notes(done) == []
    assert stored(database, org_id)["1"][1] == {"email": "ada@example.com", "list": "spring", "number": "1"}
    with pytest.raises(Invalid, match=r"renamed: names the column 'E-Mial', which is not there"):
        load(database, org_id, text, renamed={"E-Mial": "email"})
    with pytest.raises(Invalid, match="is not for NDJSON"):
        load(database, org_id, "{}", content_type=NDJSON, renamed={"a": "b"})
    load(database, org_id, '{"external_id": "2"}', content_type=NDJSON, added={"list": "spring"})
    assert stored(database, org_id)["2"][1] == {"list": "spring"}
