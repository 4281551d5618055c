"""A phone number is one person's, or it is none: what could be somebody else's is told and not written to."""

from __future__ import annotations

import pytest

from engine.kernel.addresses import PhoneFinder, address_trouble
from engine.kernel.phone_numbers import is_shortened, normalise_phone, phone_trouble


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+47 912 34 567", None, "+4791234567"),
        ("004791234567", None, "+4791234567"),
        ("00 47 912 34 567", None, "+4791234567"),
        ("0047 912 34 567", "US", "+4791234567"),
        ("011 47 912 34 567", "US", "+4791234567"),
        ("(+47) 91234567", None, "+4791234567"),
        ("'+4791234567", None, "+4791234567"),
        ("\u2019+4791234567", None, "+4791234567"),
        ("'0151 12345678", "DE", "+4915112345678"),
        ('="+4791234567"', None, "+4791234567"),
        ("tel:+47-912-34-567", None, "+4791234567"),
        ("Mob.: +47 912 34 567", None, "+4791234567"),
        ("whatsapp:+4791234567", None, "+4791234567"),
        ("\uff0b\uff14\uff17\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17", None, "+4791234567"),
        ("+\u0664\u0667\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667", None, "+4791234567"),
        ("+47 912\u201134\u2011567", None, "+4791234567"),
        ("4915112345678", None, "+4915112345678"),
        ("4915112345678", "DE", "+4915112345678"),
        ("4915112345678.0", None, "+4915112345678"),
        ("4791234567.0", "NO", "+4791234567"),
        ("447400123456", "DE", "+447400123456"),
        ("+44 7400 123456", None, "+447400123456"),
        ("91234567", "NO", "+4791234567"),
        ("2025550123", "US", "+12025550123"),
        ("15012345678", "CN", "+8615012345678"),
        ("6581234567", "IN", "+916581234567"),
        ("15112345678", "DE", "+4915112345678"),
        ("+49 (0)151 12345678", None, "+4915112345678"),
        ("+43/1/5321234", None, "+4315321234"),
        ("0664/1234567", "AT", "+436641234567"),
        ("030 1234-0", "DE", "+493012340"),
        ("02.12.34.56.70", "FR", "+33212345670"),
    ],
)
def test_a_number_is_read_however_it_is_written(text: str, region: str | None, number: str) -> None:
    assert number == normalise_phone(text, region)


@pytest.mark.parametrize(
    ("text", "region", "why"),
    [
        ("91234567", None, "no country code"),
        ("0151 12345678", None, "no country code"),
        ("4791234567", None, "no country code"),
        ("15012345678", None, "may be a number of several countries"),  # China's 150…, or Arkansas
        ("15712345678", None, "may be a number of several countries"),  # Germany's 0157…, or Virginia
        ("79991234567", None, "may be a number of several countries"),  # Russia, or Aracaju
        ("15712345678", "DE", "may be +4915712345678 or +15712345678"),
        ("4791234567", "DE", "may be +494791234567 or +4791234567"),
        ("4791234567.0", "DE", "may be +494791234567 or +4791234567"),
        ("491511234567.0", "DE", "nobody|anybody"),
        ("4.79123E+10", "NO", "lost digits in a spreadsheet"),
        ("4,79123E+10", "NO", "lost digits in a spreadsheet"),
        ("'4.791234567e+10", "NO", "lost digits in a spreadsheet"),
        ("+47 912 34 567 ext. 12", None, "has an extension"),
        ("+47 912 34 567 x12", None, "has an extension"),
        ("tel:+4791234567;ext=12", None, "has an extension"),
        ("+47 912 34 567 #12", None, "has an extension"),
        ("+47 912 34 567 / +47 912 34 568", None, "more than one"),
        ("+4791234567/+4791234568", None, "more than one"),
        ("+4791234567, +4791234568", None, "not one phone number"),
        ("+4791234567;+4791234568", None, "not one phone number"),
        ("0171 1234567 0170 1234567", "DE", "more than one"),
        ("030 12345 / 54321", "DE", "more than one"),
        ("030 123456/78", "DE", "more than one"),
        ("+4915112345678 or +4915112345679", None, "holds letters"),
        ("+1 800 FLOWERS", None, "holds letters"),
        ("1-800-FLOWERS", "US", "holds letters"),
        ("0151-1234567O", "IT", "holds letters"),
        ("O151 12345678", "DE", "holds letters"),
        ("+47 91234567 (home)", None, "holds letters"),
        ("030.123456.0", "DE", "not one phone number"),
        ("+49 1", "DE", "nobody|anybody"),
    ],
)
def test_what_could_be_somebody_elses_is_no_number(text: str, region: str | None, why: str) -> None:
    assert normalise_phone(text, region) is None
    assert any(one in phone_trouble(text, region) for one in why.split("|"))
    find = PhoneFinder(region=region)
    assert find({"phone": text}) is None
    assert str(address_trouble(find, {"phone": text})).startswith("phone ")


@pytest.mark.parametrize("text", ["4.79123E+10", "4,79123E+10", "-1.5e+12", "'4.7E+10", " 4E+10 "])
def test_a_number_with_an_exponent_lost_its_digits(text: str) -> None:
    assert is_shortened(text)


@pytest.mark.parametrize(
    "text", ["4791234567", "E10", "4.79", "1e", "4.79E+1000", "1E5", "479E8", "x4E10", ""]
)
def test_other_texts_did_not(text: str) -> None:
    assert not is_shortened(text)
