"""Campaigns from the command line: made whole or not at all, and led through their life; on both databases."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from state.tables import Campaign, Channel, Flow, Job, Target, Template, Touchpoint
from tests.cli.conftest import uuid_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster

NORWAY = ("--where", "country = Norway", "--subject", "Hello {{ first_name }}")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "hello.txt"
    path.write_text("Hello {{ first_name }}, from {{ country }}.")
    return path


def _rows(muster: Muster) -> dict[str, int]:
    database = muster.database()
    with database.read() as session:
        counted = {
            table.__tablename__: session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Campaign, Flow, Target, Template, Job)
        }
    database.close()
    return counted


def test_it_is_made_with_all_it_needs_and_led_through_its_life(populated: Muster, text: Path) -> None:
    populated.ok("channel", "create", "files", "--kind", "file")
    made = populated.ok("campaign", "create", "Norway", *NORWAY, "--text", text, "--channel", "files")
    campaign_id = uuid_in(made.out)
    assert _rows(populated) == {"campaign": 1, "flow": 1, "target": 1, "template": 1, "job": 0}

    shown = populated.ok("campaign", "show", "Norway", "--json").json
    assert shown["id"] == str(campaign_id)
    assert (shown["targets"], shown["flow"], shown["channels"]) == (["Norway"], "Norway", ["files"])

    assert populated.ok("campaign", "activate", campaign_id, "--yes").out == "Norway: activating\n"
    again = populated("campaign", "activate", "Norway", "--yes")
    assert again.code == 1
    assert "CAMPAIGN_HAS_UNEXPECTED_STATUS" in again.err
    assert populated.ok("campaign", "pause", "Norway", "--json").json["status"] == "paused"
    waiting = populated.ok("campaign", "show", "Norway", "--json").json["waiting"]
    assert (waiting[0]["code"], waiting[0]["scope"]) == ("paused", "campaign")
    assert populated.ok("campaign", "resume", "Norway", "--yes").out == "Norway: activating\n"
    assert populated.ok("campaign", "deactivate", "Norway").out.startswith("Norway: deactivated; ")
    assert populated.ok("campaign", "cancel", "Norway").out == "Norway: cancelled\n"
    assert populated("campaign", "activate", "Norway", "--yes").code == 1


def test_it_is_executed_in_parts_scheduled_and_copied(populated: Muster, text: Path) -> None:
    populated.ok("channel", "create", "files", "--kind", "file")
    populated.ok("campaign", "create", "Norway", *NORWAY, "--text", text)
    planned = populated.ok("campaign", "schedule", "Norway", "2099-01-01T10:00", "--yes", "--priority", "low")
    assert planned.out.startswith("Norway: scheduled for 2099-01-01 ")
    assert re.search(r"[+-]\d\d:\d\d$", planned.out.strip()), "with its offset"
    started = populated.ok("campaign", "execute", "Norway", "--yes", "--percentage", "10", "--json").json
    assert started["status"] == "started"
    again = populated("campaign", "execute", "Norway", "--yes")
    assert (again.code, "CAMPAIGN_HAS_JOB_IN_PROGRESS" in again.err) == (1, True)
    copy = populated.ok("campaign", "clone", "Norway")
    assert copy.out.startswith("created campaign Norway (Copy) (")
    assert populated.ok("campaign", "clone", "Norway", "Norwegen", "--json").json["status"] == "draft"
    for wrong in (("--priority", "urgent"), ("--percentage", "0")):
        assert populated("campaign", "execute", "Norwegen", "--yes", *wrong).code in (1, 2)
    assert populated("campaign", "schedule", "Norwegen", "soon").code == 2
    for past in ("2020-01-01T10:00", "2020-01-01T10:00+14:00"):
        refused = populated("campaign", "schedule", "Norway", past)
        assert (refused.code, "is in the past" in refused.err) == (2, True), refused
    shown = populated.ok("campaign", "schedule", "Norway", "2099-01-01T09:00+01:00", "--yes", "--json").json
    assert datetime.fromisoformat(shown["starts_at"]) == datetime(2099, 1, 1, 8, tzinfo=UTC)
    assert datetime.fromisoformat(planned.out.rpartition(" for ")[2].strip()).tzinfo is not None
    populated.ok("campaign", "pause", "Norway")
    assert populated.ok("campaign", "complete", "Norway").out == "Norway: completed\n"


def test_nobody_is_written_to_without_an_answer(
    populated: Muster, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    populated.ok("channel", "create", "files", "--kind", "file")
    create = ("campaign", "create", "Sweden", "--where", "country = Sweden", "--subject", "x", "--text", text)
    populated.ok("campaign", "create", "Norway", *NORWAY, "--text", text)
    starts = (
        ("campaign", "activate", "Norway"),
        ("campaign", "execute", "Norway"),
        ("campaign", "schedule", "Norway", "2099-01-01T10:00"),
        (*create, "--activate"),
    )
    for start in starts:
        refused = populated(*start)
        assert (refused.code, "--yes" in refused.err) == (2, True), refused
    monkeypatch.setattr("actors.cli.confirm.can_ask", lambda: True)
    for start in starts:
        no = populated(*start, stdin="n\n")
        assert (no.code, "nothing was started" in no.err) == (1, True), no
        assert re.search(r"(Norway: 3|Sweden: 1) recipients, over files \(file\)", no.err)
    assert _rows(populated)["job"] == 0
    assert _rows(populated)["campaign"] == 1
    assert populated.ok("campaign", "execute", "Norway", "--test").out == "Norway: started\n"
    assert "activating" in populated.ok(*create, "--activate", stdin="y\n").out
    told = populated.ok("campaign", "execute", "Norway", "--percentage", "100", "--yes")
    assert "Norway: 3 recipients" in told.err
    assert _rows(populated)["job"] == 2
    populated.ok("campaign", "pause", "Norway")
    no = populated("campaign", "resume", "Norway", stdin="n\n")
    assert (no.code, "Norway: 3 recipients, over files (file)" in no.err) == (1, True), no
    assert populated.ok("campaign", "show", "Norway", "--json").json["status"] == "paused"
    running = populated("campaign", "delete", "Norway", "--yes")
    assert (running.code, "muster campaign cancel" in running.err) == (1, True), running


def test_it_is_listed_newest_first_and_by_status(populated: Muster, text: Path) -> None:
    for name in ("One", "Two"):
        populated.ok("campaign", "create", name, *NORWAY, "--text", text)
    populated.ok("campaign", "cancel", "One")
    assert [one["name"] for one in populated.ok("campaign", "list", "--json").json["results"]] == [
        "Two",
        "One",
    ]
    listed = populated.ok("campaign", "list", "--status", "cancelled", "--json").json["results"]
    assert [one["name"] for one in listed] == ["One"]
    assert [
        one["name"] for one in populated.ok("campaign", "list", "--q", "tw", "--json").json["results"]
    ] == ["Two"]
    drawn = populated.ok("campaign", "list", "--limit", "1")
    assert "Two" in drawn.out
    assert "go on with --next " in drawn.err
    wrong = populated("campaign", "list", "--status", "cancled")
    assert (wrong.code, "did you mean 'cancelled'?" in wrong.err) == (2, True)


def test_a_file_says_it_all(populated: Muster, tmp_path: Path) -> None:
    folder = tmp_path / "campaigns"
    folder.mkdir()
    (folder / "hello.html").write_text("<p>Hello {{ first_name }}</p>")
    (folder / "norway.yaml").write_text(
        """
name: From a file
description: With a file beside it
audience:
  schema: contact
  where: ["country in (Norway, Denmark)", orders > 0]
template:
  subject: Hello {{ first_name }}
  html_file: hello.html
  sender: { email: news@example.com, name: Muster }
  defaults: { first_name: friend }
end_date: 2099-12-31
"""
    )
    made = populated.ok("campaign", "create", "--file", folder / "norway.yaml", "--json").json
    assert made["name"] == "From a file"
    assert made["end_date"] == "2099-12-31"
    populated.ok("campaign", "create", "Named again", "-f", folder / "norway.yaml")
    assert {one["name"] for one in populated.ok("campaign", "list", "--json").json["results"]} == {
        "From a file",
        "Named again",
    }


def test_a_file_of_several_steps(populated: Muster, tmp_path: Path) -> None:
    """Messages, waits and actions, in order, each for whom it is."""
    populated.ok("channel", "create", "files", "--kind", "file")
    populated.ok("channel", "create", "others", "--kind", "file")
    path = tmp_path / "steps.yaml"
    path.write_text("""
name: Three steps
audience: { where: ["country = Norway"] }
channel: files
steps:
  - name: first
    template: { subject: Hello, text: "Hello {{ first_name }}" }
  - wait: { days: 2 }
  - template: first
    channel: others
    where: ['"engagement.clicked within 2 days" is empty']
  - wait: { until: 2026-05-04T09:00:00Z }
  - action: { url: "https://crm.example.com/done", method: POST, body: { id: "{{ _id }}" } }
""")
    populated.ok("campaign", "create", "--file", path)
    database = populated.database()
    with database.read() as session:
        rows = session.scalars(select(Touchpoint).order_by(Touchpoint.position)).all()
        names = {row.id: row.name for row in session.scalars(select(Channel))}
    database.close()
    assert ["message", "wait", "message", "wait", "action"] == [row.type for row in rows]
    assert ["files", None, "others", None, None] == [row.channel_id and names[row.channel_id] for row in rows]
    assert rows[0].template_id == rows[2].template_id
    assert ({"days": 2}, {"until": "2026-05-04T09:00:00+00:00"}) == (rows[1].settings, rows[3].settings)
    assert rows[2].condition is not None
    assert "engagement.clicked within 2 days" == rows[2].condition["filter"]["items"][0]["key"]
    for wrong, said in (
        ("- {}", "steps[0] is one of"),
        ("- wait: { day: 2 }", "touchpoints[0].settings.day"),
        ("- action: { url: nowhere }", "touchpoints[0].settings.url"),
    ):
        path.write_text(f"name: Wrong\nsteps:\n  {wrong}\n")
        assert said in populated("campaign", "create", "--file", path).err


def test_what_exists_is_named(populated: Muster, text: Path) -> None:
    populated.ok("campaign", "create", "First", *NORWAY, "--text", text)
    populated.ok("campaign", "create", "Second", "--target", "First", "--flow", "First")
    populated.ok("campaign", "create", "Third", "--target", "First", "--template", "First")
    assert _rows(populated) == {"campaign": 3, "flow": 2, "target": 1, "template": 1, "job": 0}
    populated.ok("campaign", "create", "First", "--target", "First", "--flow", "First")
    twice = populated("campaign", "show", "First")
    assert (twice.code, "use the id" in twice.err) == (2, True)
    absent = populated("campaign", "show", "Frist")
    assert (absent.code, "did you mean 'First'?" in absent.err) == (1, True)


def test_a_filter_tree_is_taken_as_it_is(populated: Muster, text: Path, tmp_path: Path) -> None:
    inner = {"items": [{"key": "country", "operator": "EQUALS", "value": "Norway"}]}
    tree = {"items": [inner | {"combination": "OR"}]}
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({"filter": tree}))
    for given in (json.dumps(tree), f"@{path}"):
        populated.ok("campaign", "create", "Tree", "--filter", given, "--subject", "x", "--text", text)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--where", "country ~ Norway"), "Country = Norway"),
        (("--where", "country = Norway", "--where", "city in ()"), "where[1]"),
        (("--where", "age < 18, country = Norway"), "  age < 18, country = Norway\n          ^"),
        (("--filter", "{"), "filter"),
        (
            ("--filter", '{"items": [{"key": "a", "operator": "LIKE", "value": "b"}]}'),
            "did you mean CONTAINS",
        ),
        (("--filter", '{"items": []}', "--where", "a = b"), "not both"),
        (("--target", "absent"), "absent"),
        (("--target", "x", "--where", "a = b"), "use one"),
        (("--template", "x", "--subject", "y"), "use one"),
        (("--subject", "{{ first_name"), "subject"),
        (("--subject", "{% for i in (1..100000000) %}x{% endfor %}"), "subject"),
        (("--channel", "absent"), "absent"),
        (("--flow", "absent"), "absent"),
        (("--end-date", "tomorrow"), "end_date"),
        (("--end-date", "2020-12-31"), "end_date: 2020-12-31 is in the past"),
        (("--from", "nobody"), "sender"),
    ],
)
def test_what_cannot_be_is_told_by_field_and_nothing_is_made(
    populated: Muster, text: Path, args: tuple[str, ...], words: str
) -> None:
    message = () if {"--template", "--flow"} & set(args) else ("--text", str(text))
    result = populated("campaign", "create", "x", *message, *args)
    assert result.code in (1, 2), result
    assert words in result.err
    assert "Traceback" not in result.err
    assert set(_rows(populated).values()) == {0}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[]", "describes no campaign"),
        ("{", "cannot be read"),
        ("description: x", "name: is required"),
        ("nmae: x", "did you mean 'name'?"),
        ("name: x\naudiense: {}", "did you mean 'audience'?"),
        ("name: x\naudience: {where: [a = b], filter: {}}", "not both"),
        ("name: x\ntemplate: {text: a, text_file: b}", "not both"),
        ("name: x\ntemplate: {subject: a, text_file: absent.txt}", "absent.txt"),
        ("name: x\nflow: f\nchannel: c", "name it alone"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_field(
    populated: Muster, tmp_path: Path, said: str, words: str
) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(said)
    result = populated("campaign", "create", "--file", path)
    assert result.code == 2, result
    assert words in result.err
    assert set(_rows(populated).values()) == {0}


def test_a_campaign_that_lacks_something_is_refused_by_its_code(populated: Muster, text: Path) -> None:
    populated.ok("campaign", "create", "Nobody", "--subject", "x", "--text", text)
    populated.ok("campaign", "create", "Nothing", "--where", "country = Norway")
    assert "CAMPAIGN_HAS_NO_TARGET" in populated("campaign", "activate", "Nobody", "--yes").err
    assert "CAMPAIGN_HAS_NO_DELIVERY_METHOD" in populated("campaign", "activate", "Nothing", "--yes").err
    both = populated("campaign", "create", "At once", "--subject", "x", "--text", text, "--activate", "--yes")
    assert both.code == 1
    assert "At once" not in populated.ok("campaign", "list").out, "made and activated, or neither"
