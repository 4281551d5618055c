"""Who is told from a person, and by what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.tracking.bots import burst, is_scanner, proxy_of

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PEOPLE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.1.0",
    "Mozilla/5.0 (Linux; Android 14; CUBOT NOTE 50) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
)
SCANNERS = (
    "",
    "curl/8.5.0",
    "python-requests/2.32",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; BarracudaCentral/1.0)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
    "facebookexternalhit/1.1",
    "Go-http-client/2.0",
)


@pytest.mark.parametrize("agent", PEOPLE)
def test_browsers_and_mail_programs_are_people(agent: str) -> None:
    assert not is_scanner("GET", agent)
    assert is_scanner("HEAD", agent), "nobody asks for the head alone"


@pytest.mark.parametrize("agent", SCANNERS)
def test_programs_are_scanners(agent: str) -> None:
    assert is_scanner("GET", agent)


@pytest.mark.parametrize(
    ("agent", "proxy"),
    [
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "google",
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "yahoo"),
        ("Mozilla/5.0", "apple"),
        (PEOPLE[0], None),
    ],
)
def test_picture_proxies_count_and_are_named(agent: str, proxy: str | None) -> None:
    assert proxy == proxy_of(agent)
    assert not is_scanner("GET", agent)


def test_several_links_within_seconds_are_nobodys() -> None:
    def clicks(*given: tuple[float, str]) -> list[tuple[datetime, str]]:
        return [(AT + timedelta(seconds=seconds), url) for seconds, url in given]

    assert burst(clicks((0, "a"), (1, "b"), (4, "c")))
    assert burst(clicks((60, "c"), (0, "a"), (58, "a"), (57, "b")))
    assert not burst(clicks((0, "a"), (1, "a"), (2, "a"), (3, "b")))
    assert not burst(clicks((0, "a"), (10, "b"), (20, "c")))
    assert not burst([])
