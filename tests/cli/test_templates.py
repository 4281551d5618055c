"""`muster template`: previews and tests, on both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from engine.campaigns.templates import TemplateInput, create_template
from engine.kernel.inputs import read
from engine.organizations import find_organization
from state.tables import TemplateAttachment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Muster


@pytest.fixture
def spring(populated: Muster) -> Muster:
    """With a template in two languages."""
    given = {
        "name": "spring",
        "subject": "Hello {{ first_name }}",
        "html": "<p>You ordered {{ orders | number }} times, {{ nick }}</p>",
        "translations": {"de": {"subject": "Hallo {{ first_name }}"}},
    }
    database = populated.database()
    with database.begin() as session:
        organization = find_organization(session, "acme")
        assert organization is not None
        create_template(session, organization.id, read(TemplateInput, given))
    database.close()
    return populated


def test_a_preview_says_what_somebody_would_get(spring: Muster) -> None:
    shown = spring.ok("template", "preview", "spring", "--for", "2")
    assert "Subject  Hello Bo" in shown.out
    assert "You ordered 12 times" in shown.out
    assert "nick is empty" in shown.err
    german = ("--set", "first_name=Ada", "--language", "de", "--json")
    assert spring.ok("template", "preview", "spring", *german).json["subject"] == "Hallo Ada"
    many = spring.ok("template", "preview", "spring", "--set", "orders=1234", "--html")
    assert many.out.startswith("<p>You ordered 1,234")
    (row,) = spring.ok("template", "list", "--json").json["results"]
    assert (row["name"], row["languages"]) == ("spring", ["", "de"])


def test_a_test_is_really_sent(spring: Muster) -> None:
    spring.ok("channel", "create", "out", "--kind", "file", "--set", "directory=tests", "--default")
    assert "sent to me@x.org" in spring.ok("template", "test", "spring", "Me@X.org", "--for", "1").out
    (file,) = (spring.data / "outbox" / "tests").glob("*.jsonl")
    assert json.loads(file.read_text())["subject"] == "Hello Ada"


def files_of(muster: Muster) -> dict[str, int]:
    """Name and size of each file that goes with the template."""
    database = muster.database()
    with database.read() as session:
        found = session.execute(select(TemplateAttachment.filename, TemplateAttachment.size)).all()
    database.close()
    return dict(found)


def test_files_are_attached_and_detached(spring: Muster, tmp_path: Path) -> None:
    terms, prices = tmp_path / "terms.pdf", tmp_path / "prices.csv"
    terms.write_bytes(b"%PDF-1.4 old")
    prices.write_bytes(b"a,b")
    spring.ok("template", "update", "spring", "--attach", terms, "--attach", prices)
    assert {"terms.pdf": 12, "prices.csv": 3} == files_of(spring)
    terms.write_bytes(b"%PDF-1.4 newer")
    again = spring("template", "update", "spring", "--attach", terms)
    assert (2, True) == (again.code, "the template has a file with 'terms.pdf' already" in again.err)
    spring.ok("template", "update", "spring", "--detach", "terms.pdf", "--attach", terms, "--subject", "Hi")
    assert {"terms.pdf": 14, "prices.csv": 3} == files_of(spring)
    wrong = spring("template", "update", "spring", "--detach", "prices.csv", "--detach", "term.pdf")
    assert (1, True) == (wrong.code, "did you mean 'terms.pdf'" in wrong.err)
    assert {"terms.pdf": 14, "prices.csv": 3} == files_of(spring), "nothing is changed by half"
    spring.ok("template", "update", "spring", "--detach", "prices.csv", "--detach", "terms.pdf")
    assert {} == files_of(spring)
    assert "it has no file" in spring("template", "update", "spring", "--detach", "terms.pdf").err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["preview", "sprng"], 1, "did you mean 'spring'"),
        (["preview", "spring", "--for", "99"], 1, "no entity has the external id '99'"),
        (["preview", "spring", "--set", "nonsense"], 2, "write it like name=Ada"),
        (["preview", "spring", "--set", "orders=many"], 2, "'many' is not a number"),
        (["test", "spring", "me@x.org"], 2, "channel_id: the organization has none yet"),
    ],
)
def test_what_cannot_be_shown_or_sent_is_told(spring: Muster, args: list[str], code: int, says: str) -> None:
    result = spring("template", *args)
    assert says in result.err
    assert result.code == code
