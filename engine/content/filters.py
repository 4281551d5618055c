"""Filters that Liquid lacks, or has for one language only: dates, numbers, money, names.

All of them write as the recipient's language does (`engine.content.locales`), by Unicode's CLDR through Babel.

| filter | says |
|---|---|
| `date`, `time`, `datetime` | a moment in the recipient's time zone; argument: `short`, `medium` (default), `long`, `full`, a strftime format (`%d.%m.%Y`) or a CLDR pattern (`EEEE, d MMMM`) |
| `number`, `percent` | a number; argument: how many decimals |
| `currency` | money; argument: the ISO 4217 code, and `digits:` |
| `possessive` | a name's possessive: Ada's, James', Adas, Hans' |
| `titlecase` | a name out of capitals: `ADA O'NEILL` is Ada O'Neill |

An absent value is empty, so that `default` can follow. What is no date is shown as it is; what is no number fails the
recipient: a message with a wrong price is worse than none. Arguments that can never work are refused when the template
is saved.
"""  # noqa: E501

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from babel import Locale
from babel.dates import (
    format_date,
    format_datetime,
    format_time,
    get_day_names,
    get_month_names,
    get_period_names,
)
from babel.numbers import NumberPattern, get_currency_precision, is_currency, parse_pattern
from liquid.filter import liquid_filter
from liquid.undefined import is_undefined

from engine.content.locales import Place
from engine.content.moments import read_moment
from engine.content.values import UnusableArgument, UnusableValue, absent, described, number, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOCATED", "OPTIONS", "SAMPLES", "SAMPLE_PLACE", "titlecase"]

_STYLES = ("short", "medium", "long", "full")
_LONGEST_FORMAT = 100
_MOST_DIGITS = 12
#: For rounding: more digits than any number has.
_WIDE = Context(prec=100)
#: What strftime would write in English.
_WORDS = re.compile(r"%(.)", re.DOTALL)


def _now() -> datetime:
    return datetime.now(UTC)


# --- dates -----------------------------------------------------------------------------------------------------------


def _dated(writer: Callable[[date | datetime, str, Place], str]) -> Callable[..., str]:
    """A filter that writes moments."""

    def written(value: Any, style: Any = "medium", *, place: Place) -> str:
        if absent(value):
            return ""
        if is_undefined(style):
            style = "medium"
        if not isinstance(style, str) or len(style) > _LONGEST_FORMAT:
            raise UnusableArgument(f"the format is a text of at most {_LONGEST_FORMAT} characters")
        moment = read_moment(value, _now, place.locale)
        if moment is None:
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                return text_of(value)
            raise UnusableValue(f"{described(value)} is not a date", token=None)
        return writer(moment, style, place)

    return liquid_filter(written)


@lru_cache(maxsize=8192)
def _date(moment: date | datetime, style: str, place: Place) -> str:
    if style in _STYLES:
        return format_date(_local(moment, place), style, locale=place.locale)
    return _custom(moment, style, place)


@lru_cache(maxsize=8192)
def _datetime(moment: date | datetime, style: str, place: Place) -> str:
    if style not in _STYLES:
        return _custom(moment, style, place)
    if not isinstance(moment, datetime):
        return format_date(moment, style, locale=place.locale)
    return format_datetime(moment, style, tzinfo=_tzinfo(place), locale=place.locale)


@lru_cache(maxsize=8192)
def _time(moment: date | datetime, style: str, place: Place) -> str:
    if not isinstance(moment, datetime):
        return ""
    if style in _STYLES:
        return format_time(moment, style, tzinfo=_tzinfo(place), locale=place.locale)
    return _custom(moment, style, place)


def _custom(moment: date | datetime, form: str, place: Place) -> str:
    local = _local(moment, place)
    if not isinstance(local, datetime):
        local = datetime.combine(local, time(), place.zone)
    if "%" not in form:
        try:
            return format_datetime(local, form, tzinfo=_tzinfo(place), locale=place.locale)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise UnusableArgument(f"{form!r} is no date format: {error}") from error
    return local.strftime(_WORDS.sub(lambda match: _word(match, local, place.locale), form))


def _local(moment: date | datetime, place: Place) -> date | datetime:
    return moment.astimezone(place.zone) if isinstance(moment, datetime) else moment


def _tzinfo(place: Place) -> Any:
    return place.zone


def _word(match: re.Match[str], local: datetime, locale: Locale) -> str:
    """A directive of strftime, or the word in the recipient's language that it stands for."""
    match match[1]:
        case "A":
            word = get_day_names("wide", locale=locale)[local.weekday()]
        case "a":
            word = get_day_names("abbreviated", locale=locale)[local.weekday()]
        case "B":
            word = get_month_names("wide", locale=locale)[local.month]
        case "b" | "h":
            word = get_month_names("abbreviated", locale=locale)[local.month]
        case "p":
            word = get_period_names(locale=locale)["am" if local.hour < 12 else "pm"]  # noqa: PLR2004
        case _:
            return match[0]
    return str(word).replace("%", "%%")


# --- numbers ---------------------------------------------------------------------------------------------------------


def _digits(value: Any, which: int | str = 0) -> int | None:
    if value is None or is_undefined(value):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_DIGITS:
        raise UnusableArgument(f"the number of decimals is 0 to {_MOST_DIGITS}", which)
    return value


@lru_cache(maxsize=1024)
def _pattern(locale: Locale, kind: str, digits: int | None) -> NumberPattern:
    formats: Any = {
        "number": locale.decimal_formats.get(None),
        "percent": locale.percent_formats.get(None),
        "currency": locale.currency_formats["standard"],
    }
    pattern = parse_pattern(formats[kind].pattern)
    if digits is not None:
        pattern.frac_prec = (digits, digits)
    return pattern


@lru_cache(maxsize=8192)
def _figure(number: Decimal, kind: str, digits: int | None, locale: Locale) -> str:
    pattern = _pattern(locale, kind, digits)
    return str(pattern.apply(_rounded(number, pattern.frac_prec[1] + pattern.scale), locale))


@lru_cache(maxsize=8192)
def _money(number: Decimal, code: str, digits: int | None, locale: Locale) -> str:
    pattern = _pattern(locale, "currency", digits)
    rounded = _rounded(number, get_currency_precision(code) if digits is None else digits)
    return str(pattern.apply(rounded, locale, currency=code, currency_digits=digits is None))


def _rounded(number: Decimal, digits: int) -> Decimal:
    """To so many decimals, halves away from zero as `round` does; nothing is never less than nothing."""
    rounded = number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _WIDE)
    return rounded or abs(rounded)


@liquid_filter
def _number(value: Any, digits: Any = None, *, place: Place) -> str:
    return "" if absent(value) else _figure(number(value), "number", _digits(digits), place.locale)


@liquid_filter
def _percent(value: Any, digits: Any = None, *, place: Place) -> str:
    return "" if absent(value) else _figure(number(value), "percent", _digits(digits), place.locale)


@liquid_filter
def _currency(value: Any, code: Any = None, *, digits: Any = None, place: Place) -> str:
    known = _known_currency(code) if isinstance(code, str) and len(code) <= _LONGEST_FORMAT else None
    if known is None:
        said = "nothing" if code is None or is_undefined(code) else repr(str(code)[:20])
        raise UnusableArgument(f"needs an ISO 4217 currency such as 'EUR', found {said}")
    return "" if absent(value) else _money(number(value), known, _digits(digits, "digits"), place.locale)


@lru_cache(maxsize=256)
def _known_currency(code: str) -> str | None:
    """The code in capitals, when there is such a currency; looking it up walks a list."""
    upper = code.strip().upper()
    return upper if is_currency(upper) else None


# --- names -----------------------------------------------------------------------------------------------------------

_SIBILANT = ("s", "ß", "x", "z")
_VOWELS = tuple("aeiouyhàâäéèêëîïôöùûüœæ")
#: Languages that put a word in front: before a consonant, and before a vowel (and a silent h).
_BEFORE = {
    "fr": ("de ", "d’"),
    "ca": ("de ", "d’"),
    "es": ("de ", "de "),
    "gl": ("de ", "de "),
    "it": ("di ", "di "),
    "pt": ("de ", "de "),
}


@liquid_filter
def _possessive(value: Any, *, place: Place) -> str:
    if absent(value):
        return ""
    name = text_of(value).strip()
    if not name:
        return ""
    language = place.locale.language
    last, first = name[-1].lower(), name[0].lower()
    if language in _BEFORE:
        return _BEFORE[language][first in _VOWELS] + name
    if language == "en":
        return name + ("'" if last == "s" else "'s")
    if language == "de":
        return name + ("'" if last in _SIBILANT or name.lower().endswith("ce") else "s")
    if language == "nl":
        return name + ("'" if last in _SIBILANT else "'s" if last in "aiouy" else "s")
    if language in ("da", "nb", "nn", "no"):
        return name + ("'" if last in _SIBILANT else "s")
    if language == "sv":
        return name if last in _SIBILANT else name + "s"
    return name


_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_ELISION = re.compile(r"([odl])(['’])(?=[^\W\d_]{2})", re.IGNORECASE)


@liquid_filter
def titlecase(value: Any) -> str:
    """Each word with a capital, the rest small; words that mix both (`McDonald`, `de la Cruz`) stay."""
    return "" if absent(value) else _WORD.sub(_titled, text_of(value))


def _titled(match: re.Match[str]) -> str:
    word = match[0]
    if not (word.isupper() or word.islower()):
        return word
    word = word[:1].upper() + word[1:].lower()
    elided = _ELISION.match(word)
    return word[:2] + word[2:3].upper() + word[3:] if elided else word


#: Filters that take a `place`.
LOCATED: dict[str, Callable[..., str]] = {
    "currency": _currency,
    "date": _dated(_date),
    "datetime": _dated(_datetime),
    "number": _number,
    "percent": _percent,
    "possessive": _possessive,
    "time": _dated(_time),
}

#: What each is tried with when a template is saved.
SAMPLES: dict[str, Any] = {
    "currency": 1,
    "date": "2026-03-02T09:00:00Z",
    "datetime": "2026-03-02T09:00:00Z",
    "number": 1,
    "percent": 1,
    "possessive": "Ada",
    "time": "2026-03-02T09:00:00Z",
}
#: The named arguments of each; those not listed have none.
OPTIONS: dict[str, frozenset[str]] = {"currency": frozenset({"digits"})}
SAMPLE_PLACE = Place(Locale("en"), UTC)
