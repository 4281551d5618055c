"""`muster topic`, and campaigns that are about one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster


def test_topics_are_made_named_by_campaigns_and_deleted(populated: Muster, tmp_path: Path) -> None:
    text = tmp_path / "x.txt"
    text.write_text("x")
    populated.ok("channel", "create", "outbox", "--kind", "file")
    assert "there is no topic" in populated.ok("topic", "list").err
    populated.ok("topic", "create", "News", "--description", "Twice a month")
    assert populated("topic", "create", "news").code != 0
    [shown] = populated.ok("topic", "list", "--json").json["results"]
    assert (shown["name"], shown["opted_out"]) == ("News", 0)
    campaign = ("campaign", "create", "Spring", "--where", "country = Norway", "--text", text)
    unknown = populated(*campaign, "--topic", "Nwes")
    assert (unknown.code, "did you mean 'News'" in unknown.err) == (1, True)
    populated.ok(*campaign, "--topic", "News")
    assert populated.ok("campaign", "show", "Spring", "--json").json["topic_id"] == shown["id"]
    used = populated("topic", "delete", "News")
    assert (used.code, "campaign 'Spring'" in used.err) == (1, True)
    populated.ok("campaign", "delete", "Spring", "--yes")
    populated.ok("topic", "delete", "News")
