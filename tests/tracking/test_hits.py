"""Opens and clicks over the wire: people are sent on and counted, scanners are sent on and kept apart."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from unittest.mock import patch
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from engine.inbound import hits as module
from engine.inbound.hits import Hits
from engine.tracking.tokens import _mac
from state.tables import Organization, Touchpoint
from tests.targeting.test_matching import statements
from tests.tracking.test_bots import PEOPLE

if TYPE_CHECKING:
    from tests.tracking.world import Mailing

BROWSER = PEOPLE[0]
PAGE = "https://shop.example/sale?a=1&b=ü#top"


class Mail:
    """One recipient's message, and its links."""

    def __init__(self, world: Mailing, campaign_id: UUID, entity_id: UUID) -> None:
        self.hits: Hits = world.api.app.state.hits
        self.clock = world.api.clock
        self.url = world.api.url
        self.tokens = self.hits.tokens
        self.campaign_id = campaign_id
        self.step = world.touchpoint(campaign_id)
        self.who = self.tokens.who(campaign_id, entity_id, int(self.clock.now().timestamp()))
        self.clock.forward(minutes=5)

    def open(self, agent: str = BROWSER, method: str = "GET") -> httpx.Response:
        path = f"{self.url}/t/o/{self.who}/{self.tokens.what(self.campaign_id, self.step)}.gif"
        return httpx.request(method, path, headers={"user-agent": agent})

    def click(self, url: str = PAGE, agent: str = BROWSER, method: str = "GET") -> httpx.Response:
        path = f"{self.url}/t/c/{self.who}/{self.tokens.what(self.campaign_id, self.step, url)}"
        return httpx.request(method, path, headers={"user-agent": agent})

    def record(self) -> int:
        return self.hits.flush(everything=True)


@pytest.fixture
def mail(world: Mailing, campaign_id: UUID) -> Mail:
    (entity_id,) = world.sent(campaign_id, "ada@x.example")
    return Mail(world, campaign_id, entity_id)


def signs(world: Mailing, campaign_id: UUID) -> list[str]:
    """What each engagement of the campaign, all of which are no person's, was told by."""
    return [(row.data or {})["bot"] for row in world.engagements(campaign_id)]


def test_a_person_is_sent_on_and_counted(world: Mailing, campaign_id: UUID, mail: Mail) -> None:
    picture = mail.open()
    assert (200, "image/gif", b"GIF89a") == (
        picture.status_code,
        picture.headers["content-type"],
        picture.content[:6],
    )
    assert "no-store" in picture.headers["cache-control"]
    answer = mail.click()
    assert 302 == answer.status_code
    assert httpx.URL(PAGE) == httpx.URL(answer.headers["location"])
    mail.open()
    assert world.engagements(campaign_id) == [], "nothing is written while somebody waits"
    assert 3 == mail.record()
    assert {("email", "read"): (1, 2), ("email", "clicked"): (1, 1)} == world.hours(campaign_id)
    (read, clicked, _) = world.engagements(campaign_id)
    assert {read.touchpoint_id, clicked.touchpoint_id} == {mail.step}
    assert {"url": PAGE} == clicked.data
    shown = world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()["results"][0]
    assert (2, 1) == (shown["email_open_count"], shown["email_click_count"])
    world.check_sums()


def test_scanners_are_sent_on_and_kept_apart(world: Mailing, campaign_id: UUID, mail: Mail) -> None:
    assert 302 == mail.click(method="HEAD").status_code
    assert 302 == mail.click(agent="Mozilla/5.0 (compatible; BarracudaCentral/1.0)").status_code
    assert 200 == mail.open(agent="").status_code
    mail.record()
    assert [True] * 3 == [row.bot for row in world.engagements(campaign_id)]
    assert ["head", "user_agent", "user_agent"] == signs(world, campaign_id)
    assert {("email", "clicked"): (0, 0), ("email", "read"): (0, 0)} == world.hours(campaign_id)
    shown = world.client.get(f"/v1/campaign/{campaign_id}/recipients").json()["results"][0]
    assert "email_click_count" not in shown
    world.check_sums()
    mail.clock.forward(minutes=1)
    mail.click()
    mail.record()
    assert (1, 1) == world.hours(campaign_id)["email", "clicked"], "a scanner's click takes no person's place"


def test_who_follows_every_link_at_once_is_no_person(world: Mailing, campaign_id: UUID, mail: Mail) -> None:
    mail.open()
    for page in range(4):
        mail.click(f"https://shop.example/{page}")
    mail.record()
    assert {"burst"} == set(signs(world, campaign_id))
    mail.clock.forward(minutes=10)
    for page in range(3):
        mail.click(f"https://shop.example/{page}")
        mail.clock.forward(seconds=20)
    mail.record()
    assert (1, 3) == world.hours(campaign_id)["email", "clicked"]
    world.check_sums()


def test_a_burst_is_recognised_across_processes(world: Mailing, campaign_id: UUID, mail: Mail) -> None:
    mail.click("https://shop.example/1")
    mail.click("https://shop.example/2")
    mail.record()
    mail.click("https://shop.example/3")
    mail.record()
    assert [False, False, True] == [row.bot for row in world.engagements(campaign_id)]


def test_a_click_before_anybody_can_have_read_is_nobodys(world: Mailing, campaign_id: UUID) -> None:
    (entity_id,) = world.sent(campaign_id, "bo@x.example")
    mail = Mail(world, campaign_id, entity_id)
    mail.who = mail.tokens.who(campaign_id, entity_id, int(mail.clock.now().timestamp()))
    mail.click()
    mail.record()
    assert ["too_soon"] == signs(world, campaign_id)


def test_a_picture_proxy_counts_and_is_named(world: Mailing, campaign_id: UUID, mail: Mail) -> None:
    mail.open("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)")
    mail.record()
    (row,) = world.engagements(campaign_id)
    assert (False, {"proxy": "google"}) == (row.bot, row.data)
    assert (1, 1) == world.hours(campaign_id)["email", "read"]


def test_there_is_no_open_redirect(world: Mailing, campaign_id: UUID, mail: Mail) -> None:
    """Whatever is put into the path, only a signed address is led to."""
    ours = mail.tokens.what(mail.campaign_id, mail.step, PAGE)
    foreign = mail.tokens.what(mail.campaign_id, mail.step, "https://evil.example/", who="x" * 64)
    for path in (
        f"/t/c/{mail.who}/https://evil.example/",
        f"/t/c/{mail.who}/{foreign}",
        f"/t/c/{mail.who[:-1]}A/{ours}",
        f"/t/c/{mail.who}/{ours}?url=https://evil.example",
        f"/t/c/{mail.who}/{mail.tokens.what(mail.campaign_id, mail.step)}",
        f"/t/c/{mail.who}/{mail.tokens.what(mail.campaign_id, mail.step, 'javascript:alert(1)')}",
        "/t/c/x/y",
        "/t/o/x/y.gif",
    ):
        answer = httpx.get(world.api.url + path, headers={"user-agent": BROWSER})
        if "?" in path:
            assert httpx.URL(PAGE) == httpx.URL(answer.headers["location"])
            continue
        assert 404 == answer.status_code, path
        assert "location" not in answer.headers
    mail.record()
    assert 1 == len(world.engagements(campaign_id)), "only the signed one"


def test_hits_are_recorded_when_it_is_quiet_and_never_later_than_ten_seconds(
    world: Mailing, campaign_id: UUID, mail: Mail
) -> None:
    mail.click()
    assert 0 == mail.hits.flush()
    mail.clock.forward(seconds=3)
    assert 1 == mail.hits.flush()
    for _ in range(5):
        mail.open()
        mail.clock.forward(seconds=2)
        done = mail.hits.flush()
    assert 5 == done


def test_a_database_that_is_away_delays_and_loses_nothing(
    world: Mailing, campaign_id: UUID, mail: Mail
) -> None:
    lost = OperationalError("x", {}, Exception("server closed the connection unexpectedly"))
    mail.click()
    with patch.object(module, "record_hits", side_effect=lost):
        assert 302 == mail.click("https://shop.example/2").status_code
        assert 0 == mail.record()
    assert 2 == mail.record()
    assert (1, 2) == world.hours(campaign_id)["email", "clicked"]


def test_too_many_to_keep_are_dropped_and_counted(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, world: Mailing, campaign_id: UUID
) -> None:
    monkeypatch.setattr(module, "LIMIT", 2)
    for _ in range(3):
        assert 200 == mail.open().status_code
    assert (2, 1) == (mail.record(), mail.hits.dropped)


def test_halves_of_two_links_are_not_one(world: Mailing, campaign_id: UUID, mail: Mail) -> None:
    """Neither those of two campaigns, nor, of links from before they were bound, those of two organizations."""
    other = Mail(world, world.campaign(), world.sent(world.campaign(), "bo@x.example")[0])
    for what in (
        other.tokens.what(other.campaign_id, other.step, PAGE),
        other.tokens.what(other.campaign_id, other.step),
    ):
        for path in (f"/t/c/{mail.who}/{what}", f"/t/o/{mail.who}/{what}.gif"):
            assert 404 == httpx.get(world.api.url + path, headers={"user-agent": BROWSER}).status_code
    assert 0 == mail.record()
    assert [] == world.engagements(campaign_id)


def test_links_from_before_they_were_bound_work_within_their_organization(
    world: Mailing, campaign_id: UUID, mail: Mail
) -> None:
    def before(step: UUID) -> str:
        payload = step.bytes + PAGE.encode()
        mac = _mac(mail.tokens._unbound[0], payload)
        return base64.urlsafe_b64encode(mac + payload).rstrip(b"=").decode()

    with world.api.database.begin() as session:
        stranger = Organization(name="strangers", created_at=mail.clock.now())
        session.add(stranger)
        session.flush()
        now = mail.clock.now()
        theirs = Touchpoint(org_id=stranger.id, position=0, created_at=now, updated_at=now)
        session.add(theirs)
        session.flush()
        foreign = theirs.id
    for step in (mail.step, foreign):
        answer = httpx.get(f"{world.api.url}/t/c/{mail.who}/{before(step)}", headers={"user-agent": BROWSER})
        assert 302 == answer.status_code
    mail.record()
    assert [mail.step] == [row.touchpoint_id for row in world.engagements(campaign_id)]


def test_strangers_and_the_deleted_are_passed_over(world: Mailing, campaign_id: UUID, mail: Mail) -> None:
    now = int(mail.clock.now().timestamp()) - 100
    for whom in ((uuid4(), uuid4()), (campaign_id, uuid4())):
        mail.who, mail.campaign_id = mail.tokens.who(*whom, now), whom[0]
        assert 302 == mail.click().status_code
    mail.record()
    assert [] == world.engagements(campaign_id)


def test_a_link_that_is_followed_for_ever_fills_no_disk(
    world: Mailing, campaign_id: UUID, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EACH", 5)
    for _ in range(3):
        for number in range(4):
            assert 302 == mail.click(f"{PAGE}{number}", agent=BROWSER if number % 2 else "curl/8").status_code
        mail.record()
        mail.clock.forward(minutes=10)
    for _ in range(9):
        mail.open()
    mail.record()
    assert 5 == len(world.engagements(campaign_id)), "scanners' among them"
    assert 4 == mail.hits.dropped, "before they take memory"
    world.check_sums()


def test_many_at_once_are_counted_once_each(world: Mailing, campaign_id: UUID) -> None:
    """Four processes record hits of the same forty people at the same time."""
    people = world.sent(campaign_id, *(f"p{i}@x.example" for i in range(40)))
    mails = [Mail(world, campaign_id, entity_id) for entity_id in people]
    processes = [Hits(world.api.runtime) for _ in range(4)]
    for process in processes:
        for one in mails:
            process.add(
                process.tokens.read_who(one.who),
                process.tokens.read_what(one.tokens.what(one.campaign_id, one.step), who=one.who),
                method="GET",
                user_agent=BROWSER,
            )
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda process: process.flush(everything=True), processes))
    assert [40] * 4 == done
    assert (40, 160) == world.hours(campaign_id)["email", "read"]
    world.check_sums()


def test_the_number_of_statements_does_not_depend_on_the_hits(world: Mailing, campaign_id: UUID) -> None:
    others = [world.campaign() for _ in range(3)]
    people = [(one, entity) for one in (campaign_id, *others) for entity in world.sent(one, *_addresses(20))]

    def counted(whom: list[tuple[UUID, UUID]]) -> int:
        mails = [Mail(world, *pair) for pair in whom]
        for one in mails:
            one.hits.add(
                one.tokens.read_who(one.who),
                one.tokens.read_what(one.tokens.what(one.campaign_id, one.step, PAGE), who=one.who),
                method="GET",
                user_agent=BROWSER,
            )
        with statements(world.api.database) as few:
            mails[0].record()
        return len(few)

    assert counted(people[:1]) == counted(people[1:]), "one hit, and 79 of four campaigns"


def _addresses(count: int) -> list[str]:
    return [f"{uuid4().hex[:8]}@x.example" for _ in range(count)]
