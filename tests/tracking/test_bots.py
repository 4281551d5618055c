"""Who is told from a person, and by what."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.inbound.bots import burst, is_scanner, proxy_of

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/126.0.0.0 Safari/537.36"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
_ANDROID = "Mozilla/5.0 (Linux; Android 14; SM-A536B) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"
PEOPLE = (
    CHROME,
    _IPHONE,
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.1.0",
    "Mozilla/5.0 (Linux; Android 14; CUBOT NOTE 50) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
    # Browsers inside programs, and those of makers of scanners
    f"{CHROME} Avast/131.0.0.0",
    f"{CHROME} AVG/130.0.0.0",
    f"{CHROME} Norton/129.0.0.0",
    f"{CHROME} Slack/4.41.105 Electron/33.0.1",
    f"{CHROME} discord/1.0.9035 Electron/28.2.10",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) {_WEBKIT} Slack_SSB/4.41 Chrome/130 Safari/537.36",
    f"{_ANDROID} Telegram-Android/11.2.3 (Samsung SM-A536B; Android 14; SDK 34; AVERAGE)",
    f"{_IPHONE} [LinkedInApp]/9.30",
    f"{_ANDROID} [LinkedInApp]/4.1.1011",
    f"{_IPHONE} WhatsApp/24.1",
    f"{_IPHONE} [FBAN/FBIOS;FBAV/460.0] Instagram 330",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 Viber",
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
    "TelegramBot (like TwitterBot)",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Slackbot 1.0 (+https://api.slack.com/robots)",
    "Slack-ImgProxy (+https://api.slack.com/robots)",
    "WhatsApp/2.24.15.78 A",
    "Viber/22.1.0.0 CFNetwork/1496.0.7 Darwin/23.5.0",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (compatible; Avast SafeZone)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b",
    f"{CHROME} SkypeUriPreview Preview/0.5",
    f"{CHROME} Avast-UrlScan/1.0",
    "Telegram Desktop",
    "Go-http-client/2.0",
)


SHARED = Path(os.environ.get("MUSTER_SHARED", Path(__file__).parents[3] / "shared"))
CASES = SHARED / "cases" / "mail" / "render" / "user-agents-of-people.txt"


@pytest.mark.skipif(not CASES.is_file(), reason="shared/cases/mail is not beside the repository")
def test_every_shared_user_agent_of_a_person_is_one() -> None:
    agents = CASES.read_text().strip().splitlines()
    assert agents
    assert [] == [agent for agent in agents if is_scanner("GET", agent)]


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


@pytest.mark.parametrize("piece", ["(", "Mozilla/5.0 (", "slack (", "Mozilla/5.0 (a(b)", ") "])
def test_no_user_agent_takes_long_to_read(piece: str) -> None:
    """What a header may hold at most, made to be slow."""
    before = time.process_time()
    is_scanner("GET", "Mozilla/5.0 (x" + piece * 5000 + " slack")
    assert time.process_time() - before < 1
