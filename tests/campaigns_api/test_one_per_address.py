"""One message per address, in every dialect: on unless it is said otherwise, shown, and changed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import select

from state.tables import Campaign, DryRun, Recipient, RecipientAddress

if TYPE_CHECKING:
    import httpx

    from tests.campaigns_api.desk import Desk


def statuses(desk: Desk) -> Counter[str | None]:
    with desk.database.read() as session:
        rows = session.execute(select(Recipient.automation_status, Recipient.error_code)).all()
    return Counter(row.error_code or row.automation_status for row in rows)


@pytest.mark.parametrize("said", [{}, {"onePerAddress": False}])
def test_those_who_share_an_address(desk: Desk, said: dict[str, Any]) -> None:
    desk.furnish()
    desk.people(3, email="ada@example.com")
    desk.people(2)
    campaign = desk.plain(messages=[{"templateId": "tmpl456"}], **said)
    shown = desk.ask("GET", f"/{campaign}")
    assert shown["onePerAddress"] is (not said)
    desk.ask("PUT", f"/{campaign}", json=shown)
    assert desk.ask("GET", f"/{campaign}")["onePerAddress"] is (not said)
    desk.ask("POST", f"/{campaign}/execute", json={})
    desk.work()
    wanted = Counter(success=5) if said else Counter(success=3, DUPLICATE_ADDRESS=2)
    assert wanted == statuses(desk)


def test_a_dry_run_counts_them_and_forgets_their_addresses(desk: Desk) -> None:
    desk.furnish()
    desk.people(4, email="ada@example.com")
    desk.people(2)
    campaign = desk.plain(messages=[{"templateId": "tmpl456"}])
    desk.ask("POST", f"/{campaign}/execute", json={"testMode": True})
    desk.work()
    with desk.database.read() as session:
        run = session.scalars(select(DryRun)).one()
        assert (6, 3) == (run.total, run.successful)
        assert 3 == run.findings["DUPLICATE_ADDRESS"]["count"]
        assert not session.scalars(select(RecipientAddress)).all()


@pytest.mark.parametrize("base", ["/v1/campaign", "/channel-service/v1/campaign"])
def test_other_dialects_say_it_too(desk: Desk, client: httpx.Client, base: str) -> None:
    client.headers["x-api-key"] = desk.api.keys["admin"]

    def send(method: str, path: str, **body: Any) -> Any:
        answer = client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def kept(key: str) -> bool:
        with desk.database.read() as session:
            return session.scalars(select(Campaign.one_per_address).where(Campaign.id == UUID(key))).one()

    plain = send("POST", base, name="a")
    off = send("POST", base, name="b", one_per_address=False)
    assert (True, False) == (kept(plain["_id"]), kept(off["_id"]))
    assert client.get(f"{base}/{off['_id']}").json()["one_per_address"] is False
    change = "PATCH" if base.startswith("/v1") else "PUT"
    send(change, f"{base}/{off['_id']}", one_per_address=True)
    send(change, f"{base}/{plain['_id']}", name="c")
    assert (True, True) == (kept(plain["_id"]), kept(off["_id"]))
    refused = client.post(base, json={"name": "d", "one_per_address": "sometimes"})
    assert 400 <= refused.status_code < 500
    assert "one_per_address" in refused.text
