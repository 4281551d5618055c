"""`muster top`: what it shows once; that it looks again at a terminal is Rich's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster


def test_it_says_that_nothing_runs(acme: Muster) -> None:
    shown = acme.ok("top").out
    assert "nothing runs" in shown
    assert "worker 0" in shown


def test_it_shows_running_campaigns_channels_and_work_that_waits(populated: Muster, tmp_path: Path) -> None:
    text = tmp_path / "x.txt"
    text.write_text("x")
    populated.ok("channel", "create", "outbox", "--kind", "file")
    made = populated.ok(
        *("campaign", "create", "Hello [bold]all[/]", "--where", "country = Norway", "--text", text),
        *("--activate", "--yes", "--quiet"),
    )
    shown = populated.ok("top", "--once").out
    assert "Hello [bold]all[/]" in shown, "a name is text"
    assert "outbox" in shown
    assert "working" in shown
    found = json.loads(populated.ok("top", "--json").out)
    (campaign,) = found["campaigns"]
    assert campaign["id"] == made.out.strip()
    assert (campaign["processed"], campaign["waiting"][0]["code"]) == (0, "planning")
    assert [one["state"] for one in found["channels"]] == ["working"]


def test_an_organization_that_there_is_not_is_named(acme: Muster) -> None:
    assert acme("--org", "nobody", "top").code == 1
