"""The suppression list: normalised, idempotent, importable in the form it is exported in."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from engine.engagement.suppression import Organization, suppressed
from engine.kernel.media import AddressMedium
from tests.api.world import make_campaign


def test_an_address_is_added_once_found_and_removed(api, client):
    given = {"channel_kind": "smtp", "address": " Ada@X.Example ", "reason": "complaint"}
    made = client.post("/v1/suppression", json=given)
    assert (made.status_code, made.json()["address"]) == (201, "ada@x.example")
    again = client.post("/v1/suppression", json={**given, "address": "ADA@x.example", "reason": "manual"})
    assert (again.status_code, again.json()) == (200, made.json())
    assert client.get("/v1/suppression?address=ADA@X.example").json()["total"] == 1
    assert client.get("/v1/suppression?channel_kind=file").json()["total"] == 0
    with api.database.read() as session:
        known = suppressed(
            session,
            Organization(api.org_id, uuid4()),
            AddressMedium.EMAIL,
            ["ada@x.example", "bo@x.example"],
        )
    assert known == {"ada@x.example": "complaint"}, "what delivery asks for is what was written"
    path = f"/v1/suppression/{made.json()['id']}"
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"channel_kind": "smpt", "address": "a@x.example"}, "did you mean 'smtp'"),
        ({"channel_kind": "smtp"}, "address"),
        ({"channel_kind": "smtp", "address": ""}, "address"),
        ({"channel_kind": "smtp", "address": "a@@x"}, "address"),
        ({"channel_kind": "smtp", "address": "x" * 321}, "address"),
        ({"channel_kind": "smtp", "address": "a@x.example", "reason": "because"}, "reason"),
        ({"channel_kind": "smtp", "adress": "a@x.example"}, "adress"),
    ],
)
def test_what_cannot_be_suppressed_is_400_by_field(client, given, names):
    answer = client.post("/v1/suppression", json=given)
    assert answer.status_code == 400
    assert names in answer.json()["message"]


def test_a_list_is_of_one_organization(client, stranger):
    made = client.post("/v1/suppression", json={"channel_kind": "smtp", "address": "a@x.example"}).json()
    assert stranger.get("/v1/suppression").json()["total"] == 0
    assert stranger.delete(f"/v1/suppression/{made['id']}").status_code == 404
    assert stranger.get("/v1/suppression:export").text == "channel_kind,address,reason,campaign_id,medium\r\n"


def test_a_file_is_imported_line_by_line_and_again_without_harm(client):
    text = (
        "Address,channel_kind,reason\r\n"
        "A@x.example,smtp,hard_bounce\r\n"
        "a@X.example,smtp,\r\n"
        "\r\n"
        "nobody@,smtp,manual\r\n"
        '"+49 170 1234567",file,manual\r\n'
        "b@x.example,smtp\r\n"
        '"b@x.example,smtp,manual\r\n'
        "c@x.example,nope,manual"
    )
    result = client.post("/v1/suppression:import", content=text).json()
    assert (result["created"], result["skipped"], result["rejected"]) == (2, 1, 4)
    assert [error["line"] for error in result["errors"]] == [5, 7, 8, 9]
    again = client.post("/v1/suppression:import", content=text).json()
    assert (again["created"], again["skipped"], again["rejected"]) == (0, 3, 4)
    assert client.get("/v1/suppression?address=a@x.example").json()["results"][0]["reason"] == "hard_bounce"


@pytest.mark.parametrize("text", ["", "a,b\n", "address\nx\n", "channel_kind,address,address\n",
                                  "channel_kind,address,nope\n", b"PK\x03\x04"])  # fmt: skip
def test_a_file_that_is_no_list_is_400(client, text):
    answer = client.post("/v1/suppression:import", content=text)
    assert answer.status_code == 400
    assert "file" in answer.json()["message"]
    assert client.get("/v1/suppression").json()["total"] == 0


def test_what_is_exported_can_be_imported(client, stranger):
    lines = "".join(f"p{number}@x.example,smtp,unsubscribe\n" for number in range(2_500))
    made = client.post("/v1/suppression:import", content="address,channel_kind,reason\n" + lines).json()
    assert made["created"] == 2_500
    exported = client.get("/v1/suppression:export")
    assert exported.headers["content-type"].startswith("text/csv")
    assert len(exported.text.splitlines()) == 2_501
    moved = stranger.post("/v1/suppression:import", content=exported.content).json()
    assert (moved["created"], moved["rejected"]) == (2_500, 0)
    assert stranger.get("/v1/suppression:export").content == exported.content


def test_one_campaign_may_be_barred_alone(api, client):
    campaign_id = str(make_campaign(api.database, api.org_id))
    given = {"channel_kind": "smtp", "address": "a@x.example", "campaign_id": campaign_id}
    made = client.post("/v1/suppression", json=given)
    assert (made.status_code, made.json()["campaign_id"]) == (201, campaign_id)
    everywhere = client.post("/v1/suppression", json={**given, "campaign_id": str(UUID(int=0))})
    assert (everywhere.status_code, "campaign_id" in everywhere.json()) == (201, False)
    unknown = client.post("/v1/suppression", json={**given, "campaign_id": str(uuid4())})
    assert unknown.status_code == 400
    assert "campaign_id" in unknown.json()["message"]
    exported = client.get("/v1/suppression:export").text.splitlines()
    assert exported[1:] == [
        "smtp,a@x.example,manual,,email",
        f"smtp,a@x.example,manual,{campaign_id},email",
    ]
    assert client.post("/v1/suppression:import", content="\n".join(exported)).json()["skipped"] == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"channel_kind": "telegram", "address": "@SomeName"}, ("chat", "@somename")),
        ({"channel_kind": "sms", "address": "0151 12345678"}, ("phone", "+4915112345678")),
        ({"medium": "phone", "address": "+49 (0)151 12345678"}, ("phone", "+4915112345678")),
        (
            {"channel_kind": "http", "address": "Ada@M\u00fcller.example"},
            ("email", "ada@xn--mller-kva.example"),
        ),
        ({"channel_kind": "file", "address": "+49 151 12345678"}, ("phone", "+4915112345678")),
        ({"channel_kind": "portal", "address": "0b6e"}, ("other", "0b6e")),
    ],
)
def test_an_address_is_kept_in_the_form_in_which_it_is_used(client, given, kept):
    assert client.patch("/v1/organization", json={"region": "DE"}).status_code == 200
    made = client.post("/v1/suppression", json=given)
    assert made.status_code == 201
    assert (made.json()["medium"], made.json()["address"]) == kept
    found = client.get("/v1/suppression", params={"address": given["address"]}).json()["results"]
    assert [made.json()["id"]] == [one["id"] for one in found]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"channel_kind": "smtp", "address": "not an address"}, "address: 'not an address' is not an e-mail"),
        ({"channel_kind": "telegram", "address": "ada@x.example"}, "Telegram"),
        ({"channel_kind": "sms", "address": "0151 12345678"}, "organization's region"),
        ({"channel_kind": "http", "address": "two words"}, "address"),
        ({"channel_kind": "sms", "medium": "email", "address": "a@x.example"}, "medium"),
        ({"medium": "mail", "address": "a@x.example"}, "medium"),
        ({"address": "a@x.example"}, "channel_kind"),
    ],
)
def test_what_is_no_address_of_its_medium_is_400(client, given, names):
    answer = client.post("/v1/suppression", json=given)
    assert answer.status_code == 400
    assert names in answer.json()["message"]
    assert client.get("/v1/suppression").json()["total"] == 0


def test_one_entry_bars_every_channel_of_the_medium(client):
    made = client.post("/v1/suppression", json={"channel_kind": "smtp", "address": "a@x.example"})
    again = client.post("/v1/suppression", json={"channel_kind": "http", "address": "A@x.example"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert client.get("/v1/suppression?medium=email").json()["total"] == 1
    assert client.get("/v1/suppression?medium=phone").json()["total"] == 0


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_is_read_as_spreadsheets_leave_it(client, separator, mark):
    lines = [
        ("Channel Kind", "Address"),
        ("smtp", "Ada Lovelace <Ada@X.example>"),
        ("smtp", "not an address"),
        ("telegram", "@SomeName"),
        ("sms", "+49 151 12345678"),
        ("sms", "12"),
        ("Channel Kind", "Address"),
        ("smtp", "ada@x.example"),
    ]
    text = mark + "\r\n".join(separator.join(line) for line in lines)
    result = client.post("/v1/suppression:import", content=text.encode()).json()
    assert (result["created"], result["skipped"], result["rejected"]) == (3, 1, 2)
    assert [error["line"] for error in result["errors"]] == [3, 6]


def test_a_list_that_was_joined_has_a_second_header_and_delimiters_at_its_ends(client):
    text = (
        "\ufeffsep=;\r\nchannel_kind;address;reason;\r\nsmtp;a@x.example;manual;\r\n"
        "\ufeffAddress;Channel Kind\r\nb@x.example;smtp\r\nno address;smtp\r\n;\r\n"
    )
    answer = client.post(
        "/v1/suppression:import", content=text.encode(), headers={"content-type": "text/csv"}
    )
    assert (answer.status_code, answer.json()["created"]) == (200, 2)
    assert [error["line"] for error in answer.json()["errors"]] == [6]


def test_an_import_takes_no_campaign_that_the_organization_does_not_have(api, client, stranger):
    ours, gone = str(make_campaign(api.database, api.org_id)), str(uuid4())
    theirs = stranger.post("/v1/campaign", json={"name": "theirs"}).json()["_id"]
    lines = [
        f"email,{number}@x.example,{campaign}" for number, campaign in enumerate((ours, gone, theirs, ""))
    ]
    answer = client.post(
        "/v1/suppression:import", content="\n".join(["medium,address,campaign_id", *lines])
    ).json()
    assert (2, 0, 2) == (answer["created"], answer["skipped"], answer["rejected"])
    assert [(3, gone), (4, theirs)] == [(one["line"], one["message"].split()[2]) for one in answer["errors"]]
    assert 2 == client.get("/v1/suppression").json()["total"]


def test_no_exported_cell_is_a_formula_and_all_are_imported_as_they_were(client, stranger):
    odd = ["=cmd|x@x.example", "-1+1@x.example", "+49x@x.example"]
    for address in odd:
        assert 201 == client.post("/v1/suppression", json={"medium": "email", "address": address}).status_code
    given = {"medium": "chat", "address": "@ada_lovelace"}
    assert 201 == client.post("/v1/suppression", json=given).status_code
    exported = client.get("/v1/suppression:export").text
    cells = [line.split(",")[1] for line in exported.splitlines()[1:]]
    assert {"'" + address for address in [*odd, "@ada_lovelace"]} == set(cells)
    assert 4 == stranger.post("/v1/suppression:import", content=exported).json()["created"]
    assert exported == stranger.get("/v1/suppression:export").text
