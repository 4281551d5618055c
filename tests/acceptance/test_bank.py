"""bank-full.csv planned and delivered over the `null` channel, on both databases: the counts are those of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.acceptance.client import Client, signed_in
from tests.acceptance.embedded import Dev
from tests.acceptance.samples import bank
from tests.harness.account import account
from tests.harness.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from state.database import Database

CLIENTS = 45_211
RETIRED = (
    {"key": "job", "operator": "EQUALS", "value": "retired"},
    {"key": "balance", "operator": "GREATER_THAN", "value": "1000"},
)
SUBSCRIBED = ({"key": "y", "operator": "EQUALS", "value": "yes"},)


def check(client: Client, database: Database) -> None:
    imported = client.import_csv("client", bank())
    assert (imported["created"], imported["errors"]) == (CLIENTS, [])
    channel = client.make("channel", name="nowhere", kind="null")
    for items, planned in ((RETIRED, 1_010), (SUBSCRIBED, 5_289)):
        target = client.target("client", *items)
        campaign = client.campaign(target, channel, text="{{ job }}, {{ balance }}")
        client.change_status(campaign, "active")
        counts = client.finish(campaign)["execution_counts"]
        assert {name: count for name, count in counts.items() if count} == {"success": planned}
        account(database, campaign_id=UUID(campaign), expected=planned).assert_whole()


@pytest.mark.services
def test_on_postgresql(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=1, api=True, smtp=False) as stack, signed_in(stack) as client:
        check(client, stack.database)


def test_on_sqlite(tmp_path: Path) -> None:
    with Dev(tmp_path) as dev:
        check(dev.client, dev.database)
