"""Kinds of other distributions: used like ours, and left out with the reason where they cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.channels import registry
from engine.channels.options import options
from engine.channels.registry import Plugin, UnknownKind
from tests.harness.plugins import PIGEON, installing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Puts a distribution beside this one."""
    with installing(tmp_path) as put:
        yield put


def test_a_kind_of_another_distribution_is_a_kind(install: Callable[..., None]) -> None:
    install("pigeons", PIGEON, pigeon="Pigeon")
    assert "pigeon" in registry.kinds()
    assert registry.plugins() == (Plugin("pigeon", "pigeons", None),)
    assert "Where it flies from." in {one.text for one in options("pigeon")}
    assert registry.build("pigeon", {"loft": "south"}, {}).kind == "pigeon"
    with pytest.raises(UnknownKind, match="did you mean 'pigeon'"):
        registry.build("pigoen", {}, {})


@pytest.mark.parametrize(
    ("text", "kind", "problem"),
    [
        ("import not_there_at_all", "pigeon", "ModuleNotFoundError"),
        ("raise SystemError('line\\nline')", "pigeon", "SystemError: line line"),
        ("Other = 1", "pigeon", "AttributeError"),
        ("Pigeon = 1", "pigeon", "Settings is no pydantic model"),
        (PIGEON, "smtp", "its name is that of another kind"),
        (PIGEON, "dove", "its class is of the kind 'pigeon'"),
        (
            PIGEON.replace('kind = "pigeon"', 'kind = "pigeon"; doubt_policy = "maybe"'),
            "pigeon",
            "doubt_policy",
        ),
        (
            PIGEON
            + "\nfrom pydantic import BaseModel\nclass Open(BaseModel): pass\nPigeon.Settings = Open\n",
            "pigeon",
            "extra='forbid'",
        ),
        (
            PIGEON + "\nclass Thin:\n  kind, doubt_policy = 'pigeon', 'hold'\n  Settings = Pigeon.Settings\n"
            "  Credentials = Pigeon.Credentials\nPigeon = Thin\n",
            "pigeon",
            "it has no problems_of, send, check, close, links",
        ),
    ],
)
def test_one_that_cannot_be_used_is_left_out_with_the_reason(
    install: Callable[..., None], text: str, kind: str, problem: str
) -> None:
    ours = registry.settings_model("smtp")
    install("pigeons", text, **{kind: "Pigeon"})
    (found,) = registry.plugins()
    assert found.problem is not None
    assert problem in found.problem
    assert registry.settings_model("smtp") is ours
    if kind != "smtp":
        assert kind not in registry.kinds()
        with pytest.raises(UnknownKind, match=f"channel kind '{kind}' cannot be used: "):
            registry.build(kind, {}, {})


def test_of_two_with_one_name_the_first_stays(install: Callable[..., None]) -> None:
    install("pigeons", PIGEON, pigeon="Pigeon")
    install("more_pigeons", PIGEON.replace("north", "west"), pigeon="Pigeon")
    assert [(one.distribution, one.problem) for one in registry.plugins()] == [
        ("more_pigeons", None),
        ("pigeons", "its name is that of another kind"),
    ]
