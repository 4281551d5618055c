"""Expressions of Liquid over imported text: what is compared, what filters are given, and whose fault it is.

python-liquid's own expressions, each exchanged for one of the same layout when a template is parsed (`own`):

- Two values are compared as numbers where both say one, also as text; two texts as texts where neither does. What is
  absent is in no order. Anything else fails the recipient.
- What a filter or a comparison cannot use is named: `'12,50' is not a number (price)`.
- An output writes no notation of Python (`engine.content.values`).
- Filters and whatever stands in a loop or a condition cost steps (`engine.content.budget`).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, cast

from liquid import RenderContext
from liquid.ast import BlockNode, ConditionalBlockNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.logical import _contains as upstream_contains
from liquid.builtin.expressions.logical import _eq as upstream_eq
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.case_tag import _AnyExpression
from liquid.builtin.tags.echo_tag import EchoNode
from liquid.exceptions import (
    FilterArgumentError,
    FilterError,
    FilterItemTypeError,
    FilterValueError,
    LiquidError,
    LiquidTypeError,
)

from engine.content.moments import read_moment
from engine.content.values import (
    UnusableArgument,
    UnusableValue,
    absent,
    described,
    liquid_text,
    output_text,
    read_number,
)

if TYPE_CHECKING:
    from typing import TextIO

    from liquid import Expression, Node
    from liquid.builtin.expressions.filtered import Filter

    from engine.content.budget import Budget
    from engine.content.locales import Place

__all__ = ["Filtered", "Working", "named", "own"]

#: Dates, and parts of them, that are in order as texts: `2026-03-02`, `2026-03`.
_BY_TEXT = re.compile(r"\d{4}-\d\d(?!\d)")


class Working(RenderContext):
    """A context that knows how much work is left, and where the recipient is."""

    __slots__ = ("budget", "place")

    budget: Budget
    place: Place


#: Errors of filters that say what Python calls a value.
_OF_VALUES = (
    FilterError,
    FilterArgumentError,
    FilterValueError,
    FilterItemTypeError,
    LiquidTypeError,
)


def _budget(context: RenderContext) -> Budget:
    return cast("Working", context).budget


def named(error: Exception, used: Filter, left: Expression, value: object) -> LiquidError:
    """The error that tells what a filter could not use, and where that comes from."""
    if isinstance(error, UnusableValue):
        error.token = used.token
    if isinstance(error, UnusableArgument):
        return _of(error, _argument(used, error.argument))
    if isinstance(error, UnusableValue):
        return _of(error, left)
    if isinstance(error, LiquidError) and not isinstance(error, _OF_VALUES):
        return error  # a bound of the sandbox
    return _of(UnusableValue(f"{used.name} cannot use {described(value)}", token=used.token), left)


def _of(error: UnusableValue, expression: Expression | None) -> UnusableValue:
    """The error with the name of what it is about, where that has one."""
    if not isinstance(expression, Path):
        return error
    return UnusableValue(f"{error.message} ({expression})", token=error.token or expression.token)


def _argument(used: Filter, which: int | str | None) -> Expression | None:
    names = [getattr(arg, "name", None) for arg in used.args]
    if isinstance(which, str):
        return used.args[names.index(which)].value if which in names else None
    placed = [arg for arg, name in zip(used.args, names, strict=True) if name is None]
    return placed[which].value if which is not None and which < len(placed) else None


class Filtered(FilteredExpression):
    """A value that goes through filters."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        """What the filters make of the value."""
        value = self.left.evaluate(context)
        for used in self.filters or ():
            given = value
            try:
                value = used.evaluate(given, context)
                _budget(context).spend_on(value)
            except Exception as error:  # filters meet values nobody foresaw
                raise named(error, used, self.left, given) from error
        return value


# --- comparisons -----------------------------------------------------------------------------------------------------


def _pair(left: Expression, right: Expression, context: RenderContext) -> tuple[Any, Any] | None:
    """Two values that can be put in order, as numbers, dates or texts; None: one of them is absent.

    Raises:
        UnusableValue: they cannot; it names the one that is no number, or no date where the other is one.
    """
    one, two = left.evaluate(context), right.evaluate(context)
    if absent(one) or absent(two):
        return None
    numbers = read_number(one), read_number(two)
    if None not in numbers:
        return numbers
    if isinstance(one, str) and isinstance(two, str) and numbers == (None, None):
        return _dates_or_texts(left, one, right, two, cast("Working", context).place)
    if isinstance(one, date) and type(one) is type(two):
        return one, two
    value, expression = (one, left) if numbers[0] is None else (two, right)
    if numbers == (None, None) and not isinstance(left, Path):
        value, expression = two, right
    raise _of(UnusableValue(f"{described(value)} is not a number", token=left.token), expression)


def _dates_or_texts(
    left: Expression, one: str, right: Expression, two: str, place: Place
) -> tuple[datetime, datetime] | tuple[str, str]:
    read = _instant(one, place), _instant(two, place)
    if read[0] is not None and read[1] is not None:
        return read[0], read[1]
    if read == (None, None) or (_BY_TEXT.match(one) and _BY_TEXT.match(two)):
        return one, two
    text, expression = (one, left) if read[0] is None else (two, right)
    raise _of(UnusableValue(f"{described(text)} is not a date", token=left.token), expression)


def _instant(text: str, place: Place) -> datetime | None:
    """A date as an instant; a day's is its beginning for the recipient."""
    moment = read_moment(text, lambda: datetime.now(UTC), place.locale)
    if moment is None or isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), place.zone)


def _equal(one: object, two: object) -> bool:
    """As upstream has it; a text that says a number equals that number."""
    if upstream_eq(one, two):
        return True
    if isinstance(one, str) == isinstance(two, str):
        return False
    read = read_number(one)
    return read is not None and read == read_number(two)


class _Less(LtExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        pair = _pair(self.left, self.right, context)
        return pair is not None and pair[0] < pair[1]


class _LessOrEqual(LeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        pair = _pair(self.left, self.right, context)
        return pair is not None and pair[0] <= pair[1]


class _Greater(GtExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        pair = _pair(self.left, self.right, context)
        return pair is not None and pair[0] > pair[1]


class _GreaterOrEqual(GeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        pair = _pair(self.left, self.right, context)
        return pair is not None and pair[0] >= pair[1]


class _Equal(EqExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return _equal(self.left.evaluate(context), self.right.evaluate(context))


class _NotEqual(NeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return not _equal(self.left.evaluate(context), self.right.evaluate(context))


class _Any(_AnyExpression):
    """What `when` compares."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> list[bool]:
        _budget(context).spend(len(self.expressions))
        left = self.left.evaluate(context)
        return [_equal(left, right.evaluate(context)) for right in self.expressions]


class _Contains(ContainsExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        left, right = self.left.evaluate(context), self.right.evaluate(context)
        if isinstance(left, str):
            right = liquid_text(right)
        try:
            return upstream_contains(self.token, left, right)
        except (LiquidTypeError, TypeError):
            wrong = UnusableValue(f"{described(left)} is no text and no list", token=self.token)
            raise _of(wrong, self.left) from None


# --- blocks ----------------------------------------------------------------------------------------------------------


class _Block(BlockNode):
    """What stands in a loop or a condition: the only place where a node comes more than once."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        _budget(context).spend(1 + len(self.nodes))
        return super().render_to_output(context, buffer)


class _ConditionalBlock(ConditionalBlockNode):
    """What stands behind `elsif`."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        _budget(context).spend(1)
        return super().render_to_output(context, buffer)


# --- outputs ---------------------------------------------------------------------------------------------------------


class _Output(OutputNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(output_text(self.expression.evaluate(context), html=context.autoescape))


class _Echo(EchoNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(output_text(self.expression.evaluate(context), html=context.autoescape))


_OWN: dict[type, type] = {
    FilteredExpression: Filtered,
    LtExpression: _Less,
    LeExpression: _LessOrEqual,
    GtExpression: _Greater,
    GeExpression: _GreaterOrEqual,
    EqExpression: _Equal,
    NeExpression: _NotEqual,
    ContainsExpression: _Contains,
    _AnyExpression: _Any,
    BlockNode: _Block,
    ConditionalBlockNode: _ConditionalBlock,
    OutputNode: _Output,
    EchoNode: _Echo,
}


def own(part: Expression | Node) -> None:
    """Exchange a part of a parsed template for the one of this module, if there is one."""
    exchanged = _OWN.get(type(part))
    if exchanged is not None:
        part.__class__ = exchanged  # upstream has no hook for it; the layout is the same
