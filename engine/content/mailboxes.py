"""Mailboxes as the headers From and Reply-To have them: names and addresses, read from text and written to bytes.

Read is RFC 5322 §3.4 without groups, and as people write it: `Ada <ada@x.example>`, `"Smith, Ada" <ada@x.example>`,
`ada@x.example (Ada)`, several with commas between them. Domains become what DNS has (`müller.example` is
`xn--mller-kva.example`). What looks like an encoded word is text like any other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from engine.content.headers import encoded_words, fold, one_line, quoted, refuse_controls
from engine.kernel.addresses import normalise_email

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Mailbox", "mailbox_header", "normalise_mailboxes", "read_mailboxes"]

#: A name that needs no quotation marks: atoms with single blanks between them (RFC 5322 §3.2.3, §3.2.5).
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*")
_PRINTABLE = re.compile(r"[ -~]+")
_WORDS = re.compile(r" *[!-~]+")
_ESCAPE = re.compile(r"\\(.)")
#: A piece of a list: a quoted string, a comment without comments in it, an address in brackets, a comma, other text.
_PIECES = re.compile(r'"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)|<[^<>]*>|,|[^"(<,]+|.', re.DOTALL)
_OPENING = ('"', "(", "<")
_LONGEST_WORD = 900
_LINE = 76
_MOST = 20
_LONGEST = 2000


class Mailbox(NamedTuple):
    """An address and the name that is shown with it."""

    email: str
    name: str = ""

    def __str__(self) -> str:
        """As a person writes it."""
        if not self.name:
            return self.email
        plain = _PHRASE.fullmatch(self.name)
        return f"{self.name if plain else quoted(self.name)} <{self.email}>"


def read_mailboxes(text: str) -> tuple[Mailbox, ...]:
    """The mailboxes of a list with commas between them, at least one.

    Raises:
        ValueError: one of them is none; the message says which, and why.
    """
    refuse_controls("address", text)
    if len(text) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters")
    found = tuple(map(_mailbox, _split(text)))
    if not found:
        raise ValueError("holds no e-mail address")
    if len(found) > _MOST:
        raise ValueError(f"holds {len(found)} addresses; {_MOST} are the most")
    return found


@lru_cache(maxsize=1024)
def normalise_mailboxes(text: str) -> str:
    """The list as it is kept: addresses normalised, names quoted where they have to be.

    Raises:
        ValueError: as `read_mailboxes`.
    """
    return ", ".join(map(str, read_mailboxes(text)))


def mailbox_header(name: str, mailboxes: Sequence[Mailbox]) -> bytes:
    """A whole header with its last line break; each mailbox but the first begins a line.

    Raises:
        ValueError: a name holds a line break or another control character, or half of a surrogate pair.
    """
    written = [
        _written(mailbox, len(name) + 2 if position == 0 else 1) for position, mailbox in enumerate(mailboxes)
    ]
    return name.encode("ascii") + b": " + b",\r\n ".join(written) + b"\r\n"


def _written(mailbox: Mailbox, indent: int) -> bytes:
    email = mailbox.email.encode("ascii")
    name = mailbox.name.strip()
    refuse_controls("name", name)
    if not name:
        return email
    words = _WORDS.findall(name if _PHRASE.fullmatch(name) else quoted(name))
    if "=?" not in name and _PRINTABLE.fullmatch(name) and max(map(len, words)) <= _LONGEST_WORD:
        phrase = fold(words, indent)
    else:
        phrase = encoded_words(name, indent)
    *before, last = phrase.split(b"\r\n")
    column = len(last) + (0 if before else indent)
    return phrase + (b" <" if column + len(email) + 3 <= _LINE else b"\r\n <") + email + b">"


def _split(text: str) -> Iterator[list[str]]:
    """The pieces of each mailbox; empty ones (`a@x, , b@x`) are left out (RFC 5322 §4.4)."""
    pieces: list[str] = []
    for piece in [*_PIECES.findall(text), ","]:
        if piece != ",":
            pieces.append(piece)
        elif "".join(pieces).strip():
            yield pieces
            pieces = []


def _mailbox(pieces: list[str]) -> Mailbox:
    """One mailbox of its pieces."""
    whole = "".join(pieces).strip()
    brackets = [piece for piece in pieces if piece.startswith("<")]
    comments = [piece for piece in pieces if piece.startswith("(")]
    names = [piece for piece in pieces if piece not in brackets and piece not in comments]
    if brackets:
        given, name = brackets[0][1:-1], _text(names) or _text(comments)
    else:
        given, name = "".join(names), _text(comments)
    email = normalise_email(given)
    unclosed = any(piece in _OPENING for piece in pieces)
    behind = pieces[pieces.index(brackets[0]) + 1 :] if brackets else []
    if email is None or unclosed or any(piece.strip() and piece not in comments for piece in behind):
        raise ValueError(f"{whole[:100]!r} is not an e-mail address, nor a name and an address in <>")
    return Mailbox(email, one_line(name))


def _text(pieces: list[str]) -> str:
    """What quoted strings, comments and words say."""
    return "".join(
        _ESCAPE.sub(r"\1", piece[1:-1]) if len(piece) > 1 and piece[0] in '"(' else piece for piece in pieces
    ).strip()
