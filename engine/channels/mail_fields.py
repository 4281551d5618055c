"""Fields of settings that several kinds of mail channels have."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from engine.content.mailboxes import normalise_mailboxes
from engine.kernel.addresses import normalise_email

__all__ = ["Email", "Mailboxes", "OneLine"]


def _email(value: str) -> str:
    email = normalise_email(value)
    if email is None:
        raise ValueError("is not an e-mail address")
    return email


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a line break or another character that cannot be printed")
    return value.strip()


def _mailboxes(value: str) -> str:
    return normalise_mailboxes(_one_line(value))


Email = Annotated[str, AfterValidator(_email)]
OneLine = Annotated[str, AfterValidator(_one_line)]
Mailboxes = Annotated[str, AfterValidator(_mailboxes)]
