"""Conditions as people write them, `age < 18 and country = Norway`, read whole into the filter tree or refused.

| written | means |
|---|---|
| `a and b`, `a or b`, `not a`, `(…)` | `not` binds closest, then `and`, then `or`; any case |
| `= == != <> < <= > >=` | equal, not equal, and the order of numbers, dates or texts |
| `in (x, y)`, `not in (x, y)` | one of them, none of them |
| `contains x`, `not contains x` | the text is in it, whatever the case |
| `between x and y` | from x to y, both included |
| `is empty`, `is not empty` (`is null`, `is not null`) | absent, null or `""` |
| `EQUALS`, `IS_ONE_OF` … | the operators by their names in the tree |
| `x as date` (`number`, `boolean`, `string`) | how both sides are read, where x alone does not say it |

A name or a value is one word, or stands in quotes (`'…'`, `"…"`, names also in backticks). In quotes, a quote is
written twice or after a backslash, a backslash twice or alone. Words for dates (`TODAY`) may be in small letters when
they are not in quotes. Whatever is left over, unknown or has two meanings is refused with the place; nothing
half-understood ever selects an audience. A group in a group in a group is multiplied out (engine.filters.two_levels).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import combining, east_asian_width

from pydantic import ValidationError

from engine.filters.dates import DATE_WORDS, read_date
from engine.filters.filters import MANY, ORDERING, Condition, DataType, FilterError, Operator
from engine.filters.numerals import reads_number
from engine.filters.two_levels import Junction, TooManyConditions, as_group
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.filters.filters import Group
    from engine.filters.two_levels import Combination, Node

__all__ = ["WhereError", "group_of", "has_order", "read_where", "tree_of"]

#: Brackets in brackets. More than anybody writes, and few enough to be read without end.
MAX_DEPTH = 50

#: Characters of a text that are shown on each side of a place that is pointed at.
_SHOWN = 60

_SYMBOLS = {
    "=": Operator.EQUALS,
    "==": Operator.EQUALS,
    "!=": Operator.NOT_EQUALS,
    "<>": Operator.NOT_EQUALS,
    "<": Operator.LESS_THAN,
    "<=": Operator.LESS_THAN_OR_EQUAL,
    ">": Operator.GREATER_THAN,
    ">=": Operator.GREATER_THAN_OR_EQUAL,
}
#: Longer ones first, where one begins another.
_WORDS: list[tuple[tuple[str, ...], Operator]] = [
    (("is", "not", "empty"), Operator.NOT_EMPTY),
    (("is", "not", "null"), Operator.NOT_EMPTY),
    (("is", "empty"), Operator.EMPTY),
    (("is", "null"), Operator.EMPTY),
    (("is", "one", "of"), Operator.IS_ONE_OF),
    (("is", "none", "of"), Operator.IS_NONE_OF),
    (("does", "not", "contain"), Operator.NOT_CONTAINS),
    (("not", "contains"), Operator.NOT_CONTAINS),
    (("contains",), Operator.CONTAINS),
    (("not", "in"), Operator.IS_NONE_OF),
    (("in",), Operator.IS_ONE_OF),
    *(((name.lower(),), Operator(name)) for name in Operator),
]
_BETWEEN = "between"
_OPPOSITES = {
    Operator.EQUALS: Operator.NOT_EQUALS,
    Operator.CONTAINS: Operator.NOT_CONTAINS,
    Operator.IS_ONE_OF: Operator.IS_NONE_OF,
    Operator.EMPTY: Operator.NOT_EMPTY,
}
_OPPOSITES |= {negative: positive for positive, negative in _OPPOSITES.items()}
_JOINING = ("and", "or", "not")
#: What other languages write, and what is written here.
_HINTS = {
    "&&": "write `and`", "&": "write `and`", "||": "write `or`", "|": "write `or`", "!": "write `not`",
    ";": "write `and` or `or`", ",": "write `and` or `or`", "=>": "write >=", "=<": "write <=", "===": "write =",
    "like": "write `contains`", "ilike": "write `contains`", "starts": "there is `contains`",
    "ends": "there is `contains`", "matches": "there is `contains`",
    "is": "after `is` stands `empty` or `not empty`; to compare write =",
    "not": "after `not` stands `in` or `contains`",
}  # fmt: skip
_EXAMPLE = "write it like Country = Norway, age >= 18 and city in (Oslo, 'New York'), or email is not empty"

_TOKEN = re.compile(
    r"""\s*(?: (?P<quoted> '(?:\\[\\'"`]|''|[^'])*+' | "(?:\\[\\'"`]|""|[^"])*+" | `(?:\\[\\'"`]|``|[^`])*+` )
          | (?P<symbol> [=!<>]+ ) | (?P<mark> [(),] ) | (?P<other> [&|;]+ )
          | (?P<word> [^\s'"`()=!<>,&|;“”„‘’‚]+ ) | (?P<unread> \S ) | (?P<end> \Z ) )""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"""\\([\\'"`])""")


class WhereError(FilterError):
    """The conditions cannot be read. The message shows them, with a caret under the place."""

    def __init__(self, field: str, text: str, position: int, message: str) -> None:
        super().__init__(field, f"{message}\n{_pointed(text, position)}")
        self.position = position
        """Characters of the text before the place."""


class _Token(NamedTuple):
    kind: str
    text: str
    """As written; what was in quotes, without them."""
    position: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def tree_of(texts: Sequence[str], *, combination: str = "AND", field: str = "where") -> dict[str, Any]:
    """`entity_filters` in which all (`AND`) or any (`OR`) of the texts hold; without texts, a tree that asks nothing.

    Raises:
        WhereError: a text cannot be read, or all of it is more than a filter tree holds.
    """
    if not texts:
        return {"filter": {"items": [], "combination": combination}}
    nodes = [
        read_where(text, field=field if len(texts) == 1 else f"{field}[{index}]")
        for index, text in enumerate(texts)
    ]
    try:
        group = as_group(Junction("OR" if combination == "OR" else "AND", tuple(nodes)))
    except TooManyConditions as error:
        raise FilterError(field, str(error)) from None
    return {"filter": group.model_dump(mode="json", exclude_none=True)}


def group_of(text: str) -> Group:
    """The filter tree that one text means.

    Raises:
        FilterError: it cannot be read, or is more than a filter tree holds.
    """
    try:
        return as_group(read_where(text))
    except TooManyConditions as error:
        raise FilterError("where", str(error)) from None


def read_where(text: str, *, field: str = "where") -> Node:
    """What a text means, as conditions that are joined as they are written; every `not` is in an operator.

    Raises:
        WhereError: it cannot be read.
    """
    return _Reader(text, field).read()


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, field: str) -> None:
        self._text, self._field = text, field
        self._tokens = self._split()
        self._at = 0
        self._depth = 0

    def read(self) -> Node:
        """All of the text."""
        if self._next.kind == "end":
            raise self._error(f"there is no condition; {_EXAMPLE}", 0)
        node = self._any_of(negated=False)
        if self._next.kind != "end":
            raise self._left_over()
        return node

    def _split(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while not tokens or tokens[-1].kind != "end":
            found = _TOKEN.match(self._text, at)
            if found is None or found.lastgroup is None:
                raise AssertionError("every text is split")
            kind, start = found.lastgroup, found.start(found.lastgroup)
            written = found[kind]
            if kind == "unread":
                raise self._error(_unread(written), start)
            if kind == "quoted":
                written = _unquoted(written)
            tokens.append(_Token(kind, written, start, found.end()))
            at = found.end()
        return tokens

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._at += 1
        return token

    def _error(self, message: str, at: _Token | int) -> WhereError:
        return WhereError(self._field, self._text, at.position if isinstance(at, _Token) else at, message)

    def _left_over(self) -> WhereError:
        token = self._next
        hint = _HINTS.get(token.text.lower()) if token.kind != "quoted" else None
        if token.kind == "mark" and token.text == ")":
            return self._error("this bracket closes nothing", token)
        if token.kind in ("word", "quoted"):
            hint = "join conditions with `and` or `or`; a name or a value of several words goes in quotes"
        return self._error(
            f"{token.text!r} is left over"
            + (f"; {hint}" if hint else "; a value that holds it goes in quotes"),
            token,
        )

    def _any_of(self, *, negated: bool) -> Node:
        return self._joined("or", "AND" if negated else "OR", self._all_of, negated=negated)

    def _all_of(self, *, negated: bool) -> Node:
        return self._joined("and", "OR" if negated else "AND", self._one, negated=negated)

    def _joined(
        self, word: str, combination: Combination, inner: Callable[..., Node], *, negated: bool
    ) -> Node:
        nodes = [inner(negated=negated)]
        while self._next.is_word(word):
            self._take()
            nodes.append(inner(negated=negated))
        return nodes[0] if len(nodes) == 1 else Junction(combination, tuple(nodes))

    def _one(self, *, negated: bool) -> Node:
        token = self._next
        if token.is_word("not"):
            self._take()
            return self._deeper(token, lambda: self._one(negated=not negated))
        if token.kind == "mark" and token.text == "(":
            self._take()
            node = self._deeper(token, lambda: self._any_of(negated=negated))
            if not (self._next.kind == "mark" and self._next.text == ")"):
                raise (
                    self._error("this bracket is not closed", token)
                    if self._next.kind == "end"
                    else self._left_over()
                )
            self._take()
            return node
        return self._condition(negated=negated)

    def _deeper(self, token: _Token, inner: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} brackets and `not` stand in one another", token)
        node = inner()
        self._depth -= 1
        return node

    def _condition(self, *, negated: bool) -> Node:
        name = self._name()
        at = self._next
        inverted, is_range = False, False
        if at.is_word("not") and self._tokens[self._at + 1].is_word(_BETWEEN):
            self._take()
            inverted = True
        if self._next.is_word(_BETWEEN):
            self._take()
            is_range = True
        operator = Operator.GREATER_THAN_OR_EQUAL if is_range else self._operator()
        if negated != inverted:
            operator = self._opposite(operator, at)
        if not is_range:
            return self._compared(name, operator, at)
        low = self._compared(name, operator, at)
        if not self._next.is_word("and"):
            raise self._error("`between` needs two ends, like between 18 and 30", self._next)
        self._take()
        return Junction("AND", (low, self._compared(name, Operator.LESS_THAN_OR_EQUAL, at)))

    def _name(self) -> _Token:
        token = self._take()
        if token.kind not in ("word", "quoted") or token.is_word(*_JOINING):
            expected = "the name of an attribute is missing"
            if token.kind in ("symbol", "other") or token.is_word(*_JOINING):
                expected += f" before {token.text!r}"
            hint = _HINTS.get(token.text) if token.kind in ("symbol", "other") else None
            raise self._error(f"{expected}; {hint or _EXAMPLE}", token)
        if not token.text:
            raise self._error("the name of an attribute is empty", token)
        return token

    def _operator(self) -> Operator:
        token = self._take()
        if token.kind == "symbol" and token.text in _SYMBOLS:
            return _SYMBOLS[token.text]
        if token.kind == "word":
            for words, operator in _WORDS:
                following = self._tokens[self._at - 1 : self._at - 1 + len(words)]
                if [one.text.lower() if one.kind == "word" else None for one in following] == list(words):
                    self._at += len(words) - 1
                    return operator
        if token.kind == "end":
            raise self._error(f"a comparison is missing; {_EXAMPLE}", token)
        hint = _HINTS.get(token.text.lower()) if token.kind != "quoted" else None
        if hint is None and token.kind in ("word", "quoted"):
            known = (*(words[0] for words, _ in _WORDS), _BETWEEN)
            near = did_you_mean(token.text.lower(), known)
            hint = near.removeprefix("; ") or "a name of several words goes in quotes"
        raise self._error(
            f"{token.text!r} is no comparison; {hint or 'there are = != < <= > >='}; {_EXAMPLE}", token
        )

    def _opposite(self, operator: Operator, at: _Token) -> Operator:
        if operator in ORDERING:
            raise self._error(
                "`not` before an order has two meanings: who has no such value is neither less nor more; turn the "
                "comparison round, and add `or … is empty` where they are meant",
                at,
            )
        return _OPPOSITES[operator]

    def _compared(self, name: _Token, operator: Operator, at: _Token) -> Condition:
        given: dict[str, Any] = {"key": name.text, "operator": operator}
        value: _Token = at
        if operator in MANY:
            value = self._next
            given["value"] = self._list(operator)
        elif operator not in (Operator.EMPTY, Operator.NOT_EMPTY):
            value = self._next
            given["value"] = self._value(operator)
        if self._next.is_word("as"):
            self._take()
            given["data_type"] = self._data_type()
        elif operator in ORDERING and value.kind == "word" and not has_order(given["value"]):
            raise self._error(
                f"{value.text!r} reads neither as a number nor as a date; in quotes it is compared as text",
                value,
            )
        try:
            return Condition.model_validate(given)
        except ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise self._error(message[:1].lower() + message[1:], value) from None

    def _list(self, operator: Operator) -> list[str]:
        opening = self._take()
        if not (opening.kind == "mark" and opening.text == "("):
            raise self._error("a list in brackets is missing, like in (Oslo, Bergen)", opening)
        values = [self._value(operator)]
        while (token := self._take()).kind == "mark" and token.text == ",":
            values.append(self._value(operator))
        if token.kind == "mark" and token.text == ")":
            return values
        if token.kind == "end":
            raise self._error("this bracket is not closed", opening)
        raise self._error(
            "a comma or the closing bracket is missing; a value of several words goes in quotes", token
        )

    def _value(self, operator: Operator) -> str:
        token = self._take()
        if token.kind == "quoted":
            return token.text
        if token.kind != "word":
            raise self._error("a value is missing; one that holds a sign of comparison goes in quotes", token)
        if token.is_word(*_JOINING):
            raise self._error(
                f"a value is missing before {token.text!r}; if that is the value, put it in quotes", token
            )
        if token.is_word("null", "none", "nil"):
            raise self._error(
                f"{token.text!r} would be a text here; write `is empty` or `is not empty`, or put it in quotes",
                token,
            )
        word = token.text.upper()
        substring = operator in (Operator.CONTAINS, Operator.NOT_CONTAINS)
        return word if word in DATE_WORDS and not substring else token.text

    def _data_type(self) -> DataType:
        token = self._take()
        if token.kind == "word" and token.text.lower() in list(DataType):
            return DataType(token.text.lower())
        raise self._error(f"after `as` stands one of {', '.join(DataType)}", token)


def _pointed(text: str, position: int) -> str:
    """The text around a place, on one line, and a caret under the place."""
    shown = re.sub(r"\s", " ", text).rstrip()
    if position >= len(shown):
        shown, position = (f"{shown} ", len(shown) + 1) if shown else ("", 0)
    first, last = max(0, position - _SHOWN), position + _SHOWN
    start, end = "…" if first else "", "…" if last < len(shown) else ""
    before = start + shown[first:position]
    return f"  {start}{shown[first:last].rstrip()}{end}\n  {' ' * _width(before)}^"


def _width(text: str) -> int:
    """Columns of a terminal."""
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def has_order(literal: str) -> bool:
    """Whether a value reads as a number or a date, and so has an order that is not that of texts."""
    return reads_number(literal) or read_date(literal, datetime(2000, 1, 1, tzinfo=UTC)) is not None


def _unquoted(written: str) -> str:
    quote, inner = written[0], written[1:-1]
    parts = re.split(r"""(\\[\\'"`])""", inner)
    return "".join(
        _ESCAPED.sub(r"\1", part) if index % 2 else part.replace(quote * 2, quote)
        for index, part in enumerate(parts)
    )


def _unread(letter: str) -> str:
    if letter in "'\"`":
        return "this quote is not closed"
    return f"{letter} is no quote that is read here; write ' or \""
