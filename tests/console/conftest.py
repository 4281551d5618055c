"""The console over the API's server of tests.api, people of every role who are signed in, and a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.conftest import Api, api, client, stranger
from tests.console.world import World, make_world
from tests.harness.waiting import patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

__all__ = ["api", "client", "stranger"]

CHROMIUM = Path("/usr/bin/chromium")


class Person(httpx.Client):
    """Somebody at a browser, who is signed in."""

    def __init__(self, api: Api, key: str) -> None:
        super().__init__(base_url=api.url, timeout=patience(60), headers={"accept-language": "en"})
        answer = self.post("/console/sign-in", data={"key": key})
        assert answer.status_code == 303, answer.text

    def token(self) -> str:
        """What forms carry."""
        return self.get("/console").text.split('name="csrf" value="', 1)[1].split('"', 1)[0]

    def submit(self, path: str, **fields: object) -> httpx.Response:
        """Send a form of the console."""
        return self.post(path, data={"csrf": self.token(), **fields})


@pytest.fixture
def sign_in(api: Api) -> Iterator[Callable[..., Person]]:
    """Signs somebody in: `sign_in("viewer")`."""
    people: list[Person] = []

    def enter(role: str = "admin", *, key: str | None = None) -> Person:
        people.append(Person(api, key or api.keys[role]))
        return people[-1]

    yield enter
    for person in people:
        person.close()


@pytest.fixture
def world(api: Api) -> World:
    """Something of everything, whose names are attempts to be markup."""
    return make_world(api)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; tests that need it are skipped where it is not installed."""
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not there: {CHROMIUM} (apt-get install chromium)")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM))
        yield browser
        browser.close()
