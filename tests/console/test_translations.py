"""Every text of the console is in German too, and keeps what it fills in."""

from __future__ import annotations

import re
from importlib.resources import files

from babel.messages.extract import extract_from_dir

from engine.api.console.translations import catalogue, negotiate, texts_of

_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")]
_OPTIONS = {"**.html": {"trimmed": "false", "newstyle_gettext": "true"}}
_PLACES = re.compile(r"%\((\w+)\)s|%[sd]")


def wanted() -> dict[str, object]:
    """Every text in the console's modules and templates."""
    folder = str(files("engine.api.console"))
    found = extract_from_dir(folder, _METHODS, {"templates/**.html": _OPTIONS["**.html"]}, comment_tags=())
    return {message if isinstance(message, str) else message[0]: message for _, _, message, _, _ in found}


def test_every_text_has_a_german_one_with_the_same_places() -> None:
    german = {
        message.id if isinstance(message.id, str) else message.id[0]: message
        for message in catalogue("de")
        if message.id
    }
    missing = sorted(text for text in wanted() if text not in german or not german[text].string)
    assert missing == []
    for text in wanted():
        strings = german[text].string
        for string in strings if isinstance(strings, (list, tuple)) else (strings,):
            if "count" not in text:
                assert string is not None
                assert sorted(_PLACES.findall(string)) == sorted(_PLACES.findall(text)), text


def test_nothing_is_translated_that_is_not_said() -> None:
    said = wanted()
    assert [
        m.id for m in catalogue("de") if m.id and (m.id if isinstance(m.id, str) else m.id[0]) not in said
    ] == []


def test_the_language_is_the_best_that_the_browser_takes() -> None:
    assert negotiate("de-AT,de;q=0.9,en;q=0.8") == "de"
    assert negotiate("fr,en;q=0.2,de;q=0.7") == "de"
    assert negotiate("fr") == "en"
    assert negotiate("") == "en"
    assert negotiate(";q=,x;q=y") == "en"
    assert texts_of("de").ngettext("%(count)s variant", "%(count)s variants", 2) == "%(count)s Varianten"
