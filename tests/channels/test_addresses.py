"""E-mail addresses: found wherever an import put them, written one way, or none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.addresses import (
    AnyFinder,
    EmailFinder,
    PhoneFinder,
    address_trouble,
    no_address,
    normalise_chat,
    normalise_email,
)
from engine.kernel.phone_numbers import normalise_phone


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@x.org", "ada@x.org"),
        (" Ada.Lovelace+News@X.ORG\n", "ada.lovelace+news@x.org"),
        ("ada@Müller.de", "ada@xn--mller-kva.de"),
        ("ada@straße.de", "ada@xn--strae-oqa.de"),
        ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("o'brien_{x}@sub.x-y.org", "o'brien_{x}@sub.x-y.org"),
        ("ada@localhost", "ada@localhost"),
        ("ada", None),
        ("", None),
        ("@x.org", None),
        ("ada@", None),
        ("a@b@x.org", None),
        ("ada lovelace@x.org", None),
        ('"ada lovelace"@x.org', None),
        ("Ada <ada@x.org>", None),
        ("ada..l@x.org", None),
        (".ada@x.org", None),
        ("ada@x..org", None),
        ("ada@-x.org", None),
        ("ada@x_y.org", None),
        ("ada@[127.0.0.1]", None),
        ("ädä@x.org", None),
        ("ada@x.org\r\nBcc: b@x.org", None),
        ("ada@x.org,b@x.org", None),
        ("a" * 65 + "@x.org", None),
        ("a@" + "x" * 64 + ".org", None),
        ("a@" + "x." * 130 + "org", None),
        ("ada@\ud800.org", None),
        ("ada@xn--.org", None),
    ],
)
def test_an_address_is_written_one_way_or_is_none(text, address):
    assert normalise_email(text) == address


@given(st.text() | st.emails())
def test_what_is_an_address_stays_one_and_cannot_break_out(text):
    address = normalise_email(text)
    if address is not None:
        assert normalise_email(address) == address
        assert address.isascii()
        assert not set(address) & set(' \r\n\t<>,;:"()[]\\\0')


@pytest.mark.parametrize(
    "attributes",
    [
        {"email": "A@x.org"},
        {"Email": "a@x.org"},
        {"E-Mail": "a@x.org"},
        {"e_mail": "a@x.org"},
        {"EMAIL ADDRESS": "a@x.org"},
        {"mail": "a@x.org"},
        {"Mail": "b@x.org", "email": "a@x.org"},
        {"Email": "b@x.org", "email": "a@x.org"},
        {"email": "not one", "E-Mail": "a@x.org"},
        {"email": ["a@x.org", "b@x.org"]},
        {"email": [{"email": "a@x.org"}]},
        {"email": {"value": "a@x.org", "label": "work"}},
        {"email": [None, 3, "", "a@x.org"]},
    ],
)
def test_the_usual_names_are_found(attributes):
    assert EmailFinder()({"_id": "1", "name": "b@y.org", **attributes}) == "a@x.org"


@pytest.mark.parametrize(
    "attributes", [{}, {"email": None}, {"email": 3}, {"email": []}, {"email": {}}, {"emails": "a@x.org"}]
)
def test_there_may_be_none(attributes):
    assert EmailFinder()(attributes) is None


@pytest.mark.parametrize(
    ("path", "attributes"),
    [
        ("contact.email", {"contact": {"email": "a@x.org"}, "email": "b@x.org"}),
        ("contact.email", {"contact.email": "a@x.org", "contact": {"email": "b@x.org"}}),
        ("contacts.email", {"contacts": [{"email": "a@x.org"}, {"email": "b@x.org"}]}),
        ("Work E-Mail", {"Work E-Mail": "a@x.org"}),
    ],
)
def test_a_channel_may_say_where_it_is(path, attributes):
    assert EmailFinder(path)(attributes) == "a@x.org"


@pytest.mark.parametrize(
    "attributes", [{}, {"contact": None}, {"contact": "a@x.org"}, {"contact": []}, {"email": "b@x.org"}]
)
def test_and_then_it_is_nowhere_else(attributes):
    assert EmailFinder("contact.email")(attributes) is None


@given(st.text(max_size=60) | st.from_regex(r"[+0-9 ()/-]{3,20}"), st.sampled_from([None, "DE", "US", "GB"]))
def test_what_is_a_number_stays_one(text, region):
    number = normalise_phone(text, region)
    if number is not None:
        assert number.startswith("+")
        assert number[1:].isdecimal()
        assert number.isascii()
        assert normalise_phone(number) == number


@given(st.text(max_size=40) | st.integers().map(str) | st.from_regex(r"@\w{1,40}"))
def test_what_is_a_chat_stays_one(text):
    chat = normalise_chat(text)
    if chat is not None:
        assert normalise_chat(chat) == chat
        assert chat.startswith("@") or int(chat)


def test_a_number_is_found_under_its_usual_names():
    find = PhoneFinder(region="DE", names=("whatsapp",))
    assert find({"Phone": "030 123456", "WhatsApp": "0151 12345678"}) == "+4915112345678"
    assert find({"Mobile-Phone": 15112345678}) == "+4915112345678"
    assert find({"phone": {"number": "x", "value": "030 123456"}}) == "+4930123456"
    assert find({"phones": "030 123456"}) is None


@pytest.mark.parametrize("blank", ["\u00a0", "\u2009", "\u202f", "\u3000", "\t"])
def test_any_blank_may_stand_between_the_digits_of_a_number(blank):
    assert "+4915112345678" == normalise_phone(f"+49{blank}151{blank}12345678")
    assert "+4915112345678" == normalise_phone(f"0151{blank}1234{blank}5678", "DE")
    assert normalise_phone("0151 1234\n5678", "DE") is None, "two lines are two things"


@pytest.mark.parametrize(
    "unseen", ["\ufeff", "\u200b", "\u00a0", "\u00ad", "\u2060 ", " \u200e", "\u3000", "\u202f\u200d"]
)
def test_what_nobody_sees_around_an_address_is_dropped(unseen):
    assert "ada@x.org" == normalise_email(f"{unseen}Ada@x.org{unseen}")
    assert "+4930123456" == normalise_phone(f"{unseen}+49 30 123456{unseen}")
    assert "@ada_bot" == normalise_chat(f"{unseen}@Ada_Bot{unseen}")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("two@a.example, three@b.example", "holds more than one '@'"),
        ("Ada <ada@c.example>", "brackets"),
        ("<zw6@d.example>", "brackets"),
        ("mailto:mt@example.com", "begins with 'mailto:'"),
        ("dot@example.com.", "a dot at an end"),
        ("zw7@d.example;", "ends with ';'"),
        ("trail.@docomo.example", "a dot at an end"),
        ("d..d@example.com", "two in a row"),
        ("ad\u200ba@x.org", "holds U+200B (zero width space)"),
        ("ädä@x.org", "SMTPUTF8"),
        ("ada x@x.org", "holds blanks"),
        ("ada", "has no '@'"),
        ("ada@x_y.org", "is no e-mail address"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_with_its_value(value, why):
    for finder, attributes, name in (
        (EmailFinder(), {"id": 1, "E-Mail": value}, "E-Mail"),
        (EmailFinder("contact.mail"), {"contact": {"mail": value}}, "contact.mail"),
        (AnyFinder(), {"email": [value]}, "email"),
    ):
        assert finder(attributes) is None
        trouble = address_trouble(finder, attributes)
        assert trouble is not None
        assert trouble.startswith(f"{name} {value!r} ")
        assert why in trouble


def test_what_is_not_there_is_no_trouble():
    without: list[dict[str, Any]] = [{}, {"email": ""}, {"email": " \ufeff"}, {"email": None}, {"email": {}}]
    for attributes in without:
        assert address_trouble(EmailFinder(), attributes) is None
    assert address_trouble(object(), {"email": "x"}) is None
    assert "no country code" in str(address_trouble(PhoneFinder(), {"phone": "030 123456"}))
    assert "nobody" not in str(address_trouble(PhoneFinder(region="DE"), {"phone": "+49 1"}))
    assert "no address for channel smtp" == no_address("smtp", None)
