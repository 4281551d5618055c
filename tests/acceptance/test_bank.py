"""bank-full.csv planned and delivered, on both databases: over the `null` channel the counts are those of the file; and
with addresses of every kind, what `:plan` told before is what the delivery then records, exactly.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import func, select

from state.tables import Recipient
from tests.acceptance.client import Client, signed_in
from tests.acceptance.embedded import Dev
from tests.acceptance.samples import bank
from tests.harness.account import account
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from state.database import Database

pytestmark = pytest.mark.slow

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
        told = client.ask("POST", f"/v1/campaign/{campaign}:plan")
        assert (planned, planned, []) == (told["recipients"], told["written_to"], told["excluded"])
        assert (planned, 0) == (told["channels"][0]["messages"], told["repeated_messages"])
        client.change_status(campaign, "active")
        counts = client.finish(campaign)["execution_counts"]
        assert {name: count for name, count in counts.items() if count} == {"success": planned}
        account(database, campaign_id=UUID(campaign), expected=planned).assert_whole()


def with_addresses() -> tuple[bytes, list[str]]:
    """The file with addresses, zones and a divisor, and which addresses are to be suppressed: of each kind there are
    many, and people of several kinds at once.
    """
    written, suppressed = io.StringIO(), []
    out = csv.writer(written)
    head, *rows = csv.reader(io.StringIO(bank().decode()))
    out.writerow([*head, "email", "time_zone", "divisor"])
    for number, row in enumerate(rows):
        email = f"c{number}@d{number % 40}.example"
        if number % 10 == 0:
            spelled = f"shared{number % 700}@example.com"
            email = f" {spelled.upper()} " if number % 20 else spelled
        elif number % 13 == 0:
            email = ""
        elif number % 17 == 0:
            email = "no address"
        if (number % 19 == 0 and number % 10 and "@" in email) or number == 190:
            suppressed.append(email.upper())
        zone = "Pacific/Auckland" if number % 11 else "" if number % 2 else "Atlantis/City"
        # Which of those who share an address is claimed first is a race: all of them can be rendered, or none.
        person = number if number % 10 else number % 700
        out.writerow([*row, email, zone, 0 if person % 29 == 0 else 1])
    return written.getvalue().encode(), suppressed


def recorded(database: Database, campaign: str) -> Counter[str]:
    """Recipients by error code; `sent` for those who were written to."""
    with database.read() as session:
        code = func.coalesce(Recipient.error_code, Recipient.automation_status)
        found = session.execute(
            select(code, func.count()).where(Recipient.campaign_id == UUID(campaign)).group_by(code)
        )
        return Counter({"sent" if what == "success" else what: count for what, count in found})


def check_plan(client: Client, database: Database) -> None:
    """Of two campaigns for the same people one has quiet hours, of now by the organization's clock: they hold those
    alone of whom nothing tells the zone, because the others live half a day ahead.
    """
    text, suppressed = with_addresses()
    assert client.import_csv("customer", text)["created"] == CLIENTS
    barred = "medium,address,reason\n" + "".join(f"email,{one},unsubscribe\n" for one in suppressed)
    client.ask("POST", "/v1/suppression:import", content=barred, headers={"content-type": "text/csv"})
    settings = {"address": "email", "medium": "email"}
    channel = client.make("channel", name="mail", kind="file", settings=settings)
    target = client.target("customer", *SUBSCRIBED)
    campaign, held = (
        client.campaign(target, channel, text="{{ 1 | divided_by: divisor }}") for _ in range(2)
    )
    client.ask("PATCH", f"/v1/campaign/{held}", json={"limits": night()})

    told = client.ask("POST", f"/v1/campaign/{campaign}:plan")
    excluded = {one["code"]: one["count"] for one in told["excluded"]}
    assert {"NO_ADDRESS", "SUPPRESSED", "TEMPLATE_ERROR", "DUPLICATE_ADDRESS"} <= excluded.keys()
    assert 5_289 == told["recipients"] == told["looked_at"] == told["written_to"] + sum(excluded.values())
    client.change_status(campaign, "active")
    client.finish(campaign)
    assert Counter({"sent": told["written_to"], **excluded}) == recorded(database, campaign)
    assert told["written_to"] == told["channels"][0]["messages"]

    without_zone = client.ask("POST", f"/v1/campaign/{held}:plan")["without_zone"]
    assert without_zone == told["without_zone"] > 0
    client.change_status(held, "active")
    wait_until(
        lambda: (
            recorded(database, held).total() == told["recipients"]
            and not {"pending", "in_progress"} & recorded(database, held).keys()
        ),
        "everybody but those who sleep has an outcome",
        deadline=120,
    )
    assert without_zone == recorded(database, held)["QUIET_HOURS"]


def night() -> dict[str, object]:
    """Quiet hours from two hours ago to two hours from now, by the clock of UTC."""
    now = datetime.now(UTC)
    first, last = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (-2, 2))
    return {"quiet_hours": [{"from": first, "to": last}]}


@pytest.mark.services
def test_what_is_planned_is_what_is_recorded_on_postgresql(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=1, api=True, smtp=False) as stack, signed_in(stack) as client:
        check_plan(client, stack.database)


def test_what_is_planned_is_what_is_recorded_on_sqlite(tmp_path: Path) -> None:
    with Dev(tmp_path) as dev:
        check_plan(dev.client, dev.database)


@pytest.mark.services
def test_on_postgresql(tmp_path: Path) -> None:
    with Stack(tmp_path, workers=1, api=True, smtp=False) as stack, signed_in(stack) as client:
        check(client, stack.database)


def test_on_sqlite(tmp_path: Path) -> None:
    with Dev(tmp_path) as dev:
        check(dev.client, dev.database)
