"""Who opens and clicks without being a person: recognised by how they introduce themselves, and by how they behave.

- A *scanner* follows links to look for malware, or is a program: its user agent says so, or is missing, or it only
  asks for the head (HEAD), or it comes sooner than anybody could read, or it takes several links within seconds.
  What it does is recorded and counted apart.
- A *browser inside a program* (Telegram, LinkedIn, Slack), and the browser of a maker of scanners (Avast), is its
  reader. Both name themselves behind what every browser says (`Mozilla/5.0 (…) AppleWebKit/…`, RFC 9110 §10.1.5;
  https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/User-Agent); the robots of the same makers, which
  fetch previews, say their own name first, or call themselves robots (https://api.slack.com/robots).
- A *proxy* loads pictures in place of a mail program, some of them before anybody looks. Its opens count, because
  behind most of them is a person, and say which proxy it was.

A guess in both directions: a scanner that waits, and calls itself a browser, counts as a person.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["BURST", "BURST_LINKS", "TOO_SOON", "burst", "is_scanner", "proxy_of"]

#: A click this soon after the message was made is nobody's.
TOO_SOON = timedelta(seconds=2)
#: Different links of one message that nobody follows within `BURST`.
BURST_LINKS = 3
BURST = timedelta(seconds=5)

#: Words of robots, wherever they stand.
_SCANNERS = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|preview|prefetch|scan|monitor|fetch|validator|headless|phantomjs|selenium"
    r"|puppeteer|playwright|curl/|wget|python|aiohttp|httpx|go-http-client|java/|apache-httpclient|okhttp|libwww"
    r"|node-fetch|axios|undici|ruby|perl|winhttp|powershell|dispatcher|safelinks|proofpoint|mimecast|barracuda"
    r"|fireeye|forcepoint|zscaler|ironport|messagelabs|office existence discovery|microsoft office protocol"
    r"|facebookexternalhit|embedly|bitly|urlscan|virustotal|googleother|google-safety|feedburner|imgproxy",
    re.IGNORECASE,
)
#: Makers of robots whose programs hold browsers as well: robots, unless they say what a browser says.
_MAKERS = re.compile(
    r"avast|\bavg\b|avira|bitdefender|kaspersky|norton|symantec|sophos|trend ?micro|mcafee|\beset\b|f-secure"
    r"|telegram|whatsapp|linkedin|slack|discord|skype|viber|\bsignal\b|\bteams\b|facebook|instagram|twitter|pinterest|\bline/",
    re.IGNORECASE,
)
#: How a browser begins. Robots that borrow it say `compatible` in place of a platform.
_BROWSER = re.compile(
    r"Mozilla/5\.0 \((?!compatible)[^()]*(?:\([^()]*\)[^()]*)*\) .*?(AppleWebKit|Gecko|Presto)/",
    re.IGNORECASE,
)
_PROXIES = (
    ("google", re.compile(r"googleimageproxy|ggpht\.com", re.IGNORECASE)),
    ("yahoo", re.compile(r"yahoomailproxy|yahoocachesystem", re.IGNORECASE)),
    # Apple's privacy proxy says no more than this, and nobody's browser says so little.
    ("apple", re.compile(r"^Mozilla/5\.0$")),
    ("duckduckgo", re.compile(r"duckduckgo.*proxy", re.IGNORECASE)),
)


def is_scanner(method: str, user_agent: str) -> bool:
    """Whether a request is no person's by what it says of itself."""
    if method != "GET" or not user_agent.strip():
        return True
    if proxy_of(user_agent) is not None:
        return False
    if _SCANNERS.search(user_agent) is not None:
        return True
    return _MAKERS.search(user_agent) is not None and _BROWSER.match(user_agent.strip()) is None


def proxy_of(user_agent: str) -> str | None:
    """Whose picture proxy it is; None: nobody's."""
    return next((name for name, known in _PROXIES if known.search(user_agent.strip())), None)


def burst(clicks: Sequence[tuple[datetime, str]]) -> bool:
    """Whether these clicks (when, where to) of one recipient hold too many different links in too short a time."""
    ordered = sorted(clicks)
    first = 0
    for last, (at, _) in enumerate(ordered):
        while at - ordered[first][0] > BURST:
            first += 1
        if len({url for _, url in ordered[first : last + 1]}) >= BURST_LINKS:
            return True
    return False
