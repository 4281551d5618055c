"""JSON with Liquid in its strings.

A tree is compiled once and rendered for each recipient. Every string is a template of its own whose output becomes
one string of the result, and the result is written as JSON by a JSON writer: whatever a recipient's data holds, it
cannot end a string, add a field or become syntax.

`{{ message.text }}` and its like, which most strings are, are looked up without an interpreter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from liquid import Undefined
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError

from config.errors import MusterError
from engine.content import sandbox
from engine.content.errors import unforeseen
from engine.content.names import Layout
from engine.content.values import text_of

if TYPE_CHECKING:
    from liquid import Expression

__all__ = ["BadTemplate", "Leaf", "Scope", "Unrenderable", "check_sayable", "compile_tree", "split_holes"]

#: `{{ a.b }}`, perhaps with `| json`.
_LOOKUP = re.compile(r"\{\{-?\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*(\|\s*json\s*)?-?\}\}")
#: One output that ends in `| json`.
_VALUE = re.compile(r"(\{\{-?(?:(?!\}\}).)*?)\|\s*json\s*(-?\}\})", re.DOTALL)
#: Levels of lists and objects in a value that a template puts into a body.
_DEPTH = 32
_ABSENT = object()

Node = Callable[["Scope"], Any]


class BadTemplate(MusterError, ValueError):
    """A template that does not parse. The message begins with the setting it stands in."""


class Unrenderable(MusterError, ValueError):
    """This recipient's data cannot be put into the request; others are not concerned."""


def check_sayable(problems: Sequence[str]) -> None:
    """Raise Unrenderable with the first of the problems that a channel has with a message (`problems_of`)."""
    if problems:
        raise Unrenderable(problems[0])


@lru_cache(maxsize=1024)
def _layout(names: tuple[str, ...]) -> Layout:
    return Layout(names, {})


class Scope:
    """What the templates of one request see: an entity's attributes, and names of the engine's own, which no
    attribute can take.
    """

    __slots__ = ("_attributes", "_whole", "names")

    def __init__(self, attributes: Mapping[str, Any], names: Mapping[str, Any]) -> None:
        self._attributes = attributes
        self.names = names
        self._whole: dict[str, Any] | None = None

    def whole(self) -> dict[str, Any]:
        """Everything, as the interpreter takes it."""
        if self._whole is None:
            self._whole = _layout(tuple(self._attributes)).scope(self._attributes, self.names)
        return self._whole

    def look_up(self, path: tuple[str, ...]) -> Any:
        """One of the engine's own values; `_ABSENT` when the interpreter has to find it."""
        value: Any = self.names.get(path[0], _ABSENT)
        for step in path[1:]:
            if not isinstance(value, Mapping):
                return _ABSENT
            value = value.get(step, _ABSENT)
        return value


class Leaf:
    """One string of a request.

    Args:
        source: The template.
        where: The setting it stands in, for errors.

    Raises:
        BadTemplate: it does not parse.
    """

    __slots__ = ("_path", "_template", "_value", "_where", "constant")

    def __init__(self, source: str, where: str) -> None:
        self._where = where
        self._path: tuple[str, ...] | None = None
        self._value: Expression | None = None
        self._template: sandbox.SandboxTemplate | None = None
        self.constant = source if "{{" not in source and "{%" not in source else None
        if self.constant is not None:
            return
        if (lookup := _LOOKUP.fullmatch(source)) is not None:
            self._path = tuple(lookup[1].split("."))
        single = _VALUE.fullmatch(source)
        try:
            self._template = sandbox.parse(source if single is None else single[1] + single[2], html=False)
        except (LiquidError, UnicodeEncodeError, RecursionError) as error:
            said = error.message if isinstance(error, LiquidError) else "cannot be read"
            raise BadTemplate(f"{where}: {said}") from None
        if single is not None:
            (node,) = self._template.nodes
            if isinstance(node, OutputNode):
                self._value = node.expression

    def value(self, scope: Scope) -> Any:
        """What stands in its place: text, or any JSON value for `| json`.

        Raises:
            Unrenderable: it cannot be said to this recipient.
        """
        if self.constant is not None:
            return self.constant
        if self._path is not None:
            found = scope.look_up(self._path)
            if isinstance(found, str) or (self._value is not None and found is not _ABSENT):
                return found
            if found is None:
                return ""
        template = self._template
        assert template is not None  # noqa: S101 - whatever is not constant was parsed
        try:
            if self._value is not None:
                return _plain(template.evaluate(self._value, scope.whole()))
            return template.render_scope(scope.whole())
        except LiquidError as error:
            raise Unrenderable(f"{self._where}: {error.message}") from None
        except Exception as error:  # noqa: BLE001 - filters meet values nobody foresaw
            raise Unrenderable(f"{self._where}: {unforeseen(error)}") from None

    def text(self, scope: Scope) -> str:
        """The same as text.

        Raises:
            Unrenderable: see `value`.
        """
        value = self.value(scope)
        return text_of(value)


def compile_tree(value: Any, where: str) -> Node:
    """A JSON value whose strings are templates, as a function from scope to JSON value.

    Raises:
        BadTemplate: a string does not parse; names its place.
    """
    if isinstance(value, str):
        leaf = Leaf(value, where)
        constant = leaf.constant
        return leaf.value if constant is None else lambda _: constant
    if isinstance(value, dict):
        fields = [(key, compile_tree(inner, f"{where}.{key}")) for key, inner in value.items()]
        return lambda scope: {key: node(scope) for key, node in fields}
    if isinstance(value, list):
        items = [compile_tree(inner, f"{where}[{index}]") for index, inner in enumerate(value)]
        return lambda scope: [node(scope) for node in items]
    return lambda _: value


def split_holes(text: str) -> list[str]:
    """Literal text and `{{ … }}` in turn, beginning and ending with a literal. In linear time: an expression for a hole
    would look for the end of each that has none.
    """
    pieces: list[str] = []
    position = 0
    while (opened := text.find("{{", position)) >= 0 and (closed := text.find("}}", opened + 2)) >= 0:
        pieces += [text[position:opened], text[opened : closed + 2]]
        position = closed + 2
    return [*pieces, text[position:]]


def _plain(value: Any, depth: int = 0) -> Any:
    """A Liquid value as JSON has it."""
    if depth > _DEPTH:
        raise ValueError(f"nests more than {_DEPTH} levels deep")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Undefined):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | range):
        if len(value) > sandbox.LOOP_LIMIT:
            raise ValueError(f"a list of more than {sandbox.LOOP_LIMIT} items")
        return [_plain(inner, depth + 1) for inner in value]
    return str(value)
