"""Parts that are nothing but literal text and `{{ variables }}`, rendered without an interpreter.

Most messages are of that kind, and an interpreter costs 9 µs for `Hello {{ first_name }}`, a join less than
one. What may be done this way is decided on python-liquid's own syntax tree; values are turned into text by
the same functions and filters by the same code, so the output is the same by construction, and tests compare
the two on random templates.

What is not of that kind (tags, filters with variable arguments, `now`, `.size`, `.first`, indexes) is left
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from liquid import Undefined
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import Path
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.exceptions import LiquidError, OutputStreamLimitError
from markupsafe import escape

from engine.content.budget import Budget
from engine.content.expressions import Filtered, named
from engine.content.filters import LOCATED, SAMPLE_PLACE
from engine.content.names import ENTITY, Layout, Source
from engine.content.sandbox import CONSTANTS, OUTPUT_LIMIT
from engine.content.values import absent, output_text
from engine.kernel.blanks import BLANKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from liquid import Token
    from liquid.builtin.expressions.filtered import Filter

    from engine.content.locales import Place
    from engine.content.sandbox import SandboxTemplate

__all__ = ["Bound", "Plan", "checked", "plan"]

#: Names upstream knows by itself, and segments of a path that it does not simply look up.
_BUILT_IN = frozenset({"now", "today"})
_SPECIAL = frozenset({"size", "first", "last"})
#: No character takes more than four bytes.
_SURELY_WITHIN = OUTPUT_LIMIT // 4
#: Holes with filters, and filters of a hole, that need no budget: they are done at once whatever the values are.
_FEW = 16
#: So many that the clock of a budget is looked at often enough.
_STEPS_A_HOLE = 8


class _Hole(NamedTuple):
    """One `{{ … }}`."""

    path: tuple[str, ...]
    filters: tuple[tuple[Filter, Callable[[Any, Place], Any]], ...]
    left: Path

    @property
    def token(self) -> Token:
        return self.left.token


class _Filled(NamedTuple):
    """A hole whose root is known: a source, a value of the engine's, or nothing."""

    at: int
    source: Source | None
    extra: str | None
    rest: tuple[str, ...]
    hole: _Hole

    def value(self, attributes: Mapping[str, Any], extras: Mapping[str, Any], place: Place) -> Any:
        value: Any
        if self.extra is not None:
            value = extras[self.extra]
        elif self.source is not None:
            value = self.source.read(attributes)
        else:
            value = Undefined(self.hole.path[0], token=self.hole.token)
        for segment in self.rest:
            try:
                value = value[segment]
            except (KeyError, TypeError, IndexError):
                value = Undefined(self.hole.path[0], token=self.hole.token)
                break
        for used, function in self.hole.filters:
            given = value
            try:
                value = function(given, place)
            except Exception as error:  # filters meet values nobody foresaw
                raise named(error, used, self.hole.left, given) from error
        return value


class Bound:
    """A plan for entities of one layout."""

    __slots__ = ("_holes", "_html", "_pieces", "_plain", "_rich")

    def __init__(self, pieces: list[str], filled: list[_Filled], *, html: bool) -> None:
        self._pieces = pieces
        self._html = html
        self._holes = [item.at for item in filled]
        self._plain: list[tuple[int, str, Any]] = []
        self._rich: list[_Filled] = []
        for item in filled:
            if item.source is not None and item.source.given and not item.rest and not item.hole.filters:
                self._plain.append((item.at, item.source.key, item.source.default))
            else:
                self._rich.append(item)

    def render(
        self, attributes: Mapping[str, Any], extras: Mapping[str, Any], place: Place = SAMPLE_PLACE
    ) -> str:
        """The output for one recipient.

        Raises:
            Exception: what the interpreter would raise for it.
        """
        pieces = self._pieces.copy()
        size = self._fill_plain(pieces, attributes)
        if self._rich:
            size = self._fill_rich(pieces, size, attributes, extras, place)
        if size > OUTPUT_LIMIT:
            raise OutputStreamLimitError("output stream limit reached", token=None)
        output = "".join(pieces)
        if not output.isascii():
            for at in self._holes:
                pieces[at].encode()  # half of a surrogate pair is refused; the literals are known to be sound
        return output if len(output) <= _SURELY_WITHIN else checked(output)

    def _fill_plain(self, pieces: list[str], attributes: Mapping[str, Any]) -> int:
        """Fill the holes that are an attribute as it is; how many characters that was, at least."""
        html = self._html
        size = 0
        for index, key, default in self._plain:
            value = attributes[key]
            if default is not None and absent(value):
                value = default
            if type(value) is not str:
                value = output_text(value, html=html)
            elif html and not value.isalnum():
                value = escape(value)
            pieces[index] = value
            size += len(value)
            if size > OUTPUT_LIMIT:
                break
        return size

    def _fill_rich(
        self,
        pieces: list[str],
        size: int,
        attributes: Mapping[str, Any],
        extras: Mapping[str, Any],
        place: Place,
    ) -> int:
        """Fill the others, until there are too many characters; how many there are."""
        html = self._html
        budget = Budget() if len(self._rich) > _FEW else None
        for filled in self._rich:
            if size > OUTPUT_LIMIT:
                break
            try:
                value = output_text(filled.value(attributes, extras, place), html=html)
                if budget is not None:
                    budget.spend(_STEPS_A_HOLE)
            except LiquidError as error:
                error.token = error.token or filled.hole.token
                raise
            pieces[filled.at] = value
            size += len(value)
        return size


class Plan:
    """A part that needs no interpreter."""

    __slots__ = ("_html", "_items", "constant")

    def __init__(self, items: list[str | _Hole], *, html: bool) -> None:
        self._items = items
        self._html = html
        self.constant: str | None = None
        """The output, when it is the same for everybody."""
        literal = checked("".join(item for item in items if isinstance(item, str)))
        if all(isinstance(item, str) for item in items):
            self.constant = literal

    def bind(self, layout: Layout, extras: frozenset[str]) -> Bound:
        """Resolve the variables for entities of one layout."""
        pieces = [item if isinstance(item, str) else "" for item in self._items]
        filled = []
        for index, hole in enumerate(self._items):
            if isinstance(hole, str):
                continue
            root, *rest = hole.path
            source = None
            extra = root if root in extras else None
            if extra is None and root == ENTITY:
                source = layout.exactly(rest.pop(0))
            elif extra is None:
                source = layout.find(root)
            filled.append(_Filled(index, source, extra, tuple(rest), hole))
        return Bound(pieces, filled, html=self._html)


def plan(template: SandboxTemplate, *, html: bool) -> Plan | None:
    """The plan of a parsed part, or None when it needs the interpreter."""
    items: list[str | _Hole] = []
    for node in template.nodes:
        item: str | _Hole | None
        if isinstance(node, ContentNode):
            item = node.text
        elif isinstance(node, CommentNode):
            item = ""
        elif isinstance(node, OutputNode) and type(node.expression) is Filtered:
            item = _hole(node.expression, template)
        else:
            item = None
        if item is None:
            return None
        items.append(item)
    return Plan(items, html=html)


def _hole(expression: Filtered, template: SandboxTemplate) -> _Hole | None:
    left = expression.left
    if not isinstance(left, Path) or not all(isinstance(segment, str) for segment in left.path):
        return None
    path = tuple(str(segment) for segment in left.path)
    if path[0] in _BUILT_IN or path == (ENTITY,) or _SPECIAL.intersection(path[1:]):
        return None
    if len(expression.filters or ()) > _FEW:
        return None
    filters = []
    for used in expression.filters or ():
        function = _filter(used, template)
        if function is None:
            return None
        filters.append((used, function))
    return _Hole(path, tuple(filters), left)


def _filter(used: Filter, template: SandboxTemplate) -> Callable[[Any, Place], Any] | None:
    """The filter as a function of its value and the place alone, when its arguments are constants."""
    if not all(isinstance(arg.value, CONSTANTS) for arg in used.args):
        return None
    context = template.context_class(template)
    args, options = used.evaluate_args(context)
    if used.name in LOCATED:
        placed = LOCATED[used.name]

        def locate(value: Any, place: Place) -> Any:
            return placed(value, *args, place=place, **options)

        return locate
    function = template.env.filters[used.name]
    if getattr(function, "with_context", False):
        return None
    if getattr(function, "with_environment", False):
        options["environment"] = template.env

    def apply(value: Any, _: Place) -> Any:
        return function(value, *args, **options)

    def default(value: Any, _: Place) -> Any:
        # By far the most used, and then a no-op.
        return value if type(value) is str and value.strip(BLANKS) else function(value, *args, **options)

    return default if used.name == "default" else apply


def checked(output: str) -> str:
    """The output, when it is within bounds and can be written.

    Raises:
        liquid.exceptions.OutputStreamLimitError: it is too long.
        UnicodeEncodeError: it holds half of a surrogate pair, which no UTF-8 can say.
    """
    if (len(output) if output.isascii() else len(output.encode())) > OUTPUT_LIMIT:
        raise OutputStreamLimitError("output stream limit reached", token=None)
    return output
