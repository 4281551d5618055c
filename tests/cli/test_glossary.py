"""The glossary, the contributor's questions and the drawings say what is so."""

from __future__ import annotations

import re

from state.diagrams import page
from state.tables import Base
from tests.harness.child import ROOT

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in GLOSSARY.splitlines()
    if line.startswith("| ") and not line.startswith("| Word")
]


def test_every_word_stands_once() -> None:
    words = [row[0].lower() for row in ROWS]
    assert sorted(words) == sorted(set(words))


def test_every_table_has_one_word() -> None:
    named = sorted(row[2] for row in ROWS if row[2] != "–")
    assert named == sorted(mapper.class_.__name__ for mapper in Base.registry.mappers)


def test_every_file_that_is_named_exists() -> None:
    texts = GLOSSARY + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:actors|config|docs|engine|state)/[\w/.-]+)`", texts)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_life_cycles_are_drawn_from_the_tables() -> None:
    assert (ROOT / "docs" / "life-cycles.md").read_text(encoding="utf-8") == page(), "run make diagrams"


def test_the_new_names_stand_where_the_list_says() -> None:
    page = (ROOT / "docs" / "names.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| Was")]
    assert len(rows) >= 40
    missing = []
    for row in rows:
        _, _, now, where, _ = (cell.strip() for cell in row.split("|"))
        file = ROOT / where.strip("`")
        text = f"{file.stem}\n{file.read_text(encoding='utf-8')}"
        missing += [
            name for name in re.findall("`([^`]+)`", now) if not re.search(rf"\b{re.escape(name)}\b", text)
        ]
    assert missing == []


#: Words that say nothing precise: name who or what is meant ("recipients that are pending", "the caller").
RIDDLES = ("whoever",)
#: Texts that are not the project's prose: what a model is told, and what providers answer.
NOT_PROSE = {"engine/goals/prompt.py", "docs/answers.md"}


def test_prose_names_who_is_meant() -> None:
    found = []
    for folder in ("actors", "clients", "config", "deploy", "docs", "engine", "state"):
        for pattern in ("*.py", "*.md", "*.html"):
            for file in (ROOT / folder).rglob(pattern):
                name = str(file.relative_to(ROOT))
                text = "" if name in NOT_PROSE else file.read_text(encoding="utf-8").lower()
                found += [f"{name}: {word}" for word in RIDDLES if re.search(rf"\b{word}\b", text)]
    assert found == []
