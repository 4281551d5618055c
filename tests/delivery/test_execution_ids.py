"""The ids of executions: a hash, so that no statement that writes many rows draws anything."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from engine.campaigns import lifecycle
from engine.delivery.address_claims import _AddressStatements
from engine.delivery.earlier_attempts import _AttemptStatements
from engine.delivery.lease_statements import (
    RecipientStatements,
    SequenceStatements,
    complete_and_claim_statement,
)
from engine.delivery.slice_statements import SliceStatements
from state.dialects import PostgreSQL, SQLite
from state.execution_ids import execution_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.delivery.kit import Bench

#: What PostgreSQL calls VOLATILE, and a distributed one refuses in an UPDATE; SQLite's of the kind.
VOLATILE = re.compile(
    r"\b(gen_random_uuid|random|randomblob|uuid_generate_v\w+|clock_timestamp|timeofday|nextval)\s*\(",
    re.IGNORECASE,
)


def prepared(*, on_postgresql: bool) -> Iterator[tuple[str, Any]]:
    """Every statement that carries load, by name."""
    for kind in (
        RecipientStatements,
        SequenceStatements,
        SliceStatements,
        _AddressStatements,
        _AttemptStatements,
    ):
        for name, value in vars(kind(PostgreSQL() if on_postgresql else SQLite())).items():
            named = value.items() if isinstance(value, dict) else [("", value)]
            for which, statement in named:
                if hasattr(statement, "compile"):
                    yield f"{kind.__name__}.{name} {which}", statement
    if on_postgresql:
        for flags in product((True, False), repeat=2):
            statement = complete_and_claim_statement(completes_range=flags[0], claims_range=flags[1])
            yield f"complete_and_claim {flags}", statement


@pytest.mark.parametrize("on_postgresql", [True, False], ids=["postgresql", "sqlite"])
def test_no_statement_that_carries_load_calls_a_volatile_function(*, on_postgresql: bool) -> None:
    dialect = (postgresql if on_postgresql else sqlite).dialect()
    found = dict(prepared(on_postgresql=on_postgresql))
    assert len(found) > 30
    texts = {name: str(statement.compile(dialect=dialect)) for name, statement in found.items()}
    assert {} == {name: text for name, text in texts.items() if VOLATILE.search(text)}


def test_no_update_of_a_campaign_calls_one(bench: Bench) -> None:
    """Whatever else is updated on the way of a campaign that is stopped and started again."""
    updates: list[str] = []

    def note(*given: Any) -> None:
        if "UPDATE" in given[2]:
            updates.append(given[2])

    event.listen(bench.database.engine, "before_cursor_execute", note)
    try:
        bench.entities(12)
        campaign = bench.campaign()
        bench.activate(campaign)
        bench.work(most=2)
        with bench.runtime.transaction() as session:
            lifecycle.deactivate(session, bench.org_id, campaign)
        bench.work()
        bench.activate(campaign)
        bench.run_out()
    finally:
        event.remove(bench.database.engine, "before_cursor_execute", note)
    assert updates
    assert [] == [text for text in updates if VOLATILE.search(text)]


def test_an_execution_has_the_same_id_whoever_computes_it_and_another_one_another(bench: Bench) -> None:
    people = bench.entities(3)
    campaign = bench.campaign()
    with bench.runtime.transaction() as session:
        job = lifecycle.activate(session, bench.org_id, campaign, window=1)
        assert job is not None
    bench.work()
    first = {key: row.execution_id for key, row in bench.recipients().items()}
    assert {8} == {key.version for key in first.values() if key is not None}
    assert 3 == len(set(first.values()))
    if bench.database.dialect.name != "postgresql":
        assert str(first[people[0]]).replace("-", "") == execution_id(job.id.hex, 0, people[0].hex)
