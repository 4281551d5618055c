"""python-liquid, fenced in: what a template may cost, and what it cannot reach.

Templates are written by customers and run inside the worker, so every one of them is bounded: its source,
its output, its loops together (python-liquid's own limit counts nested loops only, so two hundred loops in a
row would pass), what it assigns, how deep it nests, and what a filter may make of a short string (`replace:
""`) or a long range (`(1..999999999) | join`). It cannot load other templates: `include` and `render` do not
exist here.

A template that breaks a bound raises one of python-liquid's errors, which `engine.content.templates` turns
into `TemplateError` (found when parsing) or `RenderError` (found when rendering).
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

from liquid import BoundTemplate, Environment, Expression, Node, RenderContext
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.primitive import (
    FalseLiteral,
    FloatLiteral,
    IntegerLiteral,
    RangeLiteral,
    StringLiteral,
    TrueLiteral,
)
from liquid.builtin.filters.array import join as upstream_join
from liquid.builtin.filters.misc import default as upstream_default
from liquid.exceptions import (
    LiquidError,
    LiquidSyntaxError,
    LiquidValueError,
    LoopIterationLimitError,
    OutputStreamLimitError,
)
from liquid.filter import sequence_filter, with_context, with_environment
from liquid.output import LimitedStringIO

from engine.content.arithmetic import ARITHMETIC
from engine.content.budget import Budget
from engine.content.delimiters import check_delimiters
from engine.content.expressions import Working, own
from engine.content.filters import LOCATED, OPTIONS, SAMPLE_PLACE, SAMPLES, titlecase
from engine.content.html_tokens import Text, html_tokens
from engine.content.values import absent, liquid_text, text_of
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import StringIO
    from typing import TextIO

    from liquid.builtin.expressions.filtered import Filter
    from liquid.builtin.tags.for_tag import ForLoop
    from liquid.builtin.tags.tablerow_tag import TableRow

    from engine.content.locales import Place

__all__ = [
    "CONSTANTS",
    "LOOP_LIMIT",
    "OUTPUT_LIMIT",
    "SOURCE_LIMIT",
    "SandboxTemplate",
    "parse",
]

#: Characters of one part's source.
SOURCE_LIMIT = 1 << 20
#: Bytes (UTF-8) one part may render to.
OUTPUT_LIMIT = 1 << 20
#: Rounds of all loops of one part together; also how many items a filter may give or a range may have.
LOOP_LIMIT = 10_000
#: Bytes that `assign` and `capture` may hold on to.
NAMESPACE_LIMIT = 1 << 20
#: Bits of a number: no more can be written down (`sys.get_int_max_str_digits`), and squaring doubles them.
NUMBER_LIMIT = 14_000
#: How deep blocks and scopes may nest.
DEPTH_LIMIT = 30

#: Expressions that say the same for everybody.
CONSTANTS = (StringLiteral, IntegerLiteral, FloatLiteral, TrueLiteral, FalseLiteral)

_UNREACHABLE = ("include", "render")


class _Context(Working):
    """Counts the rounds of all loops, not only of nested ones."""

    __slots__ = ("_rounds",)

    def __init__(self, template: BoundTemplate, *, budget: Budget | None = None, **options: Any) -> None:
        super().__init__(template, **options)
        self._rounds = 0
        self.budget = budget or Budget()
        self.place: Place = SAMPLE_PLACE

    @contextmanager
    def loop(self, namespace: Mapping[str, object], forloop: ForLoop | TableRow) -> Iterator[RenderContext]:
        self._rounds += forloop.length
        if self._rounds > LOOP_LIMIT:
            raise LoopIterationLimitError(f"loops together exceed {LOOP_LIMIT} rounds", token=None)
        with super().loop(namespace, forloop) as context:
            yield context

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        return _buffer(OUTPUT_LIMIT - (buf.size if isinstance(buf, LimitedStringIO) else 0))


class SandboxTemplate(BoundTemplate):
    """A parsed part of a template."""

    context_class = _Context

    def render_scope(
        self, scope: Mapping[str, object], place: Place | None = None, budget: Budget | None = None
    ) -> str:
        """The output for one recipient's names (`Layout.scope`) at one place.

        Args:
            scope: Name → value.
            place: Where the recipient is.
            budget: Shared by the parts of a message.

        Raises:
            liquid.exceptions.LiquidError: a bound was reached, or a filter got what it cannot use.
            Exception: whatever a filter raises over a strange value.
        """
        buffer = _buffer(OUTPUT_LIMIT)
        context = self.context_class(self, globals=scope, budget=budget)
        if place is not None:
            context.place = place
        self.render_with_context(context, buffer)
        return buffer.getvalue()

    def evaluate(self, expression: Expression, scope: Mapping[str, object]) -> object:
        """The value of one of its expressions.

        Raises:
            liquid.exceptions.LiquidError: as `render_scope`.
            Exception: as `render_scope`.
        """
        return expression.evaluate(self.context_class(self, globals=scope))

    def make_partial_namespace(
        self,
        partial: bool,  # noqa: ARG002 - upstream's signature
        render_args: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Nothing: upstream puts a variable `partial` in front of an attribute of that name."""
        return render_args

    @property
    def located(self) -> bool:
        """Whether it says something else at another place."""
        return any(used.name in LOCATED for used in self.filters())

    def filters(self) -> Iterator[Filter]:
        """Every filter that is used in it."""
        for expression in self.expressions():
            if isinstance(expression, FilteredExpression):
                yield from expression.filters or ()

    def needs(self) -> frozenset[tuple[str, ...]]:
        """The paths it reads as if they were always there: without `default`, and asked about by no condition."""
        given = self.global_variables()
        needed: set[tuple[str, ...]] = set()
        handled: set[tuple[str, ...]] = set()
        for node in self.all_nodes():
            for expression in node.expressions():
                plain = isinstance(expression, FilteredExpression) and not any(
                    used.name == "default" for used in expression.filters or ()
                )
                for inner in _within(expression):
                    if isinstance(inner, Path) and inner.path and str(inner.path[0]) in given:
                        path = tuple(str(segment) for segment in inner.path)
                        (needed if plain else handled).add(path)
        return frozenset(needed - handled)

    def all_nodes(self) -> Iterator[Node]:
        """Every node in it, also those inside others."""
        return _nodes(self.nodes, self)

    def expressions(self) -> Iterator[Expression]:
        """Every expression in it, also those inside others."""
        for node in self.all_nodes():
            for expression in node.expressions():
                yield from _within(expression)


class _Sandbox(Environment):
    block_nesting_limit: ClassVar[int] = DEPTH_LIMIT
    context_depth_limit: ClassVar[int] = DEPTH_LIMIT
    loop_iteration_limit: ClassVar[int | None] = LOOP_LIMIT
    local_namespace_limit: ClassVar[int | None] = NAMESPACE_LIMIT
    output_stream_limit: ClassVar[int | None] = OUTPUT_LIMIT
    template_class = SandboxTemplate

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for tag in _UNREACHABLE:
            del self.tags[tag]
        self.filters |= {name: _of_text(self.filters[name]) for name in _OF_TEXT}
        self.filters |= {**ARITHMETIC, "join": _join, "titlecase": titlecase, "uniq": _uniq}
        self.filters |= {"default": _default, "strip_html": _strip_html}
        self.filters = {name: _bounded(name, function) for name, function in self.filters.items()}
        self.filters |= {name: _located(function) for name, function in LOCATED.items()}


class _BoundedRange(RangeLiteral):
    """A range no longer than a loop may be: upstream would list, sort or join a billion numbers."""

    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        made = super()._make_range(start, stop)
        if made.stop - made.start > LOOP_LIMIT:
            raise LiquidValueError(f"a range of more than {LOOP_LIMIT} numbers", token=self.token)
        return made


def _buffer(limit: int) -> LimitedStringIO:
    """An output that leaves line ends as they are; upstream's would make all of them line feeds."""
    return LimitedStringIO(limit=limit, newline="\n")


def parse(source: str, *, html: bool) -> SandboxTemplate:
    """Parse one part; `html` escapes what its variables hold.

    Raises:
        liquid.exceptions.LiquidError: it does not parse, or names a filter that does not exist.
    """
    if len(source) > SOURCE_LIMIT:
        raise LiquidSyntaxError(f"longer than {SOURCE_LIMIT} characters", token=None)
    check_delimiters(source)
    template = _ENVIRONMENTS[html].from_string(source)
    assert isinstance(template, SandboxTemplate)  # noqa: S101 - for the type checker: it is the environment's class
    parts: list[Node | Expression] = [*template.all_nodes(), *template.expressions()]
    for part in parts:
        if type(part) is RangeLiteral:
            part.__class__ = _BoundedRange  # upstream has no hook for it; the layout is the same
        else:
            own(part)
    for used in template.filters():
        if used.name not in template.env.filters:
            hint = did_you_mean(used.name, template.env.filters)
            raise LiquidSyntaxError(f"unknown filter '{used.name}'{hint}", token=used.token)
        if used.name in LOCATED:
            _try_out(used, template)
    return template


def _try_out(used: Filter, template: SandboxTemplate) -> None:
    """Refuse arguments that can work for nobody."""
    known = OPTIONS.get(used.name, frozenset())
    unknown = {name for arg in used.args if (name := getattr(arg, "name", None))} - known
    if unknown:
        raise LiquidSyntaxError(
            f"{used.name}: no such option: {', '.join(sorted(unknown))}", token=used.token
        )
    if not all(isinstance(arg.value, CONSTANTS) for arg in used.args):
        return
    args, options = used.evaluate_args(template.context_class(template))
    try:
        LOCATED[used.name](SAMPLES[used.name], *args, place=SAMPLE_PLACE, **options)
    except LiquidError as error:
        raise LiquidSyntaxError(f"{used.name}: {error.message}", token=used.token) from error


def _nodes(nodes: list[Node], template: SandboxTemplate) -> Iterator[Node]:
    context = RenderContext(template)
    for node in nodes:
        yield node
        yield from _nodes(list(node.children(context, include_partials=False)), template)


def _within(expression: Expression) -> Iterator[Expression]:
    yield expression
    for child in expression.children():
        yield from _within(child)


def _of_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of texts, which upstream would give other values in Python's notation."""

    @wraps(function)
    def of_text(value: Any, *args: Any, **options: Any) -> Any:
        return function(liquid_text(value), *map(liquid_text, args), **options)

    return of_text


@with_environment
def _join(value: Any, *args: Any, environment: Environment) -> Any:
    """Upstream's `join` over the texts of a list's items."""
    items = [text_of(item) for item in value] if isinstance(value, list | tuple | range) else text_of(value)
    return upstream_join(items, *map(liquid_text, args), environment=environment)


@sequence_filter
def _uniq(items: Any, key: Any = None) -> list[Any]:
    """The items that differ, or those whose values under a key do, in linear time."""
    first: dict[str, Any] = {}
    for item in items:
        value = item if absent(key) else item.get(key) if isinstance(item, dict) else None
        first.setdefault(f"{type(value).__name__} {text_of(value)}", item)
    return list(first.values())


def _default(value: Any, instead: Any = "", *, allow_false: Any = False) -> Any:
    """Upstream's `default`, which stands in for blanks as well: they are all that a cell of a spreadsheet may hold."""
    if isinstance(value, str) and absent(value):
        return instead
    return upstream_default(value, instead, allow_false=allow_false)


def _strip_html(value: Any) -> str:
    """The text between tags, as a browser finds them, in linear time."""
    return "".join(token.raw for token in html_tokens(text_of(value)) if isinstance(token, Text))


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose result is bounded, and whose work is where that is not enough."""
    foresee = _FORESEEN.get(name)

    @wraps(function)
    def bounded(value: Any, *args: Any, **options: Any) -> Any:
        if foresee is not None:
            _refuse(name, foresee(value, *args))
        result = function(value, *args, **options)
        if isinstance(result, str):
            _refuse(name, len(result))
        elif isinstance(result, int) and result.bit_length() > NUMBER_LIMIT:
            raise OutputStreamLimitError(
                f"{name} gives a number of more than {NUMBER_LIMIT} bits", token=None
            )
        elif isinstance(result, list) and len(result) > LOOP_LIMIT:
            raise OutputStreamLimitError(f"{name} gives more than {LOOP_LIMIT} items", token=None)
        return result

    return bounded


def _located(function: Callable[..., str]) -> Callable[..., str]:
    """A filter that knows where the recipient is. Its results are short whatever it is given."""

    @with_context
    @wraps(function)
    def located(value: Any, *args: Any, context: _Context, **options: Any) -> str:
        return function(value, *args, place=context.place, **options)

    return located


def _refuse(name: str, size: int) -> None:
    if size > OUTPUT_LIMIT:
        raise OutputStreamLimitError(f"{name} gives more than {OUTPUT_LIMIT} characters", token=None)


def _replaced(value: Any, old: Any, new: Any = "") -> int:
    """How long `replace` would make it: a short pattern and a long substitute multiply."""
    text = str(value)
    return len(text) + text.count(str(old)) * len(str(new))


def _joined(value: Any, glue: Any = " ") -> int:
    """How much glue `join` would need."""
    return len(value) * len(str(glue)) if isinstance(value, (list, tuple, range)) else 0


#: Filters of python-liquid that write other values than texts as `str` does.
_OF_TEXT = (
    *("append", "base64_decode", "base64_encode", "base64_url_safe_decode", "base64_url_safe_encode"),
    *("capitalize", "downcase", "escape", "escape_once", "escapejs", "lstrip", "newline_to_br", "prepend"),
    *("remove", "remove_first", "remove_last", "replace", "replace_first", "replace_last", "rstrip", "safe"),
    *(
        "split",
        "squish",
        "strip",
        "strip_html",
        "strip_newlines",
        "truncate",
        "truncatewords",
        "upcase",
        "url_decode",
        "url_encode",
    ),
)
_FORESEEN: dict[str, Callable[..., int]] = {"replace": _replaced, "join": _joined}
_ENVIRONMENTS = {html: _Sandbox(autoescape=html) for html in (False, True)}
