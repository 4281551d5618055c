"""A marketer's whole way through the console in a real browser, with the mouse and by keyboard alone: from signing
in to a campaign whose failed recipient was written to after all. Mail goes to real SMTP servers.
"""

from __future__ import annotations

import base64
import re
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Error

from tests.harness.dev_server import dev_server
from tests.harness.waiting import patience, wait_until
from tests.servers.smtp import SmtpServer

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

KEY = "mk_the_walk_through_the_console"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg=="
)
CSV = """Nr;E-Mail;First;Country
1;ada@example.com;Ada;Norway
2;bo@example.com;Bo;Norway
3;cy@example.com;Cy;Norway
4;dee@example.com;Dee;Sweden
"""
#: Tabs from one end of a page to the other, at most.
_FAR = 400
#: Where an element lies, seen from the one that has the focus.
_WAY = """element => {
  const now = document.activeElement;
  if (element === now) return "there";
  return now !== document.body && now.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_PRECEDING
    ? "before" : "behind";
}"""


class Mouse:
    """Somebody who points."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def click(self, what: Locator) -> None:
        what.click()

    def fill(self, what: Locator, text: str) -> None:
        what.fill(text)

    def choose(self, what: Locator, label: str) -> None:
        what.select_option(label=label)

    def upload(self, what: Locator, file: Path) -> None:
        what.set_input_files(file)


class Keyboard(Mouse):
    """Somebody who has no pointer: every element is reached by Tab, and used by keys."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        # The browser hands out choosers of files from the first listener on, some time after it was added.
        page.on("filechooser", lambda _: None)

    def reach(self, what: Locator) -> None:
        """Tab there, or back; whatever cannot be reached fails the test."""
        what.wait_for(state="attached")
        for _ in range(_FAR):
            way = what.evaluate(_WAY)
            if way == "there":
                return
            self.page.keyboard.press("Shift+Tab" if way == "before" else "Tab")
        raise AssertionError(f"the keyboard does not reach {what}")

    def click(self, what: Locator) -> None:
        self.reach(what)
        self.page.keyboard.press("Enter")

    def fill(self, what: Locator, text: str) -> None:
        self.reach(what)
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(text)

    def choose(self, what: Locator, label: str) -> None:
        self.reach(what)
        self.page.keyboard.type(label)

    def upload(self, what: Locator, file: Path) -> None:
        self.reach(what)
        with self.page.expect_file_chooser() as chooser:
            self.page.keyboard.press("Enter")
        chooser.value.set_files(file)


def letter(server: SmtpServer, address: str) -> EmailMessage:
    """The one message that somebody got."""
    found = wait_until(
        lambda: [one.raw for one in server.messages if one.rcpt == address], f"mail to {address}", deadline=30
    )
    assert len(found) == 1
    return message_from_bytes(found[0], policy=default)


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("way", [Mouse, Keyboard], ids=["mouse", "keyboard"])
def test_from_signing_in_to_a_mended_campaign(way: type[Mouse], browser: Browser, tmp_path: Path) -> None:
    people, picture = tmp_path / "people.csv", tmp_path / "leaf.png"
    people.write_text(CSV)
    picture.write_bytes(PNG)
    settings = {"MUSTER_CHANNEL_ALLOWED_NETWORKS": "127.0.0.0/8", "MUSTER_SWEEP_INTERVAL": "0.5"}
    with SmtpServer() as narrow, SmtpServer() as wide, dev_server(tmp_path, KEY, **settings) as url:
        narrow.rule("rcpt", "552 5.3.4 message size exceeds fixed limit", match="cy@")
        context = browser.new_context(
            viewport={"width": 1400, "height": 900}, locale="en-US", timezone_id="UTC"
        )
        page = context.new_page()
        page.set_default_timeout(patience(20) * 1000)
        hosts: set[str] = set()
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        hand = way(page)
        sign_in(page, hand, url)
        set_up_channel(page, hand, url, narrow.port)
        begin(page, hand, url)
        upload_people(page, hand, people)
        write_message(page, hand, picture)
        count = page.locator("#seen .reach b")
        assert count.text_content() == "3 people"
        assert api_count(url) == 3
        preview(page, hand, wide)
        send_test(page, hand, narrow, url)
        plan_and_send(page, hand)
        assert {one.rcpt for one in narrow.messages} == {
            "me@example.com",
            "ada@example.com",
            "bo@example.com",
        }
        mend_and_retry(page, hand, url, wide.port)
        for server, name in ((narrow, "Ada"), (narrow, "Bo"), (wide, "Cy")):
            mail = letter(server, f"{name.lower()}@example.com")
            assert mail["subject"] == f"{name}, autumn has come"
            assert f"Hello {name}" in html_of(mail)
        assert hosts == {url.split("/")[2]}
        context.close()


def sign_in(page: Page, hand: Mouse, url: str) -> None:
    page.goto(f"{url}/console/sign-in")
    hand.fill(page.locator("#key"), KEY)
    hand.click(page.get_by_role("button", name="Sign in"))
    page.wait_for_url(re.compile("/console$"))


def set_up_channel(page: Page, hand: Mouse, url: str, port: int) -> None:
    page.goto(f"{url}/console/channels/new?kind=smtp")
    hand.fill(page.locator("#name"), "Mail")
    for name, value in {"host": "127.0.0.1", "port": str(port), "from_email": "news@shop.example"}.items():
        hand.fill(page.locator(f"#settings-{name}"), value)
    hand.choose(page.locator("#settings-security"), "none")
    default_box = page.locator("[name=is_default]")
    if isinstance(hand, Keyboard):
        hand.reach(default_box)
        page.keyboard.press("Space")
    else:
        default_box.check()
    hand.click(page.get_by_role("button", name="Keep it"))
    page.wait_for_url(re.compile("/channels/[0-9a-f-]{36}$"))
    hand.click(page.get_by_role("button", name="Test"))
    page.get_by_text("Its provider answers").wait_for()


def begin(page: Page, hand: Mouse, url: str) -> None:
    page.goto(f"{url}/console/campaigns")
    hand.click(page.get_by_role("link", name="New campaign"))
    hand.fill(page.locator("#name"), "Autumn letter")
    hand.click(page.get_by_role("button", name="Write it"))
    page.wait_for_url("**/write")


def upload_people(page: Page, hand: Mouse, people: Path) -> None:
    """Columns are given names of attributes; those who came are the audience, of whom Norway is chosen."""
    hand.click(page.get_by_role("link", name="Upload people"))
    hand.upload(page.locator("#file"), people)
    for column, attribute in {"E-Mail": "email", "First": "first_name", "Country": "country"}.items():
        hand.fill(page.get_by_label(f"Attribute for {column}"), attribute)
    hand.fill(page.locator("#external_id"), "Nr")
    hand.fill(page.locator("#title"), "{first_name}")
    hand.click(page.get_by_role("button", name="Import"))
    hand.click(page.get_by_role("button", name="Write to them"))
    page.wait_for_url("**/write")
    hand.click(page.locator("fieldset.conditions").get_by_role("button", name="Condition", exact=True))
    row = page.locator(".condition").nth(1)
    row.wait_for()
    hand.choose(row.get_by_label("Attribute"), "country")
    page.wait_for_function(
        "() => document.querySelectorAll('.condition')[1].querySelector('input[list]') !== null"
    )
    offered = page.locator("datalist[data-attribute=country] option")
    assert {one.get_attribute("value") for one in offered.all()} == {"Norway"}
    hand.fill(row.get_by_label("Value"), "Norway")


def write_message(page: Page, hand: Mouse, picture: Path) -> None:
    body = page.locator("textarea[name='steps.0.body']")
    hand.fill(page.locator("[name='steps.0.subject']"), "{{ first_name }}, autumn has come")
    hand.fill(body, '<p>Hello {{ first_name }</p>\n<a href="{{ unsubscribe_url }}">No more</a>')
    page.locator("#seen .notice.bad", has_text="line 1").wait_for()
    hand.fill(body, '<p>Hello {{ first_name }}</p>\n<a href="{{ unsubscribe_url }}">No more</a>\n')
    hand.upload(page.locator("[data-picture]"), picture)
    page.wait_for_function(
        "() => document.querySelector(\"[name='steps.0.body']\").value.includes('/pictures/')"
    )
    page.locator("#seen .reach b", has_text="3 people").wait_for()
    page.locator("#seen .notice.bad").wait_for(state="detached")


def api_count(url: str) -> int:
    """How many the API finds for the same conditions."""
    conditions = [("list", "Autumn letter"), ("country", "Norway")]
    items = [{"key": key, "operator": "EQUALS", "value": value} for key, value in conditions]
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}"}, timeout=patience(30)) as api:
        body = {
            "name": "the same",
            "entity_schema": "contact",
            "entity_filters": {"filter": {"combination": "AND", "items": items}},
        }
        target_id = api.post("/v1/target", json=body).json()["_id"]
        return int(api.post(f"/v1/target/{target_id}:count").json()["count"])


def preview(page: Page, hand: Mouse, server: SmtpServer) -> None:
    """As one of them sees it, picture and all; nothing is sent by looking."""
    hand.fill(page.locator("#person"), "bo@example.com")
    page.keyboard.press("Tab")
    page.locator("#seen .subject b", has_text="Bo, autumn has come").wait_for()
    frame = page.frame_locator("iframe.mail")
    frame.get_by_text("Hello Bo").wait_for()

    def is_shown() -> bool:
        try:
            return bool(frame.locator("img").evaluate("picture => picture.naturalWidth === 2"))
        except Error:  # the frame was drawn anew meanwhile
            return False

    wait_until(is_shown, "the picture is shown", deadline=20)
    assert server.messages == []


def send_test(page: Page, hand: Mouse, server: SmtpServer, url: str) -> None:
    """A real server receives it, and its picture is shown to whoever opens it."""
    hand.fill(page.locator("#address"), "me@example.com")
    hand.click(page.get_by_role("button", name="Send a test"))
    page.get_by_text("The test is on its way.").wait_for()
    html = html_of(letter(server, "me@example.com"))
    assert "Hello Bo" in html
    source = re.search(r'<img src="([^"]+)"', html)
    assert source is not None
    assert source[1].startswith(url)
    shown = httpx.get(source[1])
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")


def plan_and_send(page: Page, hand: Mouse) -> None:
    hand.click(page.get_by_role("button", name="Keep the draft and plan"))
    page.wait_for_url("**/plan")
    hand.fill(page.locator("#count"), "3")
    hand.click(page.get_by_role("button", name="Send"))
    page.wait_for_url(re.compile("/campaigns/[0-9a-f-]{36}$"))
    page.wait_for_function(
        "() => /Sent 2/.test(document.querySelector('.legend')?.textContent)"
        " && /Failed 1/.test(document.querySelector('.legend').textContent)",
        timeout=patience(60) * 1000,
    )


def mend_and_retry(page: Page, hand: Mouse, url: str, port: int) -> None:
    """Open whoever failed, read why, let the channel use another server, and send again."""
    campaign = page.url
    page.goto(f"{campaign}/recipients?status=failed")
    hand.click(page.get_by_role("link", name="Cy"))
    page.get_by_text("552").first.wait_for()
    recipient = page.url
    page.goto(f"{url}/console/channels")
    hand.click(page.get_by_role("link", name="Mail", exact=True))
    hand.click(page.get_by_role("link", name="Change"))
    hand.fill(page.locator("#settings-port"), str(port))
    hand.click(page.get_by_role("button", name="Keep it"))
    page.wait_for_url(re.compile("/channels/[0-9a-f-]{36}$"))
    page.goto(recipient)
    hand.click(page.get_by_role("button", name="Send again"))
    page.get_by_text("It is sent again.").wait_for()
    page.goto(campaign)
    page.wait_for_function(
        "() => /Sent 3/.test(document.querySelector('.legend')?.textContent)", timeout=patience(60) * 1000
    )
