"""What looks like a mistake in a message, said beforehand."""

from __future__ import annotations

import pytest

from engine.content.enclosed import Attachment, Enclosed
from engine.content.message import Content
from engine.content.warnings import message_warnings


def of(html=None, text=None, *, subject="Spring", unsubscribe_url=None, size=None, name=None, files=()):
    content = Content(subject, text, html, sender_name=name, enclosed=Enclosed(files) if files else None)
    return message_warnings(content, unsubscribe_url=unsubscribe_url, size=size)


@pytest.mark.parametrize(
    ("html", "warning"),
    [
        ('<img src="logo.png">', "an image's address is relative, and shows nothing in a mail: 'logo.png'"),
        ("<img src=/img/logo.png>", "an image's address is relative, and shows nothing in a mail: '/img/logo.png'"),
        ('<img src="//cdn.example/a.png">',
         "an image's address is relative, and shows nothing in a mail: '//cdn.example/a.png'"),
        ('<td background="bg.png">', "an image's address is relative, and shows nothing in a mail: 'bg.png'"),
        ("<td style=\"background: #fff url('bg.png') no-repeat\">",
         "an image's address is relative, and shows nothing in a mail: 'bg.png'"),
        ('<img srcset="https://a.example/1.png 1x, two.png 2x" src="https://a.example/1.png">',
         "an image's address is relative, and shows nothing in a mail: 'two.png'"),
        ('<img alt="x" src="">', "an image has no address"),
        ('<img src="http://a.example/1.png">',
         "an image is not encrypted (http://), and many readers do not show it: 'http://a.example/1.png'"),
        ('<img src="data:image/png;base64,AA">',
         "an image is written into the HTML (data:), which most readers do not show: 'data:image/png;base64,AA'"),
        ('<img src="cid:logo">', "the HTML shows cid:logo, which is not attached"),
        ('<img src="https://10.0.0.7/1.png">',
         "an image is on a machine that no reader reaches: 'https://10.0.0.7/1.png'"),
        ('<a href="/shop">x</a>', "a link's address is relative, and leads nowhere in a mail: '/shop'"),
        ('<a href="www.shop.example">x</a>',
         "a link's address is relative, and leads nowhere in a mail: 'www.shop.example'"),
        ('<a href="">x</a>', "a link has no address"),
        ('<video poster="a.png">', "an image's address is relative, and shows nothing in a mail: 'a.png'"),
        ('<svg><image xlink:href="a.png"></svg>',
         "an image's address is relative, and shows nothing in a mail: 'a.png'"),
        ('<v:image src="a.png">', "an image's address is relative, and shows nothing in a mail: 'a.png'"),
        *((f'<a href="{url}">x</a>', f"a link leads nowhere: {url!r}") for url in (
            "http://", "http:/shop.example.org", "https:///x", "http://shop .org/", "htp://shop.org/", "mailto:",
            "tel:", "javascript:void(0)")),
        *((f'<a href="{url}">x</a>', f"a link leads to a machine that no reader reaches: {url!r}") for url in (
            "http://localhost:8000/x", "https://intranet/", "https://shop.local/?a=1", "http://127.0.0.1/",
            "http://192.168.1.5/x", "http://[::1]/", "http://shop.localhost/", "http://2130706433/", "http://169.254.169.254/",
            "http://nas.home/", "https://shop.corp/", "http://app.intranet/", "http://box.localdomain/", "http://0/",
            "http://[::ffff:127.0.0.1]/", "http://100.64.0.1/", "http://ｌｏｃａｌｈｏｓｔ/")),
    ],
)  # fmt: skip
def test_a_mistake_is_told(html, warning):
    assert [warning] == of(html)


@pytest.mark.parametrize(
    "html",
    [
        '<img src="https://a.example/1.png?a=1&copy=2"><a href="https://a.example/">x</a>',
        '<a href="mailto:a@b.example">x</a><a href="tel:+49">y</a><a href="#top">z</a><a name="top">',
        "<!-- <img src=a.png> --><script>'<img src=b.png>'</script>",
        '<p style="color: red">Dear Ada, hello , you</p><a href="http://8.8.8.8/">x</a>',
        '<a href="https://localhost.shop.org/">x</a><a href="https://a.b.org/?u=http://localhost/">y</a>',
        '<a href="https://[2606:4700::1]/">x</a><a href="sms:+49">y</a><a href="https://home.shop.org?a">z</a>',
    ],
)
def test_what_is_right_is_not_warned_of(html):
    assert [] == of(html, "Hello!\nHi, all\nDear Ada,")


@pytest.mark.parametrize(
    "text",
    ["Dear ,\nthank you", "Hi !", "Hallo ,", "Sehr geehrte Frau ,", "Liebe \nwir", "x\nBonjour :",
     "Dear Mr. ,", "Dear Ms ,", "Sehr geehrter Herr Dr. ,", "Kära ,", "Уважаемый ,", "Sayın ,", "Vážený pane ,"],
)  # fmt: skip
def test_a_greeting_without_a_name_is_told(text):
    (warning,) = of(text=text)
    assert warning.startswith("a greeting has no name: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (", your order", "something is missing, a name perhaps: ', your order'"),
        ("Welcome back, !", "something is missing, a name perhaps: 'Welcome back, !'"),
        ("Dear null,", "a greeting has no name: 'Dear null'"),
        ("Hallo None,", "a greeting has no name: 'Hallo None'"),
        ("Hi *|FNAME|*,", "a placeholder was not filled in: '*|FNAME|*'"),
        ("Hi %FIRSTNAME%,", "a placeholder was not filled in: '%FIRSTNAME%'"),
        ("Hello {{ name }},", "a placeholder was not filled in: '{{ name }}'"),
        ("Dear [First Name],", "a placeholder was not filled in: '[First Name]'"),
        ("Hi [object Object],", "a placeholder was not filled in: '[object Object]'"),
        ("Hi\u00a0,", "a greeting has no name: 'Hi<U+00A0>,'"),
    ],
)
def test_a_gap_or_a_programs_word_for_nothing_is_told(text, told):
    assert [told] == of(text=text)
    assert [told] == of(text="x", subject=text)


@pytest.mark.parametrize(
    "text",
    [
        "Bonjour !",
        "Yes, really!",
        "Wait, ...",
        "Dear Nullmann,",
        "a, b, c",
        "!important",
        "Hi Nancy",
        "¡Hola!",
        "50% off, 20%",
        "https://shop.org/a%20b%C3%A9%ABCDEF?x=%20",
        "Dear Mr. Lee,",
        "Use {braces} and [brackets]",
    ],
)
def test_what_is_whole_is_not_told(text):
    assert "something is missing" not in " ".join(of(text=text))
    assert not any("null" in one.lower() or "placeholder" in one for one in of(text=text))


def test_an_address_that_only_looks_whole_is_told():
    links = '<a href="localhost:3000/x">a</a>'
    assert ["a link's address is relative, and leads nowhere in a mail: 'localhost:3000/x'"] == of(links)
    assert "relative" in of('<img src="C:\\a.png">')[0]
    assert "no reader reaches" in of('<img src="file:///C:/a.png">')[0]
    assert [] == of('<a href="tel:0151123">a</a><a href="mailto:a@shop.example">b</a>')


def test_names_subjects_and_sizes():
    assert ["the sender's name is empty"] == of(text="x", name=" ")
    assert ["the subject is empty"] == of(text="x", subject="")
    assert "longer than 150" in of(text="x", subject="x" * 151)[0]
    assert "clip" in of("x" * 103_000)[0]
    assert "some servers refuse it" in of(text="x", size=11_000_000)[0]


def test_a_link_to_unsubscribe_is_looked_for_where_it_is_wanted():
    url = "http://localhost:8000/u/preview"
    assert [] == of(text="x")
    assert ["there is no link to unsubscribe: {{ unsubscribe_url }}"] == of("<p>x", "x", unsubscribe_url=url)
    assert [] == of(f'<a href="{url}">x</a>', "x", unsubscribe_url=url)
    assert [] == of(text=f"Unsubscribe: {url}", unsubscribe_url=url)


def test_files_that_are_shown_and_files_that_are_not():
    files = [
        Attachment("a.png", "image/png", b"x", content_id="logo"),
        Attachment("b.png", "image/png", b"x", content_id="b"),
    ]
    assert ["cid:b is attached and not shown by the HTML"] == of('<img src="cid:logo">', files=files)


def test_many_of_a_kind_are_counted():
    found = of("".join(f'<a href="/{number}">x</a>' for number in range(20)))
    assert 6 == len(found)
    assert found[-1].endswith(": 15 more")
