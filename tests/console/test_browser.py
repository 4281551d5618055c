"""Pages in a real browser: nothing serious for people who use assistive technology, no request to other hosts, nothing
that a name smuggles in, and numbers that move by themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from state.tables import Job
from tests.console.pages import PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page

    from tests.api.conftest import Api
    from tests.console.world import World

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()
SIZES = {"wide": (1440, 900), "phone": (360, 740)}
#: What is the same in both databases is looked at in one.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


class Visit:
    """A browser that is signed in, and what it met."""

    def __init__(self, page: Page, api: Api) -> None:
        self.page = page
        self.hosts: set[str] = set()
        self.troubles: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", self._note_error)
        page.goto(f"{api.url}/console/sign-in")
        page.fill("#key", api.keys["admin"])
        page.click("button.primary")
        page.wait_for_url("**/console")

    def _note_error(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.troubles.append(said.text)


@pytest.fixture
def visit(api: Api, browser: Browser, world: World, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Somebody who opens pages; `indirect` says how."""
    size: str
    scheme: Literal["light", "dark"]
    size, scheme = getattr(request, "param", ("wide", "light"))
    width, height = SIZES[size]
    # axe is injected by the test, past the policy that pages have.
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, timezone_id="UTC", locale="en-US"
    )
    yield Visit(context.new_page(), api)
    context.close()


@pytest.mark.parametrize(
    "visit", [("wide", "light"), ("phone", "dark")], indirect=True, ids=["light", "phone-dark"]
)
def test_no_page_has_anything_serious_or_asks_another_host(api: Api, visit: Visit, world: World) -> None:
    serious: dict[str, list[str]] = {}
    for name, path in PAGES.items():
        visit.page.goto(api.url + path(world))
        visit.page.wait_for_selector("main h1")
        found = visit.page.evaluate(f"() => {{ {AXE}; return axe.run(document, {{iframes: false}}) }}")
        wrong = [
            f"{one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        if wrong:
            serious[name] = wrong
        assert visit.page.evaluate("() => window.hacked") is None, name
        wide = visit.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (name, wide)
    assert serious == {}
    assert visit.hosts == {urlsplit(api.url).netloc}
    assert visit.troubles == []


def test_the_bar_moves_by_itself(api: Api, visit: Visit, world: World) -> None:
    page = visit.page
    page.goto(f"{api.url}/console/campaigns/{world.campaign_id}")
    page.wait_for_selector('.live[data-state="on"]')
    with api.database.begin() as session:
        session.execute(update(Job).values(success=3, failed=1))
    page.wait_for_function("() => document.querySelector('.legend').textContent.includes('Sent 3')")


def test_a_move_is_asked_in_a_dialog_by_keyboard_alone(api: Api, visit: Visit, world: World) -> None:
    page = visit.page
    page.goto(f"{api.url}/console")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/console/campaigns")
    page.goto(f"{api.url}/console/campaigns/{world.campaign_id}")
    link = page.get_by_role("link", name="Pause")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] button.primary")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] button.primary")
    page.locator("dialog button.primary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".badge.paused")
    assert visit.troubles == []


def test_pages_show_without_scripts(api: Api, browser: Browser, world: World) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{api.url}/console/sign-in")
    page.fill("#key", api.keys["viewer"])
    page.click("button.primary")
    page.goto(f"{api.url}/console/campaigns/{world.campaign_id}")
    assert "Sent 2" in (page.locator(".legend").text_content() or "")
    context.close()
