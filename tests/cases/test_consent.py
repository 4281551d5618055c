"""Who is on the list is not written to, however either side writes the address; who was deleted is not either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.cases.house import House
    from tests.cli.conftest import Muster

PHONES = "id,phone\n1,+4915112345678\n2,0151 12345678\n"


def phones(house: House) -> None:
    house.connect(
        "sms",
        settings={"provider": "gateway", "region": "DE", "request": {"url": "https://gateway.example.com"}},
    )


def bar_file(house: House, text: str) -> Any:
    headers = {"content-type": "text/csv"}
    return house.request("POST", "/v1/suppression:import", content=text.encode(), headers=headers)


def delivered(house: House) -> dict[str, int]:
    campaign = house.campaign()
    house.execute(campaign)
    house.work()
    return dict(house.outcomes(campaign))


@pytest.mark.parametrize(
    "spelled",
    [
        "+49 151 12345678",
        "0049 151 12345678",
        "0151/12345678",
        "(0151) 1234-5678",
        "+49 (0) 151 12345678",
        "tel:+4915112345678",
        "49 151 12345678",
    ],
)
def test_03_a_number_is_barred_however_it_is_written(house: House, spelled: str) -> None:
    phones(house)
    assert 1 == bar_file(house, f"channel_kind,address,reason\nsms,{spelled},unsubscribe\n")["created"]
    house.load(PHONES)
    assert {"SUPPRESSED": 2} == delivered(house)


def test_03_one_at_a_time_as_well(house: House) -> None:
    phones(house)
    body = {"channel_kind": "sms", "address": "0151 1234 5678", "reason": "unsubscribe"}
    house.request("POST", "/v1/suppression", 201, json=body)
    house.load(PHONES)
    assert {"SUPPRESSED": 2} == delivered(house)


@pytest.mark.parametrize("kind", ["smtp", "file", "http", "apprise"])
def test_03_e_mail_on_every_channel_that_carries_it(house: House, kind: str) -> None:
    house.connect()
    bar_file(house, f"channel_kind,address,reason\n{kind},ADA@Example.com,unsubscribe\n")
    house.load("id,name,email\n1,A, ada@example.COM \n2,B,bo@example.com\n")
    assert {"SUPPRESSED": 1, "success": 1} == delivered(house)


@pytest.mark.parametrize(
    ("spellings", "once"),
    [
        (["Ada@Example.com", "ada@example.com", " ada@example.com "], True),
        (["ADA@EXAMPLE.COM", "ada@example.com", "aDA@example.com"], True),
        (["ada@bücher.example", "ada@xn--bcher-kva.example", "ADA@BÜCHER.example"], True),
        (["Ada@Example.com", "ada@example.com", " ada@example.com "], False),
    ],
)
def test_24_one_message_a_mailbox_for_who_asks(house: House, spellings: list[str], once: bool) -> None:
    house.connect()
    house.load("id,name,email\n" + "".join(f"{i},P{i},{one}\n" for i, one in enumerate(spellings)))
    campaign = house.campaign(onePerAddress=once)
    house.execute(campaign)
    house.work()
    wanted = {"success": 1, "DUPLICATE_ADDRESS": 2} if once else {"success": 3}
    assert wanted == dict(house.outcomes(campaign))


def test_24_and_it_is_the_usual(house: House) -> None:
    house.connect()
    house.load("id,name,email\n1,A,Ada@Example.com\n2,B,ada@example.com\n3,C, ada@example.com \n")
    assert {"success": 1, "DUPLICATE_ADDRESS": 2} == delivered(house)


FORTY = "id,name,email\n" + "".join(f"{i},P{i},p{i}@example.com\n" for i in range(40))


def half_sent(house: House) -> tuple[str, list[UUID], list[UUID]]:
    """A campaign that is limited: some of 40 have their message, the others do not."""
    house.connect()
    house.load(FORTY)
    campaign = house.campaign(limits={"rate": {"messages": 10, "per": "minute"}})
    house.execute(campaign)
    house.work(most=3)
    rows = house.recipients(campaign)
    had = [row.entity_id for row in rows if row.automation_status == "success"]
    left = [row.entity_id for row in rows if row.automation_status == "pending"]
    assert had
    assert len(left) > 20
    return campaign, had, left


def test_04_who_was_deleted_is_not_written_to(house: House) -> None:
    campaign, _, left = half_sent(house)
    for key in left[-10:]:
        assert house.client.delete(f"/v1/entity/contact/{key}").is_success
    house.run_out()
    assert {"success": 30, "ENTITY_DELETED": 10} == dict(house.outcomes(campaign))
    found = {row.entity_id: row.error_code for row in house.recipients(campaign)}
    assert {"ENTITY_DELETED"} == {found[key] for key in left[-10:]}


def test_04_who_was_deleted_and_is_there_again_is_not_written_to_again(house: House) -> None:
    campaign, had, _ = half_sent(house)
    for key in had:
        assert house.client.delete(f"/v1/entity/contact/{key}").is_success
    house.load(FORTY)
    house.run_out()
    assert 40 == house.outcomes(campaign)["success"] == len(house.recipients(campaign))


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("telegram", "@SomeName"),
        ("telegram", "somename_bot"),
        ("telegram", "123456789"),
        ("telegram", "-1001234567890"),
        ("sms", "+49 151 12345678"),
        ("whatsapp", "+49 151 12345678"),
        ("smtp", "Ada <ada@example.com>"),
    ],
)
def test_26_an_address_is_one_of_its_channel(house: House, kind: str, address: str) -> None:
    body = {"channel_kind": kind, "address": address, "reason": "unsubscribe"}
    house.request("POST", "/v1/suppression", 201, json=body)


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("smtp", "not an address"),
        ("smtp", ""),
        ("sms", "ada@example.com"),
        ("telegram", "two words"),
        ("sms", "12"),
    ],
)
def test_27_what_is_no_address_of_its_kind_is_refused(house: House, kind: str, address: str) -> None:
    body = {"channel_kind": kind, "address": address, "reason": "unsubscribe"}
    house.request("POST", "/v1/suppression", 400, json=body)
    good = {"sms": "+4915112345678", "telegram": "@SomeName"}.get(kind, "ada@example.com")
    done = bar_file(
        house, f"channel_kind,address,reason\n{kind},{good},unsubscribe\n{kind},{address},unsubscribe\n"
    )
    assert (1, [3]) == (done["created"], [one["line"] for one in done["errors"]]), done


@pytest.mark.parametrize(
    "text",
    [
        "channel_kind;address\nsmtp;ada@example.com\n",
        "channel_kind\taddress\nsmtp\tada@example.com\n",
        "\ufeffchannel_kind,address\r\nsmtp,ada@example.com\r\n",
        "sep=;\r\nchannel_kind;address\r\nsmtp;ada@example.com\r\n",
        "channel_kind;address;\nsmtp;ada@example.com;\n",
        "Channel_Kind;Address\nsmtp;ada@example.com\n",
    ],
)
def test_27_a_list_is_read_as_an_import_is(house: House, text: str) -> None:
    assert 1 == bar_file(house, text)["created"]


def test_27_on_the_command_line_as_well(acme: Muster, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("channel_kind;address\nsmtp;ada@example.com\nsmtp;not an address\n")
    done = acme("suppression", "import", path)
    assert "3" in done.out + done.err
    assert 1 == len(acme.ok("suppression", "list", "--json").json["results"])
