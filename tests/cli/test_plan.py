"""`muster plan` looks ahead: nothing is kept, nothing is sent, and what would fail is exit code 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster


@pytest.fixture
def ready(populated: Muster, tmp_path: Path) -> Muster:
    """Five contacts, one without an address, and a channel that costs something."""
    mail = ("--kind", "file", "--set", "medium=email", "--set", "address=email", "--default")
    populated.ok("channel", "create", "mail", *mail)
    (tmp_path / "hello.txt").write_text("Hello {{ first_name }}, {{ 12 | divided_by: orders }} left.")
    return populated


def test_a_campaign_is_looked_at_and_shown(ready: Muster) -> None:
    ready.ok(
        "campaign", "create", "Nordics", "--where", "orders > 2", "--subject", "Hi", "--text", "hello.txt"
    )
    shown = ready("plan", "Nordics")
    assert shown.code == 1, "Dana has no address"
    for words in (
        "match       3",
        "written to  2",
        "NO_ADDRESS",
        "example.com",
        "Hello Bo, 1 left.",
        "subject  Hi",
    ):
        assert words in shown.out
    found = ready("plan", "Nordics", "--json").json
    assert (found["matched"], found["written_to"], found["fails"]) == (3, 2, True)
    assert ready.ok("campaign", "show", "Nordics", "--json").json["status"] == "draft"


def test_all_is_well_for_those_who_can_be_written_to(ready: Muster) -> None:
    where = ("--where", "orders > 0 and email is not empty")
    ready.ok("campaign", "create", "Reachable", *where, "--subject", "Hi", "--text", "hello.txt")
    assert "written to  3" in ready.ok("plan", "Reachable").out
    part = ready.ok("plan", "Reachable", "--percentage", "100", "--people", "1", "--json").json
    assert (part["recipients"], part["fails"]) == (3, False)


def test_a_file_is_planned_and_nothing_of_it_is_kept(ready: Muster, tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(
        "name: From a file\naudience: {where: ['country = Norway and email is not empty']}\n"
        "template: {subject: Hi, text: 'Hello {{ first_name }}'}\n"
    )
    assert "From a file: draft" in ready.ok("plan", path).out
    assert ready.ok("campaign", "list", "--json").json["results"] == []
    assert ready.ok("template", "list", "--json").json["results"] == []
    path.write_text("name: x\naudience: {where: ['country = Norway, or so']}\ntemplate: {text: x}\n")
    refused = ready("plan", path)
    assert (refused.code, "^" in refused.err) == (2, True)
    assert ready("plan", tmp_path / "absent.yaml").code == 2
    assert ready("plan", "absent").code == 1


def test_nobody_to_write_to_is_a_failure(ready: Muster) -> None:
    ready.ok(
        "campaign", "create", "Nobody", "--where", "country = Chad", "--subject", "Hi", "--text", "hello.txt"
    )
    assert ready("plan", "Nobody").code == 1
