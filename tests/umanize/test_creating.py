"""Creating a customer and enrolling them: once, however many ask and however they write it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from state.tables import Entity, Organization, Recipient, TargetKey

if TYPE_CHECKING:
    from tests.umanize.desk import TargetDesk

#: Customers whom all clients want to create.
MANY = 1_000 if os.environ.get("MUSTER_SCALE") == "full" else 60
CLIENTS = 8


def written(index: int, client: int) -> dict[str, Any]:
    """One customer as one of the clients writes it: the address in its own case, the number in its own way."""
    email = f"ada.lovelace.{index}@example.com"
    email = "".join(c.upper() if (place + client) % 3 == 0 else c for place, c in enumerate(email))
    local = f"{index:07d}"
    phones = (
        f"+4930{local}", f"0049 30 {local}", f"030/{local}", f"(030) {local[:3]}-{local[3:]}",
        f"+49 (0)30 {local}", f"030 {local[:4]} {local[4:]}", f"+49-30-{local}", f"030{local}",
    )  # fmt: skip
    return {
        "customer_id": f"crm-{client}-{index}",
        "name": f"Ada {index}",
        "email": email,
        "phone": phones[client],
    }


def test_eight_clients_create_the_same_customers_once(desk: TargetDesk) -> None:
    desk.told("PATCH", "/v1/organization", json={"region": "DE"})
    campaign = desk.campaign()
    start = Barrier(CLIENTS)

    def work(client: int) -> list[dict[str, Any]]:
        results = []
        with desk.api.client("operator") as http:
            start.wait(30)
            for index in range(MANY):
                answer = http.post(
                    f"/campaigns/{campaign}/targets:create-customer", json=written(index, client)
                )
                assert answer.status_code == 200, answer.text
                results.append(answer.json())
        return results

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [one for results in pool.map(work, range(CLIENTS)) for one in results]
    created = [one for one in answers if one["created"]]
    skipped = [one for one in answers if one["skipped"]]
    assert len(created) == MANY
    assert len(skipped) == MANY * (CLIENTS - 1)
    assert all("has the email" in one["reason"] for one in skipped)
    assert all("reason" not in one for one in created)
    with desk.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Recipient)) == MANY
        assert session.scalar(select(func.count()).select_from(Entity)) == MANY
        assert session.scalar(select(func.count()).select_from(TargetKey)) == 2 * MANY
        assert set(session.scalars(select(TargetKey.holders))) == {1}


@pytest.mark.parametrize("way", range(1, CLIENTS))
def test_a_number_is_the_same_however_it_is_written(desk: TargetDesk, way: int) -> None:
    desk.told("PATCH", "/v1/organization", json={"region": "DE"})
    campaign = desk.campaign()
    assert desk.create_one(campaign, phone=written(7, 0)["phone"])["created"]
    again = desk.create_one(campaign, phone=written(7, way)["phone"])
    assert again == {"created": False, "skipped": True, "reason": again["reason"]}
    assert "+49300000007" in again["reason"]


def test_without_a_region_digits_decide(desk: TargetDesk) -> None:
    with desk.database.read() as session:
        assert session.get_one(Organization, desk.org_id).region is None
    campaign = desk.campaign()
    assert desk.create_one(campaign, phone="0555 0100 77")["created"]
    assert desk.create_one(campaign, phone="0555-0100-77")["skipped"]
    assert desk.create_one(campaign, phone="0555-0100-78")["created"]


def test_a_skipped_request_changes_nothing(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    desk.create_one(campaign, customer_id="A", name="Ada", email="ada@example.com")
    told = desk.create_one(campaign, customer_id="B", email="ADA@example.com", phone="+49301234567")
    assert told["skipped"]
    with desk.database.read() as session:
        assert session.scalars(select(Entity.external_id)).all() == ["A"]
        assert session.scalars(select(TargetKey.kind)).all() == ["email"]
    # The number of the skipped one is free.
    assert desk.create_one(campaign, customer_id="C", phone="+49301234567")["created"]


def test_the_same_customer_id_is_the_same_customer(desk: TargetDesk) -> None:
    first, second = desk.campaign(), desk.campaign()
    desk.create_one(first, customer_id="A", name="Ada", email="ada@example.com")
    again = desk.create_one(first, customer_id="A", email="other@example.com")
    assert again["reason"] == "customer A is a target of this campaign already"
    assert desk.create_one(second, customer_id="A", surname="Lovelace", email="ada@example.com")["created"]
    (one,), (two,) = desk.listing(first)["data"], desk.listing(second)["data"]
    assert one["customer_id"] == two["customer_id"]
    assert one["id"] != two["id"]
    assert (two["customer"]["name"], two["customer"]["surname"]) == ("Ada", "Lovelace")
    assert two["customer"]["customer_id"] == "A"


def test_another_campaigns_customer_is_not_taken_for_this_ones(desk: TargetDesk) -> None:
    """docs/contract/enrolled-targets.md: the prose says "create the Customer"; an address outside the campaign is
    nobody's here.
    """
    first, second = desk.campaign(), desk.campaign()
    desk.create_one(first, customer_id="A", email="ada@example.com")
    assert desk.create_one(second, customer_id="B", email="ada@example.com")["created"]
    assert desk.listing(first)["data"][0]["customer_id"] != desk.listing(second)["data"][0]["customer_id"]


def test_whoever_was_enrolled_in_bulk_is_known(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    (person,) = desk.people(1, mobile="+49 30 555 66 77")
    desk.bulk(campaign, [person])
    assert (
        "phone +49305556677"
        in desk.create_one(campaign, phone="0049305556677".replace("00", "+", 1))["reason"]
    )


def test_soft_deleted_ones_do_not_block(desk: TargetDesk) -> None:
    campaign = desk.campaign()
    desk.create_one(campaign, customer_id="A", email="ada@example.com")
    (target,) = desk.ids(campaign)
    desk.on(campaign, target, "DELETE", status=204)
    assert desk.create_one(campaign, customer_id="B", email="ada@example.com")["created"]
    desk.on(campaign, target, "POST", "/restore")
    assert len(desk.ids(campaign)) == 2
    # Both hold the address: it stays taken until both are gone.
    for one in desk.ids(campaign):
        assert desk.create_one(campaign, email="ADA@example.com")["skipped"]
        desk.on(campaign, one, "DELETE", status=204)
    assert desk.create_one(campaign, email="ada@example.com")["created"]


@pytest.mark.parametrize(
    ("given", "status", "loc"),
    [
        ({}, 400, None),
        ({"email": " "}, 400, None),
        ({"email": "nobody"}, 422, ["body", "email"]),
        ({"phone": "+"}, 422, ["body", "phone"]),
        ({"email": "a@b.example", "name": "x" * 256}, 422, ["body", "name"]),
        ({"email": "a@b.example", "name": None}, 422, ["body", "name"]),
        ({"email": "a@b.example", "name": "a\0b"}, 422, ["body", "name"]),
        ({"email": "a@b.example", "customer_id": ""}, 422, ["body", "customer_id"]),
        ({"email": "a@b.example", "assigned_agent_id": "x"}, 422, ["body", "assigned_agent_id"]),
    ],
)
def test_what_cannot_be_used_is_said(
    desk: TargetDesk, given: dict[str, Any], status: int, loc: list[str] | None
) -> None:
    campaign = desk.campaign()
    told = desk.create_one(campaign, status, **given)
    if loc is None:
        assert isinstance(told["detail"], str)
    else:
        assert loc == told["detail"][0]["loc"], told
        assert set(told["detail"][0]) == {"loc", "msg", "type"}
    with desk.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Entity)) == 0


def test_agents_are_kept(desk: TargetDesk) -> None:
    campaign, theirs, ours = desk.campaign(), str(uuid4()), str(uuid4())
    desk.create_one(
        campaign, email="a@b.example", customer_agent_id=theirs, assigned_agent_id=ours, status="lead"
    )
    (found,) = desk.listing(campaign, assigned_agent_id=ours)["data"]
    assert (found["assigned_agent_id"], found["customer"]["agent_id"]) == (ours, theirs)
    assert found["customer"]["status"] == "lead"


def test_either_header_opens_the_door(desk: TargetDesk) -> None:
    campaign, key = desk.campaign(), desk.api.keys["viewer"]
    path = f"/campaigns/{campaign}/targets"
    for headers, status in (
        ({"x-api-key": key, "authorization": ""}, 200),
        ({"authorization": f"Bearer {key}"}, 200),
        ({"authorization": ""}, 401),
        ({"x-api-key": "mk_wrong", "authorization": ""}, 401),
    ):
        answer = desk.client.get(path, headers=headers)
        assert answer.status_code == status, (headers, answer.text)
        if status == 401:
            assert isinstance(answer.json()["detail"], str)
    reader = desk.api.client("viewer")
    answer = reader.post(f"{path}:create-customer", json={"customer_id": "A", "email": "a@b.example"})
    assert (answer.status_code, set(answer.json())) == (403, {"detail"})
    reader.close()


def test_a_known_customers_title_keeps_what_is_not_given(desk: TargetDesk) -> None:
    first, second, third = desk.campaign(), desk.campaign(), desk.campaign()
    desk.create_one(first, customer_id="C-1", name="Ada", surname="Byron", email="ada@example.com")
    desk.create_one(second, customer_id="C-1", email="ada@example.com")
    assert desk.client.get("/v1/entity/customer?q=Ada").json()["results"][0]["_title"] == "Ada Byron"
    desk.create_one(third, customer_id="C-1", surname="Lovelace", email="ada@example.com")
    assert desk.client.get("/v1/entity/customer?q=Ada").json()["results"][0]["_title"] == "Ada Lovelace"
