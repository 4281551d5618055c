"""Tracked templates: what people read stays what it was, and each recipient's links are its own."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from engine.content.stored import compile_message
from engine.content.templates import RenderError, TemplateError, compile_template
from engine.tracking.rewrite import Wanted
from engine.tracking.tokens import Tokens
from engine.tracking.tracked import TrackedTemplate, Tracker, wanted_of

TOKENS = Tokens("https://m.example", [b"k" * 32])
CAMPAIGN, STEP = uuid4(), uuid4()
HTML = (
    '<html><body><h1>Hi {{ name }}</h1><p><a href="https://shop.example/sale">Sale</a> '
    '<a href="https://shop.example/p/{{ sku }}">{{ sku }}</a> '
    '<a href="{{ unsubscribe_url }}">leave</a></p></body></html>'
)
EXTRAS = {"unsubscribe_url": "https://m.example/u/abc"}


def tracked(wanted: Wanted, **source: str) -> TrackedTemplate:
    tracker = Tracker(wanted, TOKENS, CAMPAIGN, STEP, clock=lambda: 60)
    whole = {"subject": "For {{ name }}", **source}
    return TrackedTemplate(compile_message(whole, rewrite=tracker.rewrite), tracker)


def person(**attributes: str) -> dict[str, str]:
    return {"_id": str(uuid4()), "name": "Ada", "sku": "k&1", **attributes}


def test_each_recipients_links_are_its_own() -> None:
    template = tracked(Wanted(opens=True, clicks=True), html=HTML)
    ada, bo = person(), person(name="Bo")
    for one in (ada, bo):
        content = template.render(one, EXTRAS)
        html = content.html or ""
        links = re.findall(r'href="https://m\.example/t/c/([^/"]+)/([^"]+)"', html)
        assert ["https://shop.example/sale", "https://shop.example/p/k&1"] == [
            TOKENS.read_what(what, who=who).url for who, what in links
        ]
        for who, _ in links:
            assert (CAMPAIGN, UUID(one["_id"])) == (
                TOKENS.read_who(who).campaign_id,
                TOKENS.read_who(who).entity_id,
            )
        assert 60 == TOKENS.read_who(links[0][0]).made_at.timestamp()
        assert 1 == html.count("/t/o/")
        assert 'href="https://m.example/u/abc"' in html, "whoever leaves is not followed"
        assert f"For {one['name']}" == content.subject


@pytest.mark.parametrize("text", [None, "Hi {{ name }}: https://shop.example/t"])
def test_the_text_is_what_it_was(text: str | None) -> None:
    source: dict[str, Any] = {"html": HTML} | ({"text": text} if text else {})
    plain = compile_template("For {{ name }}", **source).render(person(), EXTRAS)
    content = tracked(Wanted(opens=True, clicks=True), **source).render(person(), EXTRAS)
    assert plain.text == content.text
    wanted = Wanted(clicks=True, text=True)
    followed = tracked(wanted, **source).render(person(), EXTRAS).text or ""
    assert (1 if text else 2) == followed.count("/t/c/")
    assert "https://m.example/u/abc" in followed or text


def test_a_text_that_is_made_from_each_message_is_what_it_was() -> None:
    html = (
        "<ol>{% for n in list %}<li><a href='https://shop.example/{{ n }}'>{{ n }}</a></li>{% endfor %}</ol>"
    )
    one = {**person(), "list": ["a", "b"]}
    content = tracked(Wanted(opens=True, clicks=True), html=html).render(one, {})
    assert compile_template(html=html).render(one).text == content.text
    assert 2 == (content.html or "").count("/t/c/")


def test_what_fails_fails_as_it_did() -> None:
    with pytest.raises(TemplateError):
        tracked(Wanted(clicks=True), html="{% if %}")
    with pytest.raises(RenderError):
        tracked(Wanted(clicks=True), html="{{ name | divided_by: 0 }}").render(person(name="1"), {})


@pytest.mark.parametrize(
    ("channel", "campaign", "expected"),
    [
        (None, None, Wanted()),
        ({"opens": True, "clicks": True}, None, Wanted(opens=True, clicks=True)),
        ({"opens": True, "clicks": True}, {"opens": False}, Wanted(clicks=True)),
        (None, {"clicks": True, "text": True}, Wanted(clicks=True, text=True)),
        ({"clicks": True}, {"clicks": None}, Wanted(clicks=True)),
    ],
)
def test_the_campaign_has_the_last_word(
    channel: dict[str, bool] | None, campaign: dict[str, bool | None] | None, expected: Wanted
) -> None:
    assert expected == wanted_of(channel, campaign)
