"""What is done every day is done on the command line: changing, deleting, looking, lists to leave alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.kernel.csv_cells import defused
from tests.cli.conftest import uuid_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster


@pytest.fixture
def ready(populated: Muster, tmp_path: Path) -> Muster:
    """Five contacts, a channel, a template and a campaign."""
    populated.ok("channel", "create", "mail", "--kind", "file", "--default")
    (tmp_path / "hello.txt").write_text("Hello {{ first_name }}")
    populated.ok("template", "create", "Hello", "--subject", "Hi", "--text", "hello.txt")
    populated.ok("campaign", "create", "Norway", "--where", "country = Norway", "--template", "Hello")
    return populated


def test_templates_are_made_changed_and_deleted(ready: Muster, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>{{ first_name }}</p>")
    (tmp_path / "terms.txt").write_text("terms")
    ready.ok("template", "update", "Hello", "--subject", "Ho", "--html", "page.html", "--attach", "terms.txt")
    shown = ready.ok("template", "preview", "Hello", "--set", "first_name=Ada", "--json").json
    assert (shown["subject"], shown["html"], shown["text"]) == ("Ho", "<p>Ada</p>", "Hello Ada")
    assert ready("template", "update", "Hello", "--set", "txet=x").code == 2
    assert ready("template", "update", "Hello").code == 2
    assert ready("template", "delete", "Hello").code == 1, "a flow names it"
    ready.ok("template", "create", "Spare", "--text", "hello.txt", "--set", 'defaults={"first_name": "you"}')
    ready.ok("template", "delete", "Spare")
    assert [one["name"] for one in ready.ok("template", "list", "--json").json["results"]] == ["Hello"]


def test_channels_are_changed_and_limited(ready: Muster) -> None:
    ready.ok(
        "channel",
        "update",
        "mail",
        "--name",
        "post",
        "--setting",
        "format=eml",
        "--set",
        "cost_per_message=0.5",
    )
    ready.ok("channel", "limits", "post", 'rate={"messages": 10, "per": "minute"}')
    ready.ok("channel", "update", "post", "--setting", "address=email")
    [shown] = ready.ok("channel", "list", "--json").json["results"]
    assert shown["settings"] == {"format": "eml", "address": "email"}
    assert ready.ok("channel", "limits", "post", "--json").json["rate"]["messages"] == 10
    assert ready.ok("channel", "limits", "post", "rate=null").out == "no limits\n"
    assert ready("channel", "limits", "post", "rate=fast").code == 2
    ready.ok("channel", "create", "other", "--kind", "null")
    assert ready.ok("channel", "delete", "other").out == "other: deleted\n"


def test_targets_say_whom_they_mean(ready: Muster) -> None:
    made = ready.ok("target", "create", "Nordic", "--where", "orders > 2 and not country = Denmark")
    assert made.out.endswith(": 3 are in it\n")
    assert "Nordic: 3 where orders > 2 and country != Denmark" in ready.ok("target", "preview", "Nordic").out
    first = ready.ok("target", "list", "--limit", "1", "--json").json
    rest = ready.ok("target", "list", "--next", first["next"], "--json").json
    assert {one["name"] for one in first["results"] + rest["results"]} == {"Nordic", "Norway"}
    refused = ready("target", "create", "x", "--where", "orders > 2 country")
    assert (refused.code, "^" in refused.err) == (2, True)
    assert ready("target", "create", "x").code == 2
    ready.ok("target", "delete", "Nordic")


def test_the_list_of_addresses_is_kept(ready: Muster, tmp_path: Path) -> None:
    assert "added" in ready.ok("suppression", "add", " ADA@Example.com ").out
    assert "already" in ready.ok("suppression", "add", "ada@example.com").out
    path = tmp_path / "barred.csv"
    path.write_text("medium;address\nemail;bo@example.com\nemail;nobody\n")
    done = ready("suppression", "import", path)
    assert (done.code, "1 added" in done.out, "line 3" in done.err) == (1, True, True)
    exported = ready.ok("suppression", "export").out
    assert "ada@example.com,manual,,email" in exported
    page = ready.ok("suppression", "list", "--limit", "1", "--json").json
    assert page["next"]
    ready.ok("suppression", "remove", "Ada@example.com")
    assert ready("suppression", "remove", "ada@example.com").code == 1
    assert ready("suppression", "list", "--medium", "mail").code == 2


def test_campaigns_are_changed_called_off_and_deleted(ready: Muster) -> None:
    ready.ok("campaign", "update", "Norway", "--goal", "orders", "--set", "ends=when_told")
    shown = ready.ok("campaign", "show", "Norway", "--json").json
    assert (shown["goal"], shown["ends"]) == ("orders", "when_told")
    assert ready("campaign", "update", "Norway", "--set", "gaol=x").code == 2
    ready.ok("campaign", "schedule", "Norway", "2099-01-01T10:00Z", "--yes")
    assert "called off" in ready.ok("campaign", "unschedule", "Norway").out
    assert ready("campaign", "unschedule", "Norway").code == 1
    assert ready.ok("campaign", "stats", "Norway", "--json").json["overview"]["sent"] == 0
    assert "nothing was sent yet" in ready.ok("campaign", "stats", "Norway").err
    beginning = shown["id"][:8]
    assert ready.ok("campaign", "show", beginning, "--json").json["id"] == shown["id"]
    assert ready("campaign", "show", "zzzz").code == 1
    assert ready("campaign", "delete", "Norway").code == 2, "nobody can be asked"
    assert ready.ok("campaign", "delete", beginning, "--yes").out == "Norway: deleted\n"


def test_people_are_looked_up_and_deleted(ready: Muster) -> None:
    ada = ready.ok("entity", "get", "ada@example.com").json
    assert ready.ok("entity", "get", "Ada <ADA@Example.com>").json == ada
    assert (ada["first_name"], ada["external_id"]) == ("Ada", "1")
    assert len(ready.ok("entity", "list", "--limit", "2", "--json").json["results"]) == 2
    assert ready("entity", "delete", "1").code == 2
    ready.ok("entity", "delete", "1", "--yes")
    assert ready("entity", "get", "1").code == 1


def test_recipients_are_found_by_their_addresses_and_printed_for_a_spreadsheet(ready: Muster) -> None:
    ready.ok("campaign", "activate", "Norway", "--yes")
    assert ready.ok("recipients", "Norway", "--json").json["total"] == 0, "nobody plans here"
    assert ready.ok("recipients", "Norway", "--csv").out.startswith("entity_id,external_id,title,address,")
    assert ready.ok("recipients", "Norway", "--q", "ADA@", "--json").json["results"] == []
    risky = ["=1+1", "+49 151", "-5", "@cmd", "-x", "plain", "\t=1", None, 3]
    assert [defused(one) for one in risky] == [
        "'=1+1",
        "+49 151",
        "-5",
        "'@cmd",
        "'-x",
        "plain",
        "'\t=1",
        None,
        3,
    ]


def test_webhooks_are_made_listed_and_deleted(ready: Muster) -> None:
    made = ready.ok("webhook", "create", "https://example.com/hook", "--event", "campaign.*")
    assert "secret" in made.out
    webhook_id = str(uuid_in(made.out))
    assert [one["id"] for one in ready.ok("webhook", "list", "--json").json["results"]] == [webhook_id]
    ready.ok("webhook", "delete", webhook_id[:8])
    assert ready.ok("webhook", "list", "--json").json["results"] == []


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_a_shell_completes_commands(muster: Muster, shell: str, word: str) -> None:
    script = muster.ok("completion", shell).out
    assert word in script
    assert "_MUSTER_COMPLETE" in script
    assert muster("completion", "tcsh").code == 2
