"""Headers as a reader of RFC 5322, RFC 2047 and RFC 2231 sees them, without Python's `email`."""

from __future__ import annotations

import re
from base64 import b64decode
from urllib.parse import unquote_to_bytes

__all__ = ["headers_of", "mailboxes_of", "parameter_of", "text_of"]

_WORD = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/=]+)\?=")
_ADJACENT = re.compile(r"(?<=\?=) (?==\?)")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|<[^<>]*>|,|[^",<]+')


def headers_of(block):
    """Names and unfolded values of a block of headers, every line of which has to be one or go on with one."""
    lines = block.decode("ascii").split("\r\n")
    assert lines.pop() == ""
    found: list[list[str]] = []
    for line in lines:
        assert not re.search(r"[\r\n\0]", line)
        if line.startswith(" "):
            assert line.strip()
            found[-1][1] += line
            continue
        name, colon, value = line.partition(": ")
        assert colon
        assert re.fullmatch(r"[A-Za-z-]+", name)
        found.append([name, value])
    return [tuple(one) for one in found]


def text_of(value):
    """What free text says."""
    return _WORD.sub(lambda word: b64decode(word[1]).decode(), _ADJACENT.sub("", value))


def mailboxes_of(value):
    """Names and addresses of a list of mailboxes."""
    mailboxes, name = [], ""
    for token in [*_TOKENS.findall(value), ","]:
        if token.startswith('"'):
            name += re.sub(r"\\(.)", r"\1", token[1:-1])
        elif token.startswith("<"):
            mailboxes.append((name.strip(), token[1:-1]))
            name = ""
        elif token == ",":
            if name.strip():
                mailboxes.append(("", name.strip()))
            name = ""
        elif token.strip():
            assert not re.search(r"[()\[\];:]|\\", token.replace(":", "", 0))
            name += text_of(token.strip())
    return mailboxes


def parameter_of(value, name):
    """A parameter, put together of its sections."""
    plain = re.search(rf'; {name}="((?:[^"\\]|\\.)*)"', value)
    if plain:
        return re.sub(r"\\(.)", r"\1", plain[1])
    sections = re.findall(rf"; {name}(?:\*(\d+))?\*=([^;]*)", value)
    assert [int(number or 0) for number, _ in sections] == list(range(len(sections)))
    charset, _, escaped = "".join(piece for _, piece in sections).partition("''")
    assert charset == "utf-8"
    return unquote_to_bytes(escaped).decode()
