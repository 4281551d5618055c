"""`muster demo`: from a file of contacts to the last message, twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from state.tables import Campaign, Channel, Entity, Flow, Organization, Recipient, Target, Template

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster

pytestmark = pytest.mark.slow


def _counts(muster: Muster) -> dict[str, int]:
    database = muster.database()
    with database.read() as session:
        counted = {
            table.__tablename__: session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Organization, Channel, Entity, Target, Template, Flow, Campaign, Recipient)
        }
    database.close()
    return counted


def test_it_delivers_and_a_second_run_doubles_nobody(muster: Muster) -> None:
    first = muster.ok("demo", "--contacts", "700")
    assert "700 created" in first.out
    assert "finished" in first.out
    assert "success" in first.out
    assert "recipients/s" in first.out
    assert "Subject: " in first.out
    before = _counts(muster)
    assert before["entity"] == 700

    second = muster.ok("demo", "--contacts", "700")
    assert "0 created, 0 updated, 700 unchanged" in second.out
    after = _counts(muster)
    assert after == before | {"campaign": 2, "recipient": 2 * before["recipient"]}

    outbox = sorted((muster.data / "outbox").glob("*.jsonl"))
    assert len(outbox) == 2
    for file in outbox:
        messages = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        assert len({message["entity_id"] for message in messages}) == len(messages) == before["recipient"]


def test_it_looks_at_no_server_that_the_environment_names(muster: Muster) -> None:
    muster.set(database_url="postgresql+psycopg://nobody@127.0.0.1:1/x", redis_url="redis://127.0.0.1:1/0")
    muster.ok("demo", "--contacts", "20")
    assert (muster.data / "muster.db").exists()


def test_everything_lies_in_the_folder_that_was_named(muster: Muster, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    muster.ok("demo", "--contacts", "20", "--data", folder)
    assert {path.name for path in folder.iterdir()} >= {"contacts.csv", "muster.db", "outbox"}
    assert not muster.data.exists()


def test_what_it_says_to_do_next_works(muster: Muster) -> None:
    muster.ok("demo", "--contacts", "20")
    (campaign,) = muster.ok("campaign", "list", "--json").json["results"]
    assert campaign["status"] == "completed"
    assert campaign["processed"] == campaign["total"] > 0
    muster.ok("recipients", campaign["id"])
