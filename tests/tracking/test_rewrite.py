"""Links in templates: rewritten once, and rendered they say what they said, but through us."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from uuid import uuid4

import pytest

from engine.content.templates import compile_template
from engine.tracking.rewrite import Rewritten, Wanted, rewrite
from engine.tracking.tokens import Tokens

TOKENS = Tokens("https://m.example", [b"k" * 32])
CAMPAIGN, STEP = uuid4(), uuid4()
WHO = TOKENS.who(CAMPAIGN, uuid4(), 1)
ALL = Wanted(opens=True, clicks=True, text=True)


def rendered(source: str, wanted: Wanted = ALL, *, html: bool = True, **attributes: object) -> str:
    """The part as this recipient gets it."""
    part = rewrite(source, TOKENS, CAMPAIGN, STEP, wanted, html=html)
    template = compile_template(html=part.source) if html else compile_template(text=part.source)
    content = template.render(attributes)
    clicks = f"{TOKENS.clicks}{WHO}/"
    return Rewritten.finish(
        (content.html if html else content.text) or "",
        clicks,
        f"{TOKENS.opens}{WHO}/",
        lambda url: clicks + TOKENS.what(CAMPAIGN, STEP, url, who=WHO),
        html=html,
    )


def leads(text: str) -> list[str]:
    """Where every address in it leads in the end."""
    found = re.findall(r"https?://[^\s\"'<>]+", text)
    return [
        TOKENS.read_what(unescape(url).rpartition("/")[2], who=WHO).url
        if url.startswith(TOKENS.clicks)
        else url
        for url in found
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('<a href="https://x.example/a?b=1&amp;c=2">x</a>', ["https://x.example/a?b=1&c=2"]),
        ("<A class=k HREF='http://x.example'>x</A>", ["http://x.example"]),
        ("<a href=https://x.example/bare>x</a>", ["https://x.example/bare"]),
        ('<a\n title="a > b"\n href = "https://x.example/1" >x</a>', ["https://x.example/1"]),
        ('<area shape="rect" href="https://x.example/area">', ["https://x.example/area"]),
        ('<!--[if mso]><a href="https://x.example/mso">x</a><![endif]-->', ["https://x.example/mso"]),
        ('<a href=" https://x.example/ ">x</a>', ["https://x.example/"]),
        ('<a {% if vip %}class="v"{% endif %} href="https://x.example/l">x</a>', ["https://x.example/l"]),
        ('<a href="https://x.example/?a=1&region=5&copy=2&lt=3&notify=4&times1">x</a>',
         ["https://x.example/?a=1&region=5&copy=2&lt=3&notify=4&times1"]),
        ("<a href=https://x.example/?a&sect=2&#38;amp;b&eacute>x</a>",
         ["https://x.example/?a&sect=2&amp;b\u00e9"]),
        ('<a title="{{ a }} \' > " href="https://x.example/q">x</a>', ["https://x.example/q"]),
        ('<!--[if mso]><v:roundrect href="https://x.example/?a&copy=1"><![endif]-->',
         ["https://x.example/?a&copy=1"]),
        ('<a data-href="https://x.example/no" href="https://x.example/yes">x</a>',
         ["https://x.example/no", "https://x.example/yes"]),
    ],
)  # fmt: skip
def test_a_link_leads_where_it_led(source: str, expected: list[str]) -> None:
    text = rendered(source, Wanted(clicks=True), vip=True)
    assert expected == leads(text)
    assert TOKENS.clicks in text


@pytest.mark.parametrize(
    "source",
    [
        '<a href="mailto:a@x.example">x</a>',
        '<a href="tel:+49">x</a>',
        '<a href="#top">x</a>',
        '<a href="/relative">x</a>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="https://x.example/" data-track="off">x</a>',
        '<a clicktracking=off href="https://x.example/">x</a>',
        '<a href="{{ unsubscribe_url }}">x</a>',
        "<a name=x>x</a>",
        '<abbr href="https://x.example/">x</abbr>',
        '<link href="https://x.example/style.css">',
        '<img src="https://x.example/a.png">',
        '<!-- <a href="https://x.example/"> -->',
        '<script><a href="https://x.example/"></script>',
        '<a href="https://x.example/">{% raw %}{{ no }}{% endraw %}</a>',
        f'<a href="https://x.example/{"x" * 2000}">x</a>',
    ],
)
def test_what_is_no_link_of_the_web_stays(source: str) -> None:
    assert source == rewrite(source, TOKENS, CAMPAIGN, STEP, Wanted(clicks=True), html=True).source


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('<a href="https://x.example/{{ path }}?n={{ name | url_encode }}">x</a>',
         "https://x.example/a/b?n=Ada+%26+Co"),
        ('<a href="https://x.example/?e={{ name | url_encode }}&region=5&copy=1">x</a>',
         "https://x.example/?e=Ada+%26+Co&region=5&copy=1"),
        ('<a href="{{ link }}">x</a>', "https://shop.example/?a=1&b=2"),
        ('<a href="{% if vip %}https://x.example/v{% else %}https://x.example/o{% endif %}">x</a>',
         "https://x.example/v"),
        ("<a href={{ link }}>x</a>", None),
    ],
)  # fmt: skip
def test_an_address_with_liquid_in_it_is_signed_when_it_is_known(source: str, expected: str | None) -> None:
    attributes: dict[str, Any] = {
        "path": "a/b",
        "name": "Ada & Co",
        "link": "https://shop.example/?a=1&b=2",
        "vip": True,
    }
    part = rewrite(source, TOKENS, CAMPAIGN, STEP, Wanted(clicks=True), html=True)
    if expected is None:  # without quotes its end cannot be told
        assert source == part.source
        return
    assert part.per_recipient
    text = rendered(source, Wanted(clicks=True), **attributes)
    assert [expected] == leads(text)
    assert "muster-" not in text


def test_a_recipients_data_makes_no_link_of_ours() -> None:
    """Neither by marks that it guesses, nor by an address out of the web."""
    source = '<a href="{{ link }}">{{ name }}</a>'
    for link in (
        "javascript:alert(1)",
        "\x02https://evil.example:0\x03",
        '"><script>',
        "https://evil.example\n/x",
    ):
        text = rendered(source, Wanted(clicks=True), link=link, name="\x02https://evil.example\x03")
        assert TOKENS.clicks not in text
        assert "<script>" not in text


def test_the_picture_stands_before_the_end_of_the_body() -> None:
    source = "<html><body><p>Hi {{ name }}</p></body></html>"
    text = rendered(source, Wanted(opens=True), name="Ada")
    assert re.search(r'<p>Hi Ada</p><img src="https://m\.example/t/o/[^"]+\.gif"[^>]*></body></html>$', text)
    address = re.search(r"/t/o/([^/]+)/([^.]+)\.gif", text)
    assert address is not None
    assert STEP == TOKENS.read_what(address[2], who=address[1]).touchpoint_id
    assert rendered("<p>x</p>", Wanted(opens=True)).startswith("<p>x</p><img ")


def test_texts_are_rewritten_only_when_they_are_wanted() -> None:
    source = "See https://x.example/a, or (http://x.example/b). {{ name }}: https://x.example/{{ id }}!"
    assert source == rewrite(source, TOKENS, CAMPAIGN, STEP, Wanted(clicks=True), html=False).source
    text = rendered(source, html=False, name="Ada", id=7)
    assert ["https://x.example/a", "http://x.example/b", "https://x.example/7"] == leads(
        re.sub(r"[,.!)]+(?=\s|$)", "", text)
    )
    assert "Ada: https://m.example/t/c/" in text


def test_nothing_wanted_changes_nothing() -> None:
    source = '<body><a href="https://x.example/">x</a></body>'
    assert source == rewrite(source, TOKENS, CAMPAIGN, STEP, Wanted(), html=True).source
    assert not Wanted(text=True)
