"""Phone numbers as people, spreadsheets and programs write them, in E.164 (`+4915112345678`) by libphonenumber's plans.

A number that could be somebody else's is none: what holds letters, an extension or a second number; what a spreadsheet
shortened (`4.79123E+10`); digits that are one person's at home and another's abroad. `phone_trouble` says which.

| written | in region DE | without a region |
|---|---|---|
| `+49 151 12345678`, `0049 (0)151 12345678`, `'+4915112345678`, `="+4915112345678"` | that number | that number |
| `0151 12345678` | `+4915112345678` | none: it names no country |
| `15112345678` (a spreadsheet took the 0 away) | `+4915112345678`: no other country's | none |
| `15712345678` | none: `0157 12345678`, or `+1 571 234 5678` | none |
| `4915112345678`, `4915112345678.0` | that number: a mobile number, which no country writes so at home | the same |
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from engine.kernel.blanks import BLANKS

if TYPE_CHECKING:
    import phonenumbers

__all__ = ["Region", "is_shortened", "normalise_phone", "phone_trouble"]

#: Longer than any way to write a phone number; parsing costs with the length.
_LIMIT = 40
#: Any blank of a line: programs that set type put thin and narrow ones between digits.
_BLANK = re.compile(r"[^\S\r\n]")
_SEPARATORS = re.compile(r"[\s./()-]+")
_HYPHENS = re.compile("[\u2010-\u2015\u2212\u30fc\uff0d]")
#: What spreadsheets put around a text that they must not take for a number.
_FORMULA = re.compile(r'="(.*)"')
_APOSTROPHES = "'`\u2018\u2019"
#: `tel:`, `Tel.: `, `whatsapp:`, `M: `; letters right before digits are a mistake (`O151`).
_LABEL = re.compile(r"(?:[^\W\d_]{1,16} ?){1,2}[.:]+ ?(?=[+(\d])")
_NUMBER = re.compile(r"[+\d ()./-]+")
#: A whole number as programs write down a double.
_DOUBLE = re.compile(r"(\+?\d{5,15})[.,]0+")
_SHORTENED = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE]\+\d{1,3}")
_NO_PLUS = re.compile(r"[1-9][0-9]{10,14}")
_DIGITS = re.compile(r"[1-9][0-9]{6,14}")
_INTERNATIONAL_PREFIX = re.compile(r"^00(?=[1-9 ])")
_EXTENSION = re.compile(r"(?:ext|extn|x|poste|anexo|int|dw|durchwahl|w|#|,,)[\s.:=]*\d{1,7}$", re.IGNORECASE)
#: Where a second number may begin.
_SECOND = re.compile(r"[ ./-]+(?=[+0])|/")
#: Digits that a second number has at least; `030 1234-0` is one.
_FEWEST = 5


def _region(value: str) -> str:
    import phonenumbers  # noqa: PLC0415 - half of what a command loads, and few read a number

    code = value.strip().upper()
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("is not a country's two letters (ISO 3166-1), such as DE or US")
    return code


Region = Annotated[str, AfterValidator(_region)]


@lru_cache(maxsize=4096)
def normalise_phone(text: str, region: str | None = None) -> str | None:
    """The number in E.164, or None when it is none that anybody can have, or nobody can say whose it is.

    Args:
        region: Where it is from when it has no country code (`0151 …`); None: such a number is none. `+`, `00` and the
            region's international prefix begin a country code; so do the first of eleven or more digits that are a
            mobile number in that reading, which is how WhatsApp writes them, and in no other.
    """
    plain = _plain(text)
    if plain is None or _holds_two(plain, region):
        return None
    digits = _SEPARATORS.sub("", plain)
    if _DIGITS.fullmatch(digits) is not None:
        return _of_digits(digits, region)
    number = None if region is None else _parsed(plain, region)
    if number is None:
        number = _parsed(_INTERNATIONAL_PREFIX.sub("+", plain, count=1), None)
    return None if number is None else _e164(number)


def is_shortened(text: str) -> bool:
    """Whether a spreadsheet has written a long number with an exponent, so that digits are lost (`4.79123E+10`)."""
    return _SHORTENED.fullmatch(text.strip(BLANKS).strip(_APOSTROPHES)) is not None


def phone_trouble(text: str, region: str | None = None) -> str:
    """Why a text is no phone number that can be written to (`normalise_phone` gives None)."""
    if is_shortened(text):
        return "lost digits in a spreadsheet; format its column as text"
    plain = _plain(text)
    if plain is None:
        if _EXTENSION.search(text.strip(BLANKS)) is not None:
            return "has an extension"
        if any(map(str.isalpha, text)):
            return "holds letters"
        return "is not one phone number and nothing else"
    if _holds_two(plain, region):
        return "holds more than one phone number"
    digits = _SEPARATORS.sub("", plain)
    if _DIGITS.fullmatch(digits) is not None and (abroad := _parsed(f"+{digits}", None)) is not None:
        at_home = None if region is None else _parsed(digits, region)
        if at_home is not None:
            return f"may be {_e164(at_home)} or {_e164(abroad)}; it needs its country code or its first 0"
        return "has no country code (`+`), and may be a number of several countries"
    if region is None and not plain.startswith(("+", "00", "(+")):
        return "has no country code, and the channel names no region"
    return "is no phone number that anybody can have"


def _plain(text: str) -> str | None:
    """The text without what spreadsheets and address books put around a number, in ASCII; None: it is not one number
    and nothing else.
    """
    text = _BLANK.sub(" ", text.strip(BLANKS))
    if len(text) > _LIMIT:
        return None
    if (formula := _FORMULA.fullmatch(text)) is not None:
        text = formula[1]
    text = text.strip(_APOSTROPHES + " ")
    if not text.isascii():
        text = _HYPHENS.sub("-", unicodedata.normalize("NFKC", text))
        text = "".join(str(unicodedata.decimal(one, one)) for one in text)
    text = _LABEL.sub("", text, count=1) if _LABEL.match(text) is not None else text
    if (double := _DOUBLE.fullmatch(text)) is not None:
        text = double[1]
    if _NUMBER.fullmatch(text) is None or text.endswith(".0"):
        return None
    return text


def _holds_two(plain: str, region: str | None) -> bool:
    """Whether what stands before a slash, a `+` or a `0` is a number of its own, and more follows."""
    for found in _SECOND.finditer(plain):
        before, after = plain[: found.start()], plain[found.end() :]
        enough = found[0] == "/" or sum(map(str.isdecimal, after)) >= _FEWEST
        if enough and sum(map(str.isdecimal, before)) >= _FEWEST and _is_whole(before, region):
            return True
    return False


def _is_whole(text: str, region: str | None) -> bool:
    return _parsed(_INTERNATIONAL_PREFIX.sub("+", text, count=1), region) is not None


def _of_digits(digits: str, region: str | None) -> str | None:
    """A number that begins with neither `+` nor 0: as its country's people write it, else with its country code."""
    abroad = _parsed(f"+{digits}", None)
    is_mobile_abroad = abroad is not None and _NO_PLUS.fullmatch(digits) is not None and _is_mobile(abroad)
    at_home = None if region is None else _parsed(digits, region)
    if abroad is not None and at_home in (None, abroad):
        if not is_mobile_abroad or (region is None and _is_somebodys_at_home(digits)):
            return None if at_home is None else _e164(abroad)
        return _e164(abroad)
    if at_home is None:
        return None
    if is_mobile_abroad and not _is_mobile(at_home):  # plans let landlines have any number of digits
        return None if abroad is None else _e164(abroad)
    lacks_plus = abroad is not None or digits.startswith(str(at_home.country_code))
    return _e164(at_home) if not lacks_plus or _is_usual_at_home(digits, region) else None


def _is_mobile(number: phonenumbers.PhoneNumber) -> bool:
    from phonenumbers import PhoneNumberType, number_type  # noqa: PLC0415 - see `_region`

    return number_type(number) in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


def _is_usual_at_home(digits: str, region: str | None) -> bool:
    """Whether people there write the number so, and not with a 0 (or 8, …) before it."""
    from phonenumbers import PhoneNumberMatcher  # noqa: PLC0415 - see `_region`

    return any(PhoneNumberMatcher(digits, region))


def _is_somebodys_at_home(digits: str) -> bool:
    """Whether these are a mobile number of some country in the form in which its people write it."""
    return any(pattern.fullmatch(digits) for pattern in _home_mobiles(len(digits)))


@lru_cache(maxsize=8)
def _home_mobiles(length: int) -> tuple[re.Pattern[str], ...]:
    """The plans that have mobile numbers of so many digits without a country code."""
    from phonenumbers import SUPPORTED_REGIONS, PhoneMetadata  # noqa: PLC0415 - see `_region`

    plans = (PhoneMetadata.metadata_for_region(code) for code in SUPPORTED_REGIONS)
    mobiles = (plan.mobile for plan in plans if plan is not None and plan.mobile is not None)
    return tuple(
        re.compile(mobile.national_number_pattern)
        for mobile in mobiles
        if mobile.national_number_pattern and length in mobile.possible_length
    )


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    import phonenumbers  # noqa: PLC0415 - see `_region`

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return None if number.extension or not phonenumbers.is_valid_number(number) else number


def _e164(number: phonenumbers.PhoneNumber) -> str:
    from phonenumbers import PhoneNumberFormat, format_number  # noqa: PLC0415 - see `_region`

    return format_number(number, PhoneNumberFormat.E164)
