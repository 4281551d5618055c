"""A look at a Liquid source before it is parsed, in linear time; and how much there may be to parse.

The lexer of python-liquid looks for the end of each construct from its beginning, again and again where there is none,
and tries every way to divide the blanks in it. What would make that quadratic is refused here with its line: an output
or tag that is not closed, `raw` and `doc` without their end, an output that says nothing, a tag without a name, and one
with a long run of blanks and nothing else.
"""

from __future__ import annotations

import re

from liquid import Token
from liquid.exceptions import LiquidSyntaxError
from liquid.token import TOKEN_EXPRESSION

__all__ = ["check_delimiters"]

_OPENED = re.compile(r"\{\{|\{%-?\s*(?:(raw|doc)\s*-?%\})?")
#: More blanks than anybody puts behind the name of a tag that has nothing else.
_MOST_BLANKS = 64
#: Outputs and tags of one text. Compiling takes a third of a millisecond each.
_MOST = 5_000
_NAMED = re.compile(r"-?\s*[#\w]")
_ENDS = {name: re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}") for name in ("raw", "doc")}


def check_delimiters(source: str) -> None:
    """Refuse a source whose parsing could take more than its length.

    Raises:
        LiquidSyntaxError: see the module; its token has the place.
    """
    position = 0
    marks = 0
    while (opened := _OPENED.search(source, position)) is not None:
        start = opened.start()
        marks += 1
        if marks > _MOST:
            raise _refusal(source, start, f"more than {_MOST:,} outputs and tags")
        if opened[1] is not None:
            ended = _ENDS[opened[1]].search(source, opened.end())
            if ended is None:
                raise _refusal(source, start, f"expected tag 'end{opened[1]}', found end of file")
            position = ended.end()
            continue
        closing = "}}" if source.startswith("{{", start) else "%}"
        end = source.find(closing, start + 2)
        if end < 0:
            raise _refusal(source, start, f"expected '{closing}', found end of file")
        inside = source[start + 2 : end]
        if closing == "}}" and not inside.strip("-").strip():
            raise _refusal(source, start, "expected an expression, found nothing")
        if closing == "%}":
            _check_tag(source, start, inside)
        position = end + 2


def _check_tag(source: str, start: int, inside: str) -> None:
    """Refuse a tag without a name, and a long run of blanks around a name alone."""
    if not _NAMED.match(inside):
        raise _refusal(source, start, "missing tag name or closing delimiter")
    name = inside.strip("-").strip()
    if len(inside) - len(name) > _MOST_BLANKS and not any(map(str.isspace, name)):
        raise _refusal(source, start, f"more than {_MOST_BLANKS} blanks in a tag")


def _refusal(source: str, start: int, message: str) -> LiquidSyntaxError:
    token = Token(TOKEN_EXPRESSION, source[start : start + 2], start_index=start, source=source)
    return LiquidSyntaxError(message, token=token)
