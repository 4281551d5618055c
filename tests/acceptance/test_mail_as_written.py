"""Mail as it arrives: people are imported, a campaign is activated over the API, and a real mail server shows it.

Each test is a kind of text that programs get wrong; what it has to be is written beside it.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from email import message_from_bytes
from email.policy import SMTP
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.acceptance.client import signed_in
from tests.acceptance.embedded import Dev
from tests.content.reader import headers_of, mailboxes_of, parameter_of
from tests.harness.seeds import smtp_settings
from tests.harness.stack import Stack
from tests.servers.smtp import SmtpServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from tests.acceptance.client import Client

pytestmark = [pytest.mark.services, pytest.mark.slow]

LONG = "Smith, Jones, Taylor, Brown & Partners Chartered Surveyors and Valuers, London Office"
#: Texts for headers that are dangerous, or that programs lose something of, and what a reader sees.
TEXTS = [
    "=?utf-8?q?x=0D=0ABcc=3A_evil=40example.org?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS5vcmc=?=",
    "=?utf-16?b?DQAKAA==?= =?utf-8?q?=0ABcc=3A_x?=",
    "=?utf-8?q?a=22=2C_b?=",
    '", <evil@example.org>, "',
    "Ada (Sales) [x]; y: z",
    "Łódź, 株式会社 é",
    "שלום, Ada",
    LONG,
    "é" * 90,
]


class Bench:
    """A client of a Muster that runs, and the mail server that its campaigns go to."""

    def __init__(self, client: Client, server: SmtpServer) -> None:
        self.client, self.server = client, server
        self._made = 0

    def send(
        self,
        people: list[dict[str, str]],
        *,
        settings: dict[str, Any] | None = None,
        tracking: dict[str, Any] | None = None,
        attachment: dict[str, str] | None = None,
        **template: Any,
    ) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
        """Import them, send a campaign; what the server got by address, and what is known of the recipients."""
        self._made += 1
        schema = f"people{self._made}"
        file = io.StringIO()
        writer = csv.DictWriter(file, ["id", *people[0]])
        writer.writeheader()
        writer.writerows({"id": str(number), **row} for number, row in enumerate(people))
        told = self.client.import_csv(schema, file.getvalue().encode(), external_id="id", title="{id}")
        assert len(people) == told["created"]
        target = self.client.target(schema, {"key": "id", "operator": "NOT_EMPTY"})
        more = {} if tracking is None else {"tracking": tracking}
        channel = self.client.make(
            "channel",
            name=schema,
            kind="smtp",
            settings=smtp_settings(self.server.port, **(settings or {})),
            **more,
        )
        message = self.client.make("template", name=schema, **{"subject": "Hi", **template})
        if attachment is not None:
            self.client.ask("POST", f"/v1/template/{message}/attachment", json=attachment)
        flow = self.client.make(
            "flow", name=schema, touchpoints=[{"template_id": message, "channel_id": channel}]
        )
        campaign = self.client.make("campaign", name=schema, target_ids=[target], flow_id=flow)
        before = len(self.server.messages)
        self.client.change_status(campaign, "active")
        self.client.finish(campaign)
        return {one.rcpt: one.raw for one in self.server.messages[before:]}, self.client.recipients(campaign)


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp(request.param)
    with SmtpServer() as server:
        if request.param == "sqlite":
            with Dev(directory) as dev:
                yield Bench(dev.client, server)
        else:
            with Stack(directory, api=True, smtp=False) as stack, signed_in(stack) as client:
                yield Bench(client, server)


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=SMTP)


def head(raw: bytes) -> dict[str, str]:
    """Each header once, seven bits, folded where it may be."""
    block = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
    found = headers_of(block)
    assert len(found) == len(dict(found))
    assert not {"Bcc", "Cc"} & set(dict(found))
    assert max(map(len, block.split(b"\r\n"))) <= 998
    return dict(found)


def text_part(raw: bytes) -> str:
    return str(parsed(raw).get_body(("plain",)).get_content())  # type: ignore[union-attr]


def test_a_senders_name_arrives_as_that_text(bench: Bench) -> None:
    people = [{"email": f"n{number}@x.example", "agent": text} for number, text in enumerate(TEXTS)]
    got, _ = bench.send(people, text="x", sender={"name": "{{ agent }}"})
    for row in people:
        said = head(got[row["email"]])
        assert [(row["agent"], "news@muster.example")] == mailboxes_of(said["From"])
        assert got[row["email"]].partition(b"\r\n\r\n")[2].strip() == b"x"


def test_a_subject_and_a_header_of_ones_own_arrive_as_that_text(bench: Bench) -> None:
    people = [{"email": f"s{number}@x.example", "note": text} for number, text in enumerate(TEXTS)]
    got, _ = bench.send(people, subject="{{ note }}", text="x", headers={"X-Note": "{{ note }}"})
    for row in people:
        head(got[row["email"]])
        assert row["note"] == parsed(got[row["email"]])["subject"] or "=?" in row["note"]


def test_a_channels_long_name_is_one_mailbox(bench: Bench) -> None:
    got, _ = bench.send([{"email": "l@x.example"}], text="x", settings={"from_name": LONG})
    assert [(LONG, "news@muster.example")] == mailboxes_of(head(got["l@x.example"])["From"])


@pytest.mark.parametrize(
    "name",
    ["=?utf-8?q?a=0D=0ABcc=3A_evil?=.pdf", 'Rechnung "März"; 2026.pdf', "見積書.pdf", "=?utf-8?b?Cg==?=.pdf"],
)
def test_a_files_name_arrives_as_that_text(bench: Bench, name: str) -> None:
    content = base64.b64encode(b"hello").decode()
    got, _ = bench.send(
        [{"email": "f@x.example"}], text="x", attachment={"filename": name, "content": content}
    )
    raw = got["f@x.example"]
    head(raw)
    _, _, body = raw.partition(b"\r\n\r\n")
    block = body[body.rindex(b"\r\nContent-Type: ") + 2 :].partition(b"\r\n\r\n")[0] + b"\r\n"
    said = dict(headers_of(block))
    assert name == parameter_of(said["Content-Disposition"], "filename")
    assert "Bcc" not in said


def test_answers_go_where_they_are_meant_to(bench: Bench) -> None:
    for given, expected in (
        ("a@shop.example, b@shop.example", [("", "a@shop.example"), ("", "b@shop.example")]),
        ("Support <help@shop.example>", [("Support", "help@shop.example")]),
        ("help@müller.example", [("", "help@xn--mller-kva.example")]),
        ("{{ agent }}", [("", "bo@xn--mller-kva.example")]),
    ):
        people = [{"email": "r@x.example", "agent": "bo@müller.example"}]
        got, _ = bench.send(people, text="x", sender={"reply_to": given})
        assert expected == mailboxes_of(head(got["r@x.example"])["Reply-To"])
    refused = bench.client.http.post(
        "/v1/template", json={"name": "n", "subject": "s", "text": "x", "sender": {"reply_to": "no address"}}
    )
    assert refused.status_code in (400, 422)
    assert "reply_to" in refused.text


def test_links_lead_where_a_browser_would_go(bench: Bench) -> None:
    queries = [
        "country=de&region=5",
        "a=1&copy=2",
        "a=1&section=2",
        "a=1&timestamp=2",
        "currency=EUR&para=1&lt=3&notify=1",
    ]
    queries += ["a=1&amp;b=2&reg=1", "a=1&times=3&yen=4&not=5"]
    html = "".join(f'<p><a href="https://shop.example/?{query}">link</a></p>' for query in queries)
    html += '<p><a href="https://shop.example/?e={{ email | url_encode }}&region=5">last</a></p>'
    meant = [f"https://shop.example/?{query.replace('&amp;', '&')}" for query in queries]
    meant.append("https://shop.example/?e=u%40x.example&region=5")
    for tracking in (None, {"clicks": True}):
        got, _ = bench.send([{"email": "u@x.example"}], html=html, tracking=tracking)
        part = parsed(got["u@x.example"]).get_body(("html",))
        links = re.findall(r'href="([^"]+)"', part.get_content())[: len(meant)]  # type: ignore[union-attr]
        if tracking is None:
            assert meant == [link.replace("&amp;", "&") for link in links]
            assert all(link in text_part(got["u@x.example"]) for link in meant)
        else:
            led = [
                httpx.get(link.replace("&amp;", "&"), follow_redirects=False, timeout=30) for link in links
            ]
            assert meant == [answer.headers["location"] for answer in led]


def test_money_from_text_is_right_or_fails_its_recipient_by_name(bench: Bench) -> None:
    people = [
        {"email": f"m{n}@x.example", "price": price}
        for n, price in enumerate(["12,50", "1.234,50", "", "10", "abc"])
    ]
    got, recipients = bench.send(people, text="{{ price | times: 2 | currency: 'EUR' }}")
    assert "€20.00" in text_part(got["m3@x.example"])
    assert not any("€0.00" in text_part(raw) for raw in got.values())
    assert not {f"m{number}@x.example" for number in (0, 1, 4)} & set(got)
    told = (
        [str(one) for one in recipients if one["email"] not in got]
        if "email" in recipients[0]
        else [str(recipients)]
    )
    assert all("price" in one for one in told)


def test_numbers_compare_as_numbers(bench: Bench) -> None:
    people = [
        {"email": f"c{n}@x.example", "points": points} for n, points in enumerate(["150", "90", "1000"])
    ]
    got, _ = bench.send(people, text="{% if points > 100 %}gold{% else %}std{% endif %}")
    assert ["gold", "std", "gold"] == [text_part(got[row["email"]]).strip() for row in people]


def test_numbers_round_half_up(bench: Bench) -> None:
    text = "{{ '2.5' | round }} {{ 0.125 | round: 2 }} {{ 1.005 | round: 2 }} {{ 10.5 | round }} {{ half | round }}"
    got, _ = bench.send([{"email": "h@x.example", "half": "3.5"}], text=text)
    assert "3 0.13 1.01 11 4" == text_part(got["h@x.example"]).strip()


def test_one_column_of_dates_has_one_rule(bench: Bench) -> None:
    people = [
        {"email": f"d{n}@x.example", "renewal": given, "language": "en-GB", "country": "GB"}
        for n, given in enumerate(["03/02/2026", "13/02/2026"])
    ]
    got, _ = bench.send(people, text="{{ renewal | date: 'long' }}")
    said = [text_part(got[row["email"]]).strip() for row in people]
    assert said in (["3 February 2026", "13 February 2026"], ["03/02/2026", "13/02/2026"])


def test_addresses_lose_what_nobody_sees_and_are_told_by_value(bench: Bench) -> None:
    usable = [
        "\ufeffzw1@d.example",
        "\u200bzw2@d.example",
        "\u2060zw3@d.example\u200d",
        "\u00a0zw4@d.example",
    ]
    odd = ["two@a.example, three@b.example", "d..d@example.com", "trail.@docomo.example", "no address"]
    got, recipients = bench.send([{"email": one} for one in [*usable, *odd]], text="x")
    assert {f"zw{n}@d.example" for n in range(1, 5)} <= set(got)
    told = " ".join(str(one) for one in recipients)
    assert all(one.split("@", maxsplit=1)[0] in told for one in ("d..d@example.com", "no address"))
