"""E-mail addresses: found wherever an import put them, written one way, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.channels.addresses import (
    EmailFinder,
    PhoneFinder,
    normalise_chat,
    normalise_email,
    normalise_phone,
)


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
