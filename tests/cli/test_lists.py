"""Every list of the command line comes in bounded pages of one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from actors.cli.app import app

if TYPE_CHECKING:
    from tests.cli.conftest import Muster

#: Organizations are few, and a command names one of them.
_WHOLE = {"org"}


def lists() -> list[str]:
    groups = get_command(app).commands.items()  # type: ignore[attr-defined]
    return sorted(name for name, group in groups if "list" in getattr(group, "commands", {}))


def test_every_list_has_pages_and_json() -> None:
    groups = get_command(app).commands  # type: ignore[attr-defined]
    assert {
        "campaign",
        "channel",
        "entity",
        "keys",
        "suppression",
        "target",
        "template",
        "topic",
        "webhook",
    } <= set(lists())
    for name in lists():
        options = {text for option in groups[name].commands["list"].params for text in option.opts}
        wanted = {"--json"} if name in _WHOLE else {"--json", "--next", "--limit"}
        assert wanted <= options, name


def make(muster: Muster, kind: str, name: str) -> None:
    match kind:
        case "campaign":
            muster.ok("campaign", "create", name, "--where", "country = Norway", "--template", "Hello")
        case "channel":
            muster.ok("channel", "create", name, "--kind", "file")
        case "template":
            muster.ok("template", "create", name, "--text", "hello.txt")
        case "webhook":
            muster.ok(
                "webhook", "create", f"https://hooks.example.com/{name}", "--event", "campaign.completed"
            )
        case "keys":
            muster.ok("keys", "create", name)
        case "topic":
            muster.ok("topic", "create", name)
        case "target":
            muster.ok("target", "create", name, "--where", "country = Norway")


@pytest.mark.parametrize("kind", ["campaign", "channel", "keys", "target", "template", "topic", "webhook"])
def test_a_list_is_read_page_by_page(populated: Muster, kind: str) -> None:
    (populated.folder / "hello.txt").write_text("Hello")
    if kind == "campaign":
        make(populated, "template", "Hello")
    for number in range(5):
        make(populated, kind, f"x{number}")
    called = "url" if kind == "webhook" else "name"
    whole = [one[called] for one in populated.ok(kind, "list", "--json").json["results"]]
    assert 5 <= len(whole) == len(set(whole))
    following: list[str] = []
    paged: list[str] = []
    while True:
        page = populated.ok(kind, "list", "--json", "--limit", "2", *following).json
        assert {"results", "next"} == set(page)
        assert 1 <= len(page["results"]) <= 2
        paged += [one[called] for one in page["results"]]
        if page["next"] is None:
            break
        following = ["--next", page["next"]]
    assert whole == paged
    shown = populated.ok(kind, "list", "--limit", "2")
    assert "--next" in shown.err
    assert populated(kind, "list", "--next", "x").code != 0
