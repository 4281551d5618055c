"""Languages: each recipient gets the one it reads, by the chain `de-AT`, `de`, the template's own."""

from __future__ import annotations

import pytest

from engine.content.errors import TemplateError
from engine.content.locales import fallbacks, locale_of, read_language
from engine.content.stored import compile_message
from engine.content.translations import TranslatedTemplate

TEMPLATE = {
    "subject": "Hello {{ name }}",
    "html": "<p>Hello {{ name }}</p>",
    "text": "Hello {{ name }}",
    "translations": {
        "de": {"subject": "Hallo {{ name }}", "html": "<p>Hallo {{ name }}</p>"},
        "de-AT": {"subject": "Servus {{ name }}"},
        "fr": {"text": "Bonjour {{ name }}, {{ day | date: 'long' }}"},
    },
    "defaults": {"name": "friend"},
    "sender": {"email": "news@x.org"},
    "headers": {"X-Name": "{{ name }}"},
}


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("de", "Hallo Ada"),
        ("de-CH", "Hallo Ada"),
        ("DE_at", "Servus Ada"),
        ("de-AT-1996", "Servus Ada"),
        ("German", "Hallo Ada"),
        ("Deutsch", "Hallo Ada"),
        ("en", "Hello Ada"),
        ("en-GB", "Hello Ada"),
        ("pl", "Hello Ada"),
        ("", "Hello Ada"),
        (None, "Hello Ada"),
        (5, "Hello Ada"),
        (["de"], "Hello Ada"),
        ("deutschland, ja", "Hello Ada"),
    ],
)
def test_each_recipient_gets_the_language_it_reads(language, subject):
    content = compile_message(TEMPLATE).render({"name": "Ada", "Language": language})
    assert subject == content.subject
    assert content.headers == (("X-Name", "Ada"),)
    assert content.sender_email == "news@x.org"


def test_a_body_is_in_one_language():
    template = compile_message(TEMPLATE)
    german = template.render({"language": "de"})
    assert (german.html, german.text) == ("<p>Hallo friend</p>", "Hallo friend"), (
        "text is made from the translation"
    )
    austrian = template.render({"language": "de-AT"})
    assert (austrian.subject, austrian.text) == ("Servus friend", "Hello friend"), "the template's own body"
    french = template.render({"language": "fr-CA", "day": "2026-03-02"})
    assert (french.subject, french.html) == ("Hello friend", None)
    assert french.text == "Bonjour friend, 2 mars 2026"


def test_the_attribute_can_be_named():
    template = compile_message({**TEMPLATE, "language_attribute": "Sprache des Kunden"})
    assert template.render({"Sprache des Kunden": "de", "language": "fr"}).subject == "Hallo friend"
    assert template.render({"language": "de"}).subject == "Hello friend"


def test_every_language_is_checked():
    with pytest.raises(TemplateError, match=r"translations\.de\.html, line 2"):
        compile_message({"text": "x", "translations": {"de": {"html": "\n{{"}}})
    with pytest.raises(TemplateError, match=r"translations\.klingon!"):
        compile_message({"text": "x", "translations": {"klingon!": {"text": "x"}}})


def test_a_template_in_several_languages_knows_all_its_variables():
    assert compile_message(TEMPLATE).variables == {"name", "day"}


def test_languages_that_differ_by_recipient_do_not_pile_up():
    template = compile_message(TEMPLATE)
    for number in range(10_000):
        template.render({"language": f"de-x{number}"})
    assert isinstance(template, TranslatedTemplate)
    assert len(template._chosen) <= 4096


@pytest.mark.parametrize(
    ("given", "tag"),
    [("de", "de"), ("DE_at", "de-AT"), ("zh-hant-tw", "zh-Hant-TW"), ("English", "en"), ("es-419", "es-419")],
)
def test_tags_are_written_in_one_way(given, tag):
    assert tag == read_language(given)


@pytest.mark.parametrize("given", ["", "d", "12", "de-", "deutsch-land", "de AT", "../de", None, 7, "x" * 40])
def test_what_is_no_tag_is_none(given):
    assert read_language(given) is None


def test_the_nearest_known_locale_writes():
    assert list(fallbacks("zh-Hant-TW")) == ["zh-Hant-TW", "zh-Hant", "zh"]
    assert str(locale_of("de-XX")) == "de"
    assert str(locale_of("xx")) == "en"
