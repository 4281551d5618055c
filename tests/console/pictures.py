"""`make pictures`: every page as a picture, light and as on a phone, into docs/console.

Starts `muster dev` on a folder of its own with an invented shop, delivers a campaign of it, and looks at the pages with
Debian's Chromium. A picture has at most 60 kB: 128 colours, and as tall as the page needs within a screen.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.harness.dev_server import dev_server
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

FOLDER = Path(__file__).parents[2] / "docs" / "console"
KEY = "mk_pictures_of_the_console"
CHROMIUM = "/usr/bin/chromium"
LONGEST = 60_000
SIZES = {"light": (1280, 800), "phone": (390, 844)}
_NAMES = ("Ada", "Bo", "Clara", "Dag", "Eva", "Finn", "Greta", "Hugo", "Ida", "Jon")
_DOMAINS = ("example.com", "example.org", "example.net")


def people(count: int) -> str:
    """A file of customers; some have no address."""
    rows = ["customer_id,first_name,last_name,email,country,newsletter"]
    for number in range(count):
        address = "" if number % 97 == 0 else f"c{number:05}@{_DOMAINS[number % 3]}"
        country = ("Norway", "Sweden", "Denmark")[number % 3]
        rows.append(
            f"{number},{_NAMES[number % 10]},Berg,{address},{country},{'yes' if number % 4 else 'no'}"
        )
    return "\n".join(rows) + "\n"


def furnish(api: httpx.Client) -> dict[str, str]:
    """A shop with customers, a delivered campaign, a draft and a scheduled one; the paths of its pages."""
    answer = api.post(
        "/v1/entity/contact:import",
        params={"external_id": "customer_id", "title": "{first_name} {last_name}"},
        content=people(6000),
        headers={"content-type": "text/csv"},
    )
    answer.raise_for_status()
    template = made(
        api,
        "/v1/template",
        name="Autumn letter",
        subject="{{ first_name }}, autumn has come",
        html="<h1>Hello {{ first_name }}</h1><p>The new collection is here, and you see it first.</p>"
        '<p><a href="{{ unsubscribe_url }}">No more of these</a></p>',
    )
    target = made(
        api,
        "/v1/target",
        name="Newsletter, Norway and Sweden",
        entity_schema="contact",
        entity_filters={
            "filter": {
                "combination": "AND",
                "items": [
                    {"key": "newsletter", "operator": "EQUALS", "value": "yes"},
                    {"key": "country", "operator": "IS_ONE_OF", "value": ["Norway", "Sweden"]},
                ],
            }
        },
    )
    steps = [
        {"name": "Letter", "template_id": template},
        {"type": "wait", "name": "A moment", "settings": {"seconds": 1}},
        {"name": "Reminder", "template_id": template},
    ]
    flow = made(api, "/v1/flow", name="Letter and reminder", touchpoints=steps)
    single = made(api, "/v1/flow", name="Letter", touchpoints=steps[:1])
    about = {"target_ids": [target]}
    sent = made(
        api,
        "/v1/campaign",
        name="Autumn collection",
        flow_id=flow,
        **about,
        goal="Orders of the new collection",
    )
    draft = made(api, "/v1/campaign", name="Winter preview", flow_id=single, **about)
    running = made(
        api, "/v1/campaign", name="Spring sale", flow_id=single, **about, limits={"rate": {"messages": 25}}
    )
    api.post("/v1/suppression", json={"address": "c00001@example.org", "medium": "email"}).raise_for_status()
    api.post(f"/v1/campaign/{sent}/status", json={"status": "active"}).raise_for_status()
    wait_until(
        lambda: api.get(f"/v1/campaign/{sent}/job").json().get("status") == "finished",
        "delivery",
        deadline=120,
    )
    api.post(f"/v1/campaign/{running}/status", json={"status": "active"}).raise_for_status()
    wait_until(lambda: counts(api, running) > 100, "a part of the delivery", deadline=60)
    written = write_letter(api)
    recipient = api.get(f"/v1/campaign/{sent}/recipients?limit=1").json()["results"][0]["entity_id"]
    channel = api.get("/v1/channel").json()["results"][0]["_id"]
    for name, description in (
        ("Letters", "Once a month: what is new in the shop"),
        ("Offers", "When a price falls"),
    ):
        api.post("/v1/topic", json={"name": name, "description": description}).raise_for_status()
    return {
        "home": "/console",
        "campaigns": "/console/campaigns",
        "campaign": f"/console/campaigns/{running}",
        "campaign-over": f"/console/campaigns/{sent}",
        "recipients": f"/console/campaigns/{sent}/recipients",
        "recipient": f"/console/campaigns/{sent}/recipients/{recipient}",
        "plan": f"/console/campaigns/{draft}/plan",
        "write": f"/console/campaigns/{written}/write",
        "audience": "/console/audience",
        "import": "/console/audience/import",
        "person": f"/console/audience/people/contact/{recipient}",
        "targets": "/console/audience/targets",
        "target": f"/console/audience/targets/{target}",
        "suppressions": "/console/audience/suppressions",
        "topics": "/console/audience/topics",
        "templates": "/console/templates",
        "template": f"/console/templates/{template}",
        "translation": f"/console/templates/{template}/translation",
        "channels": "/console/channels",
        "channel": f"/console/channels/{channel}",
        "new-channel": "/console/channels/new?kind=smtp",
        "webhooks": "/console/webhooks",
        "calendar": "/console/calendar",
        "operations": "/console/operations",
        "settings": "/console/settings",
        "keys": "/console/settings/keys",
        "audit": "/console/settings/audit",
    }


def write_letter(api: httpx.Client) -> str:
    """A campaign that is being written, by its form."""
    with httpx.Client(base_url=api.base_url, timeout=60) as person:
        person.post("/console/sign-in", data={"key": KEY})
        page = person.get("/console").text
        token = page.split('name="csrf" value="', 1)[1].split('"', 1)[0]
        begun = person.post("/console/campaigns/new", data={"csrf": token, "name": "Winter letter"})
        path = begun.headers["location"]
        body = "<h1>Hello {{ first_name }}</h1>\n<p>Winter is near, and so are warm coats.</p>\n"
        form = {
            "name": "Winter letter",
            "schema_name": "contact",
            "audience": "conditions",
            "groups.0.rows.0.name": "country",
            "groups.0.rows.0.operator": "IS_ONE_OF",
            "groups.0.rows.0.value": "Norway, Sweden",
            "groups.0.rows.1.name": "newsletter",
            "groups.0.rows.1.value": "yes",
            "steps.0.type": "message",
            "steps.0.name": "Letter",
            "steps.0.subject": "{{ first_name }}, winter is near",
            "steps.0.body": body + '<p><a href="{{ unsubscribe_url }}">No more of these</a></p>',
            "steps.1.type": "wait",
            "steps.2.type": "condition",
            "steps.2.where": "'engagement.clicked within 2 days' is empty",
            "steps.3.type": "message",
            "steps.3.subject": "Did you see it?",
            "steps.3.body": body,
        }
        person.post(path, data={"csrf": token, **form}).raise_for_status()
        return path.split("/")[3]


def counts(api: httpx.Client, campaign_id: str) -> int:
    """Outcomes of a campaign."""
    return int(api.get(f"/api/v1/campaigns/{campaign_id}/progress").json()["data"]["progress"]["processed"])


def made(api: httpx.Client, path: str, **given: object) -> str:
    """The id of what was made."""
    answer = api.post(path, json=given)
    if answer.is_error:
        raise SystemExit(f"{path}: {answer.text}")
    return str(answer.json()["_id"])


def pictures(browser: Browser, url: str, pages: dict[str, str]) -> Iterator[Path]:
    """Look at every page in every size."""
    for size, (width, height) in SIZES.items():
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="light",
            timezone_id="UTC",
            locale="en-US",
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto(f"{url}/console/sign-in")
        page.fill("#key", KEY)
        page.click("button.primary")
        page.wait_for_url(re.compile("/console$"))
        for name, path in pages.items():
            page.goto(url + path)
            page.wait_for_selector("main h1")
            if page.locator(".live").count():
                page.wait_for_selector('.live[data-state="on"]')
            file = FOLDER / f"{name}-{size}.png"
            page.screenshot(path=file)
            yield squeezed(file)
        context.close()


def squeezed(file: Path) -> Path:
    """The picture in fewer colours, until it is small enough."""
    for colours in (128, 64, 32, 16):
        with Image.open(file) as image:
            image.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(file, optimize=True)
        if file.stat().st_size <= LONGEST:
            return file
    raise SystemExit(f"{file.name} has {file.stat().st_size} bytes")


def main() -> None:
    """Make them anew."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        dev_server(Path(folder), KEY) as url,
        sync_playwright() as playwright,
    ):
        with httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}"}, timeout=60) as api:
            pages = furnish(api)
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for file in pictures(browser, url, pages):
            sys.stdout.write(f"{file.name} {file.stat().st_size:,}\n")
        browser.close()


if __name__ == "__main__":
    main()
