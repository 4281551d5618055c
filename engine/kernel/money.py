"""Amounts of money as whole numbers of a currency's smallest unit, so that sums are exact."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from babel.numbers import get_currency_precision, is_currency

__all__ = ["check_currency", "major", "minor"]

#: Of an amount without a currency: the organization's own, which nobody has named.
_USUAL = 2


def check_currency(currency: str) -> str:
    """The code of ISO 4217 in capitals.

    Raises:
        ValueError: there is no such currency.
    """
    code = currency.strip().upper()
    if len(code) != 3 or not is_currency(code):  # noqa: PLR2004 - ISO 4217
        raise ValueError(f"{currency[:16]!r} is no currency of ISO 4217")
    return code


def minor(amount: Decimal, currency: str) -> int:
    """The amount in the smallest unit: 19.99 EUR is 1999, 500 JPY is 500.

    Raises:
        ValueError: it has more digits behind the point than the currency.
    """
    digits = _digits(currency)
    units = amount.scaleb(digits)
    if units != units.to_integral_value():
        raise ValueError(f"has more than {digits} digits behind the point")
    return int(units)


def major(units: int, currency: str) -> Decimal:
    """The amount that `minor` gave."""
    return Decimal(units).scaleb(-_digits(currency))


@cache
def _digits(currency: str) -> int:
    return get_currency_precision(currency) if currency else _USUAL
