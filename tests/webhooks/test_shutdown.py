"""Live streams end with the process that serves them, which does not wait for its listeners."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from actors.cli.server import ApiService
from engine.authentication.api_keys import create_key
from tests.harness.waiting import patience

if TYPE_CHECKING:
    from tests.webhooks.desk import Desk

pytestmark = pytest.mark.slow


def test_the_api_stops_while_somebody_listens(desk: Desk) -> None:
    with desk.changing() as session:
        key = create_key(session, desk.org_id, "listener", "viewer")[1]
    service = ApiService(desk.runtime, host="127.0.0.1", port=0)
    service.start()
    headers = {"authorization": f"Bearer {key}"}
    with (
        httpx.Client(base_url=service.url, headers=headers, timeout=patience(60)) as client,
        client.stream("GET", "/v1/events:stream") as stream,
    ):
        lines = stream.iter_lines()
        assert "retry: 2000" == next(lines)
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < desk.settings.shutdown_grace.total_seconds() / 2
        assert [] == [line for line in lines if line and not line.startswith(":")]
