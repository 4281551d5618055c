"""Entities one by one and by file: constant memory, good lines survive bad ones, of one organization."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import uuid4

import pytest

from engine.api import bodies
from tests.audience.test_import_forms import PEOPLE, workbook

CSV = {"content-type": "text/csv"}
NDJSON = {"content-type": "application/x-ndjson"}
IMPORT = "/v1/entity/contact:import"


def test_an_entity_is_made_replaced_changed_and_gone(client):
    made = client.post(
        "/v1/entity/contact", json={"external_id": "7", "title": "Ada", "email": "a@x.example"}
    )
    assert made.status_code == 201
    path = f"/v1/entity/contact/{made.json()['_id']}"
    again = client.post("/v1/entity/contact", json={"external_id": "7", "title": "Ada L", "plan": 2})
    assert again.status_code == 200
    assert again.json()["_id"] == made.json()["_id"]
    assert "email" not in again.json()
    changed = client.patch(path, json={"email": "b@x.example"}).json()
    assert (changed["email"], changed["plan"], changed["_title"]) == ("b@x.example", 2, "Ada L")
    assert client.get(path).json() == changed
    assert client.get("/v1/entity/contact?q=ada").json()["results"] == [changed]
    assert client.get("/v1/entity/contract").json()["total"] == 0
    assert client.get(f"/v1/entity/contract/{made.json()['_id']}").status_code == 404
    assert client.delete(path).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        assert client.request(method, path, json={}).status_code == 404


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("[]", "body"), ('"x"', "body"), ("1", "body"), ("{", "JSON"), ("", "body"),
        ('{"_id": "x"}', "_id"), ('{"title": 1}', "title"), ('{"external_id": {}}', "external_id"),
        ('{"a": {"b": "\\u0000"}}', "a.b"), ('{"a": NaN}', "a"), ('{"a": 99999999999999999999}', "a"),
    ],
)  # fmt: skip
def test_a_bad_entity_is_400_and_kept_nowhere(client, body, names):
    answer = client.post("/v1/entity/contact", content=body)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["message"]
    assert names in answer.json()["message"]
    assert client.get("/v1/entity/contact").json()["total"] == 0


@pytest.mark.parametrize("schema", ["1st", "a" * 65, "a b", "ä"])
def test_a_schema_has_a_name(client, schema):
    answer = client.post(f"/v1/entity/{schema}", json={})
    assert answer.status_code == 400
    assert "schema" in answer.json()["message"]


def test_another_organizations_entity_is_neither_seen_nor_taken(client, stranger):
    made = client.post("/v1/entity/contact", json={"external_id": "7", "title": "Ada"}).json()
    path = f"/v1/entity/contact/{made['_id']}"
    for method in ("GET", "PATCH", "DELETE"):
        assert stranger.request(method, path, json={"title": "mine"}).status_code == 404
    taken = stranger.post("/v1/entity/contact", json={"_id": made["_id"], "title": "mine"})
    assert taken.status_code == 400
    assert "_id" in taken.json()["message"]
    assert stranger.post("/v1/entity/contact", json={"external_id": "7"}).status_code == 201
    assert stranger.get("/v1/entity/contact?q=ada").json()["total"] == 0
    assert client.get(path).json() == made


def test_a_csv_is_imported_line_by_line(client):
    text = "id,First Name,email\n1,Ada,a@x.example\n2,Bo,b@x.example,extra\n3,Cy,c@x.example\n"
    params = {"external_id": "id", "title": "{First Name}"}
    answer = client.post(IMPORT, params=params, content=text, headers=CSV)
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["created"], result["updated"], result["skipped"], result["rejected"]) == (2, 0, 0, 1)
    assert [error["line"] for error in result["errors"]] == [3]
    assert client.get("/v1/entity/contact?q=Ada").json()["results"][0]["external_id"] == "1"
    repeated = client.post(IMPORT, params=params, content=text.replace("c@", "z@"), headers=CSV).json()
    assert (repeated["created"], repeated["updated"], repeated["skipped"]) == (0, 1, 1)


def test_an_import_keeps_what_it_does_not_name_unless_it_is_to_replace(client):
    client.post(IMPORT, params={"external_id": "id"}, content="id,email\n1,a@x.example\n", headers=CSV)
    params = {"external_id": "id", "mode": "merge"}
    client.post(IMPORT, params=params, content="id,points\n1,5\n", headers=CSV)
    found = client.get("/v1/entity/contact").json()["results"][0]
    assert (found["email"], found["points"]) == ("a@x.example", "5")
    params["mode"] = "replace"
    client.post(IMPORT, params=params, content="id,points\n1,6\n", headers=CSV)
    found = client.get("/v1/entity/contact").json()["results"][0]
    assert ("email" in found, found["points"]) == (False, "6")


def test_a_workbook_is_imported_and_remarks_are_told(client):
    headers = {"content-type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
    data = workbook(PEOPLE, others=["Archive"])
    answer = client.post(IMPORT, params={"external_id": "id"}, content=data, headers=headers).json()
    assert (answer["created"], [error["line"] for error in answer["errors"]]) == (2, [7])
    assert answer["notes"][0] == {"line": 3, "message": "of 2 sheets only 'People' is read"}
    refused = client.post(IMPORT, content=b"id\n1\n", headers=headers)
    assert (refused.status_code, "workbook" in refused.json()["message"]) == (400, True)


def test_a_delimiter_may_be_said(client):
    params = {"external_id": "a", "delimiter": "pipe"}
    client.post(IMPORT, params=params, content="a|b,c\n1|2,3\n", headers=CSV)
    assert client.get("/v1/entity/contact").json()["results"][0]["b,c"] == "2,3"
    answer = client.post(IMPORT, params={"delimiter": "--"}, content="a\n1\n", headers=CSV)
    assert (answer.status_code, "delimiter" in answer.json()["message"]) == (400, True)


def test_people_are_known_by_a_column_and_numbers_are_read_as_it_is_said(client):
    text = "email;balance\nAda@x.example;1.234,50\n"
    params = {"key": "email", "decimal_comma": ["balance"]}
    assert client.post(IMPORT, params=params, content=text, headers=CSV).json()["created"] == 1
    again = client.post(IMPORT, params=params, content=text.lower().replace("4,5", "5,5"), headers=CSV).json()
    assert (again["created"], again["updated"], again["notes"]) == (0, 1, [])
    assert client.get("/v1/entity/contact").json()["results"][0]["balance"] == "1235.50"
    for bad in ({"key": "email", "external_id": "email"}, {"decimal_point": ["x"]}):
        assert client.post(IMPORT, params=bad, content=text, headers=CSV).status_code == 400


def test_ndjson_is_imported_and_the_colon_may_be_encoded(client):
    text = '{"external_id": "1", "title": "Ada"}\n{"external_id": \n{"external_id": "2"}\n'
    answer = client.post("/v1/entity/contact%3Aimport", content=text, headers=NDJSON)
    assert (answer.json()["created"], answer.json()["rejected"]) == (2, 1)


@pytest.mark.parametrize(
    ("params", "content", "headers", "names"),
    [
        ({}, "a,b\n", {"content-type": "application/pdf"}, "content_type"),
        ({}, "a,b\n", {}, "content_type"),
        ({"external_id": "nope"}, "a,b\n1,2\n", CSV, "nope"),
        ({}, b"PK\x03\x04rest", CSV, "workbook"),
        ({}, "a,b\n1,2\n".encode("utf-16"), CSV, "UTF-16"),
        ({"title": "a\0"}, "a\n1\n", CSV, "title"),
        ({"mode": "overwrite"}, "a\n1\n", CSV, "mode"),
    ],
)
def test_a_file_that_cannot_be_used_is_400_and_nothing_is_written(client, params, content, headers, names):
    answer = client.post(IMPORT, params=params, content=content, headers=headers)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["message"]
    assert names in answer.json()["message"]
    assert client.get("/v1/entity/contact").json()["total"] == 0


def rows(count, start=0):
    for number in range(start, start + count):
        yield f"{number},Person {number},p{number}@x.example\n".encode()


def file(count):
    yield b"id,name,email\n"
    yield from rows(count)


def test_a_file_larger_than_any_other_body_is_imported_in_constant_memory(api, client):
    """24 MB, three times what a JSON body may have; what is held at once is a batch."""
    wide = b"x" * 2_000

    def chunks():
        yield b"id,text\n"
        for number in range(12_000):
            yield b"%d,%s\n" % (number, wide)

    tracemalloc.start()
    try:
        answer = client.post(IMPORT, params={"external_id": "id"}, content=chunks(), headers=CSV)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 200, answer.text
    assert answer.json()["created"] == 12_000
    assert 12_000 * len(wide) > 2 * bodies.LONG_BODY
    assert peak < 20_000_000, f"{peak / 1e6:.0f} MB"


def test_an_import_with_a_key_is_replayed_for_the_same_file_only(client):
    headers = {**CSV, "idempotency-key": "import"}
    params = {"external_id": "id"}
    first = client.post(IMPORT, params=params, content=file(10), headers=headers)
    assert first.json()["created"] == 10
    again = client.post(IMPORT, params=params, content=file(10), headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = client.post(IMPORT, params=params, content=file(11), headers=headers)
    assert other.status_code == 409
    assert client.get("/v1/entity/contact").json()["total"] == 10


def test_imports_do_not_hold_up_the_others(api, client):
    """A sender that stops half-way keeps its own place and nobody else's; closing it ends its import."""
    started, go_on = Event(), Event()

    def slowly():
        yield b"id,name,email\n"
        yield from rows(10)
        started.set()
        go_on.wait(30)
        yield from rows(1, start=10)

    def send():
        with api.client() as other:
            return other.post(IMPORT, params={"external_id": "id"}, content=slowly(), headers=CSV)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        assert started.wait(30)
        for _ in range(20):
            assert client.get("/v1/entity/contact").status_code == 200
        assert client.post("/v1/entity/contact", json={"title": str(uuid4())}).status_code == 201
        go_on.set()
        assert sending.result(30).json()["created"] == 11
