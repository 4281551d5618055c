"""Links of opens and clicks: only we can make them, and they lead nowhere but where they were signed for."""

from __future__ import annotations

from datetime import UTC, datetime
from string import ascii_letters, digits
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.content.links import LinkError, message_id_of, read_message_id, read_return_path, return_path_of
from engine.tracking.tokens import Tokens, What, Who

KEY, OTHER = b"k" * 32, b"o" * 32
CAMPAIGN = uuid4()
TOKENS = Tokens("https://muster.example/", [KEY])
AT = 1_772_442_000
LETTERS = ascii_letters + digits + "-_"


def test_both_parts_say_what_was_put_in() -> None:
    campaign, entity, touchpoint = uuid4(), uuid4(), uuid4()
    who = TOKENS.who(campaign, entity, AT)
    assert 64 == len(who)
    assert Who(campaign, entity, datetime.fromtimestamp(AT, UTC)) == TOKENS.read_who(who)
    what = TOKENS.what(campaign, touchpoint, "https://shop.example/ü?a=1&b=2")
    assert What(touchpoint, "https://shop.example/ü?a=1&b=2") == TOKENS.read_what(what, who=who)
    assert What(touchpoint, "") == TOKENS.read_what(TOKENS.what(campaign, touchpoint), who=who)


def test_a_link_for_one_recipient_is_good_for_nobody_else() -> None:
    campaign = uuid4()
    ours, theirs = (TOKENS.who(campaign, uuid4(), AT) for _ in range(2))
    what = TOKENS.what(campaign, uuid4(), "https://shop.example/", who=ours)
    assert "https://shop.example/" == TOKENS.read_what(what, who=ours).url
    with pytest.raises(LinkError):
        TOKENS.read_what(what, who=theirs)


def test_nothing_but_the_web_is_led_to_even_if_it_was_signed() -> None:
    for url in ("javascript:alert(1)", "//evil.example", "data:text/html,x", "/relative"):
        with pytest.raises(LinkError):
            TOKENS.read_what(TOKENS.what(CAMPAIGN, uuid4(), url), who=TOKENS.who(CAMPAIGN, uuid4(), AT))


def test_a_message_of_one_campaign_is_good_beside_its_recipients_alone() -> None:
    what = TOKENS.what(CAMPAIGN, uuid4(), "https://shop.example/")
    assert TOKENS.read_what(what, who=TOKENS.who(CAMPAIGN, uuid4(), AT)).url
    with pytest.raises(LinkError):
        TOKENS.read_what(what, who=TOKENS.who(uuid4(), uuid4(), AT))


@given(at=st.integers(0, 10_000), by=st.integers(1, 255))
def test_a_changed_letter_breaks_it(at: int, by: int) -> None:
    def changed(token: str) -> str:
        place = at % len(token)
        letter = LETTERS[(LETTERS.index(token[place]) + by) % len(LETTERS)]
        return token[:place] + letter + token[place + 1 :]

    who, what = TOKENS.who(CAMPAIGN, uuid4(), AT), TOKENS.what(CAMPAIGN, uuid4(), "https://shop.example/page")
    if (wrong := changed(who)) != who:
        with pytest.raises(LinkError):
            TOKENS.read_who(wrong)
    # The last letter of a token may hold bits that mean nothing.
    if (wrong := changed(what)) != what and at % len(what) != len(what) - 1:
        with pytest.raises(LinkError):
            TOKENS.read_what(wrong, who=who)


@given(st.text(max_size=200))
def test_anything_else_is_no_link(token: str) -> None:
    for read in (TOKENS.read_who, lambda text: TOKENS.read_what(text, who="x")):
        with pytest.raises(LinkError):
            read(token)


def test_links_outlive_a_change_of_key() -> None:
    who, what = TOKENS.who(CAMPAIGN, uuid4(), AT), TOKENS.what(CAMPAIGN, uuid4(), "https://shop.example/")
    newer = Tokens("https://muster.example", [OTHER, KEY])
    assert TOKENS.read_who(who) == newer.read_who(who)
    assert TOKENS.read_what(what, who=who) == newer.read_what(what, who=who)
    with pytest.raises(LinkError):
        Tokens("https://muster.example", [OTHER]).read_who(who)


def test_message_id_and_return_path_hold_the_recipient() -> None:
    execution, campaign, entity = uuid4(), uuid4(), uuid4()
    message_id = f"<{message_id_of(execution, campaign, entity).decode()}@x.example>"
    assert message_id.startswith(f"<{execution}.")
    assert (campaign, entity) == read_message_id(message_id) == read_message_id(message_id.strip("<>"))
    path = return_path_of("b@bounces.example", campaign, entity)
    assert len(path.partition("@")[0]) <= 64, "RFC 5321 §4.5.3.1.1"
    assert (campaign, entity) == read_return_path(path) == read_return_path(path.upper())
    for foreign in ("<CAF=abc@mail.example>", "", f"<{execution}@x.example>", "b+short@x.example"):
        assert read_message_id(foreign) is None
        assert read_return_path(foreign) is None
