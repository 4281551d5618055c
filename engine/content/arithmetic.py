"""Filters that reckon: `plus`, `minus`, `times`, `divided_by`, `modulo`, `abs`, `ceil`, `floor`, `round`, `at_least`,
`at_most`, `sum`.

All of them have one rule. A value is a number, a text that says one exactly (`engine.content.values`), or absent, and
stays absent then, so that `default` can follow; what is neither fails the recipient. So does an argument that is no
number, an absent one as well: a price without its discount is a wrong price.

Reckoned is in decimals, and halves are rounded away from zero, as Liquid does it: `2.5 | round` is 3, and
`1.005 | round: 2` is 1.01. Two whole numbers divide to a whole one, rounded down.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from engine.content.values import (
    EXACT,
    Number,
    UnusableArgument,
    UnusableValue,
    absent,
    described,
    number,
    read_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ARITHMETIC"]

#: Digits that `round` may keep, on either side of the point.
_MOST_DIGITS = 20
_ONE = Decimal(1)


def _alone(reckon: Callable[[Decimal], Decimal]) -> Callable[..., Any]:
    """A filter of one number."""

    def filtered(value: Any) -> Any:
        return value if absent(value) else _written(reckon(number(value)))

    return filtered


def _with_other(name: str, reckon: Callable[[Decimal, Decimal], Decimal]) -> Callable[..., Any]:
    """A filter of one number with another."""

    def filtered(value: Any, other: Any) -> Any:
        if absent(value):
            return value
        one, two = number(value), read_number(other)
        if two is None:
            raise UnusableArgument(f"{name}: {described(other)} is not a number")
        return _written(reckon(one, two))

    return filtered


def _whole(value: Decimal) -> bool:
    """Whether it is written as a whole number: 20, but neither 20.5 nor 20.0."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= 0


def _written(result: Decimal) -> Number:
    """A result as Liquid goes on with it; a float only where that is the same number."""
    if _whole(result):
        return int(result)
    nearest = float(result)
    return nearest if Decimal(repr(nearest)) == result else result


def _divided_by(one: Decimal, other: Decimal) -> Decimal:
    if not other:
        raise UnusableArgument("divided_by: nothing can be divided by 0")
    if _whole(one) and _whole(other):
        return EXACT.divide(one, other).to_integral_value(ROUND_FLOOR)
    quotient = Decimal(repr(float(EXACT.divide(one, other))))
    return quotient.quantize(Decimal("0.1")) if _whole(quotient) else quotient


def _modulo(one: Decimal, other: Decimal) -> Decimal:
    if not other:
        raise UnusableArgument("modulo: nothing can be divided by 0")
    times = EXACT.divide(one, other).to_integral_value(ROUND_FLOOR)
    return EXACT.subtract(one, EXACT.multiply(times, other))


def _round(value: Any, digits: Any = 0) -> Any:
    if absent(value):
        return value
    read = number(value)
    kept = Decimal(0) if absent(digits) else read_number(digits)
    if kept is None or kept % 1 or abs(kept) > _MOST_DIGITS:
        raise UnusableArgument(f"round: {described(digits)} is no number of decimals")
    rounded = read.quantize(_ONE.scaleb(-int(kept)), ROUND_HALF_UP, EXACT)
    if kept <= 0:
        return int(rounded)
    return _written(rounded) if not _whole(read) else int(read)


def _sum(value: Any, key: Any = None) -> Any:
    """The numbers of a list together, or those under a key of its objects; absent ones do not count."""
    if absent(value):
        return value
    items = list(value) if isinstance(value, list | tuple | range) else [value]
    if not absent(key):
        items = [item.get(key) if isinstance(item, dict) else item for item in items]
    total = Decimal(0)
    for item in items:
        if not absent(item):
            total = EXACT.add(total, number(item))
    if not total.is_finite():
        raise UnusableValue("the sum has no bounds", token=None)
    return _written(total)


#: Name → filter.
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "abs": _alone(abs),
    "at_least": _with_other("at_least", max),
    "at_most": _with_other("at_most", min),
    "ceil": _alone(lambda value: value.to_integral_value(ROUND_CEILING)),
    "divided_by": _with_other("divided_by", _divided_by),
    "floor": _alone(lambda value: value.to_integral_value(ROUND_FLOOR)),
    "minus": _with_other("minus", EXACT.subtract),
    "modulo": _with_other("modulo", _modulo),
    "plus": _with_other("plus", EXACT.add),
    "round": _round,
    "sum": _sum,
    "times": _with_other("times", EXACT.multiply),
}
