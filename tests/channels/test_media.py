"""One form for each address, however people, files and providers write it; and one medium for each channel."""

from __future__ import annotations

import pytest

from engine.channels import registry
from engine.kernel.media import AddressMedium, FoldedAddress, Regions, fold_address, folded, medium_of_kind

GERMANY = Regions("DE")
MOBILE = "+4915112345678"


@pytest.mark.parametrize(
    "text",
    ["+4915112345678", "+49 151 12345678", "0151 12345678", "0049 151 12345678", "+49 (0)151 12345678",
     "(0151) 123-456-78", "0151/12345678", "+49.151.12345678", "4915112345678", "tel:+49-151-12345678",
     "whatsapp:+4915112345678", "\u202a+49 151 12345678\u202c", "015112345678", "49 151 12345678"],
)  # fmt: skip
def test_a_phone_number_is_one_however_it_is_written(text: str) -> None:
    assert MOBILE == fold_address(AddressMedium.PHONE, text, GERMANY)


@pytest.mark.parametrize("text", ["", "12", "not a number", "ada@x.example", "0151 12345678 ext. 5", "+49"])
def test_what_is_no_phone_number_is_none(text: str) -> None:
    assert fold_address(AddressMedium.PHONE, text, GERMANY) is None


def test_without_a_region_channels_say_it_where_they_agree() -> None:
    assert fold_address(AddressMedium.PHONE, "0151 12345678") is None
    assert MOBILE == fold_address(AddressMedium.PHONE, "0151 12345678", Regions(None, ("DE",)))
    assert fold_address(AddressMedium.PHONE, "030 123456", Regions(None, ("DE", "GB"))) == "+4930123456"
    assert fold_address(AddressMedium.PHONE, "0676 123456", Regions(None, ("AT", "DE"))) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Ada@Example.COM ", "ada@example.com"),
        ("Ada Lovelace <ADA@example.com>", "ada@example.com"),
        ("mailto:ada@example.com", "ada@example.com"),
        ("\ufeffada@example.com\u200b", "ada@example.com"),
        ("ada@MÜLLER.de", "ada@xn--mller-kva.de"),
        ("ada@XN--MLLER-KVA.de", "ada@xn--mller-kva.de"),
        ("Jo\u0308rg@müller.de", "jörg@xn--mller-kva.de"),
        ("not an address", None),
        ("a@b@c.example", None),
        ("ada@example.com; bo@example.com", None),
    ],
)
def test_an_email_address_is_one_however_it_is_written(text: str, address: str | None) -> None:
    assert address == fold_address(AddressMedium.EMAIL, text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("@SomeName", "@somename"),
        ("SomeName", "@somename"),
        ("https://t.me/SomeName", "@somename"),
        ("-1001234567890", "-1001234567890"),
        (" 12345 ", "12345"),
        ("ada@x.example", None),
        ("some name", None),
        ("@ab", None),
    ],
)
def test_a_chat_is_one_however_it_is_written(text: str, address: str | None) -> None:
    assert address == fold_address(AddressMedium.CHAT, text)


def test_the_form_says_what_an_address_is_where_the_channel_does_not() -> None:
    found = {text: folded(None, text) for text in ("Ada@X.example", "+49 151 12345678", "@Ada_L", "a1b2")}
    assert found == {
        "Ada@X.example": FoldedAddress(AddressMedium.EMAIL, "ada@x.example"),
        "+49 151 12345678": FoldedAddress(AddressMedium.PHONE, MOBILE),
        "@Ada_L": FoldedAddress(AddressMedium.CHAT, "@ada_l"),
        "a1b2": FoldedAddress(AddressMedium.OTHER, "a1b2"),
    }


def test_every_kind_says_its_medium_or_takes_it_as_a_setting() -> None:
    for kind in registry.kinds():
        assert (medium_of_kind(kind) is None) == ("medium" in registry.settings_model(kind).model_fields)


@pytest.mark.parametrize("kind", ["file", "null"])
def test_a_channel_that_says_its_medium_writes_to_nothing_else(kind: str) -> None:
    channel = registry.build(kind, {"medium": "phone", "region": "DE"}, {})
    assert channel.medium is AddressMedium.PHONE
    assert channel.address_of({"_id": "1", "email": "a@x.example", "phone": "0151 12345678"}) == MOBILE
    assert channel.address_of({"_id": "1", "email": "a@x.example"}) is None
