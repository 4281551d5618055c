"""What a connection may ask of the server: heads without end, heads that never end, too many at once; and bodies of
more values, or of more bytes, than their route takes.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from engine.api import bodies
from engine.api.connections import HEAD_BYTES, LimitedConnection
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from tests.api.conftest import Api

GET = b"GET /health/live HTTP/1.1\r\nhost: x\r\n"


def connected(api: Api) -> socket.socket:
    address = urlsplit(api.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def answered(connection: socket.socket) -> bytes:
    """All that arrives until the server ends the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def send_all(connection: socket.socket, *parts: bytes) -> None:
    """Whatever of it the server still takes."""
    try:
        for part in parts:
            connection.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        pass


@pytest.mark.parametrize(
    "head",
    [
        [GET + b"x: " + b"a" * HEAD_BYTES + b"\r\n\r\n"],
        [GET + b"x: ", *[b"a" * 4096] * 400],
        [GET, *[b"x: " + b"a" * 100 + b"\r\n"] * 4000],
        [b"GET /" + b"a" * 2 * HEAD_BYTES + b" HTTP/1.1\r\n\r\n"],
        [GET + b"\r\n" + GET + b"x: ", *[b"a" * 65536] * 40],
    ],
    ids=["one field", "a field without end", "fields without end", "a path", "a second request"],
)
def test_a_head_that_is_too_long_is_refused_and_the_connection_ends(api, head):
    with connected(api) as connection:
        send_all(connection, *head)
        assert b"431" in answered(connection)
    with api.client() as client:
        assert client.get("/health/live").is_success


def test_heads_within_the_limit_are_served_one_after_the_other_and_in_pieces(api):
    with connected(api) as connection:
        long = GET + b"x: " + b"a" * (HEAD_BYTES - 500) + b"\r\n\r\n"
        for piece in (long[:1000], long[1000:], GET, b"\r\n" + GET, b"\r\n"):
            connection.sendall(piece)
        connection.sendall(GET + b"connection: close\r\n\r\n")
        assert answered(connection).count(b"200 OK") == 4


@pytest.mark.parametrize("begun", [b"", b"GET / HT", GET], ids=["nothing", "half a line", "half a head"])
def test_a_head_that_never_ends_is_given_up(api, monkeypatch, begun):
    monkeypatch.setattr(LimitedConnection, "head_seconds", 0.05)
    with connected(api) as connection:
        connection.sendall(begun)
        assert b"408" in answered(connection)


def test_beyond_the_number_of_connections_a_new_one_is_closed(api, monkeypatch):
    monkeypatch.setattr(LimitedConnection, "most", 2)
    with connected(api) as one, connected(api) as two, connected(api) as three:
        assert answered(three) == b""
        for connection in (one, two):
            connection.sendall(GET + b"connection: close\r\n\r\n")
            assert b"200 OK" in answered(connection)

    def served() -> bool:
        with connected(api) as connection:
            send_all(connection, GET + b"connection: close\r\n\r\n")
            return b"200 OK" in answered(connection)

    wait_until(served, "there is room again")


def test_a_body_of_too_many_values_is_refused(api):
    hostile = (
        b'{"attributes": {"a": [' + b"1," * 400_000 + b"1]}}",
        b'{"attributes": ' + b"[" * bodies.USUAL_VALUES * 2,
        b'{"attributes": {' + b'"a":{' * bodies.USUAL_VALUES * 2,
    )
    with api.client() as client:
        for path in ("/v1/entity/contact", "/v1/target", "/v1/campaign", "/v1/flow"):
            for body in hostile:
                answer = client.post(path, content=body)
                assert answer.status_code == 413, path
                assert "values" in answer.json()["message"]
        answer = client.post("/api/v1/campaigns", content=hostile[0])
        assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_a_body_of_too_many_template_marks_is_refused_however_they_are_written(api):
    many = bodies.TEMPLATE_MARKS + 1
    with api.client("viewer") as client:
        for mark in ("{{a}}", "{%a%}", "\\u007b\\u007ba}}", "{\\u007Ba}}"):
            body = '{"name": "t", "type": "message", "message": "' + mark * many + '"}'
            answer = client.post("/channel-service/v1/touchpoints/_validate", content=body)
            assert answer.status_code == 413, mark
            assert "outputs and tags" in answer.json()["message"]


def test_a_body_is_as_long_as_its_route_needs(api):
    long = json.dumps({"name": "t", "subject": "s", "html": "<p>" + "a" * bodies.USUAL_BODY + "</p>"})
    with api.client() as client:
        assert client.post("/v1/target", content=long).status_code == 413
        assert client.post("/v1/template", content=long).status_code != 413


def test_a_long_body_is_read_like_a_short_one(api):
    name = "b" * 2 * 65536
    with api.client() as client:
        for text in ('{"name": "' + name + '"}', '{"name": "' + name):
            answer = client.post("/v1/target", content=text)
            assert answer.status_code == 400
            assert ("name" if text.endswith("}") else "JSON") in answer.json()["message"]
