"""What providers really answer, row by row: other texts than the examples of the rules. Each row of the two tables says
who answers, what the answer is about and means, whether it bars the address, and the answer: as the provider documents
it, or as bounces that were published hold it (https://github.com/sisimai/set-of-emails).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.answers.classify import classifier_of
from engine.answers.http_answers import read_http
from engine.answers.reading import read_line

if TYPE_CHECKING:
    from engine.answers.meanings import ProviderAnswer


def rows(name: str) -> list[Any]:
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()
    fields = [line.split("\t") for line in lines]
    return [pytest.param(answer, expected, id=f"{who}: {answer[:70]}") for who, expected, answer in fields]


def told(answer: ProviderAnswer) -> str:
    """`channel slow`, `mailbox refuse, barred`."""
    verdict = classifier_of().classify(answer)
    return f"{verdict.scope} {verdict.meaning}" + (", barred" if verdict.bar else "")


@pytest.mark.parametrize(("answer", "expected"), rows("mail_servers.tsv"))
def test_a_mail_server_is_understood(answer: str, expected: str) -> None:
    """At the phase that the row names."""
    assert expected == told(read_line(answer))


@pytest.mark.parametrize(("answer", "expected"), rows("apis.tsv"))
def test_an_api_is_understood(answer: str, expected: str) -> None:
    """By its status and its body."""
    status, _, body = answer.partition(" ")
    assert expected == told(read_http(int(status), {}, body.encode()))
