"""What looks like a mistake in a message that can be sent: said beforehand, of a message as one recipient gets it.

Looked at is what the recipient's reader will see: the HTML as a browser reads it (`engine.content.html_tokens`), the
text, subject and sender. Nothing is fetched, and no name is looked up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.content.html_tokens import StartTag, html_tokens
from engine.content.values import quoted
from engine.content.visibility import declarations
from engine.kernel.outbound import Guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.content.message import Content

__all__ = ["message_warnings"]

#: Above this many bytes of HTML the largest mail service shows a part and a link.
_CLIPPED = 102_000
_LONG_SUBJECT = 150
#: Bytes that the largest mail services take.
_LARGE = 10_000_000
#: Warnings of one kind; the rest are counted.
_MOST_OF_A_KIND = 5
_SHOWN = 100

_STYLE_URL = re.compile(r"url\(\s*['\"]?\s*([^'\")]+)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_IMAGE_ATTRIBUTES = {
    "img": ("src", "srcset"),
    "image": ("href", "xlink:href"),
    "input": ("src",),
    "source": ("srcset",),
    "v:fill": ("src",),
    "v:image": ("src",),
    "video": ("poster",),
}
_LINKS = ("a", "area")
#: Names that no public zone holds (RFC 6761, RFC 6762, RFC 8375, ICANN), and what networks at home and at work use.
_LOCAL_NAMES = (
    ".localhost",
    ".local",
    ".localdomain",
    ".internal",
    ".intranet",
    ".private",
    ".corp",
    ".home",
    ".lan",
    ".home.arpa",
    ".test",
    ".invalid",
)
#: `http://`, `http:/shop.example`, `https:///x`, `http://shop .example`; `mailto:` to nobody; what mail programs do not
#: run; and `http` with a letter too few or too many.
_NOWHERE = re.compile(
    r"https?:(?!//[^\s/?#]+(?:[/?#]|\Z))|(?:mailto|tel|sms):[\s/?]*\Z|(?:java|vb)script:"
    r"|(?!https?:)h?h?t{1,3}ps?[:;]//",
    re.IGNORECASE,
)
_GREETED = (
    r"\b(Dear|Hi|Hello|Hey|Good (?:morning|day|afternoon|evening)|Hallo|Liebe|Lieber|Guten (?:Tag|Morgen)"
    r"|Sehr geehrter?(?: Frau| Herr)?|Bonjour|Ch[eè]re?|Bonsoir|Hola|Estimad[oa]|Querid[oa]|Ciao|Gentile|Car[oa]"
    r"|Ol[aá]|Prezad[oa]|Beste|Hoi|Geachte|Hej|Hei|K[aæä]r[ae]|Hyv[aä]|Cze[sś][cć]|Dzie[nń] dobry|Szanown[ya]"
    r"|V[aá][zž]en[yýaá]|Kedves|Szia|Drag[aă]|Bun[aă]|Merhaba|Say[iı]n"
    r"|Уважаем(?:ый|ая)|Дорог(?:ой|ая)|Привет|Здравствуйте|Γεια)"
)
#: A greeting whose name is empty: a blank stands before the punctuation.
_GREETING = re.compile(
    _GREETED
    + r"(?:[ \u00a0]+(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Herrn?|Frau|M|Mme|Mlle|Sr|Sra|Sig|Signora?|pane|pan[ií])\.?)*"
    r"[ \u00a0]+(?=[,!.:;]|$)",
    re.IGNORECASE | re.MULTILINE,
)
#: A name that is empty at the beginning (`, your order`) or end (`Welcome back, !`) of a line.
_GAP = re.compile(r"^[ \u00a0\t]*[,;](?=[ \u00a0]*\w)|,[ \u00a0]*[!.?,](?=[ \u00a0]*$)", re.MULTILINE)
#: What programs write where there is nothing, behind a greeting.
_NOTHING = re.compile(_GREETED + r"[ \u00a0]+(null|none|nil|undefined|nan|#?n/?a)\b", re.IGNORECASE)
#: Where other programs put a name in, and what they write in place of an object.
_PLACEHOLDER = re.compile(
    r"\*\|[A-Z][\w:.]{1,40}\|\*|(?<![\w%=/?&.-])%%?[A-Z][A-Z_]{3,40}%%?(?!\w)|\$?\{\{[^{}\n]{1,80}\}\}"
    r"|\$\{[\w.]{1,80}\}|\[object Object\]|(?i:\[(?:First|Last|Full|Your)[ _]?Name\])"
)
#: `localhost:3000/x` and `C:\\a.png`, which look like schemes.
_NO_SCHEME = re.compile(r"(?:localhost|[\w-]+(?:\.[\w-]+)+):\d{1,5}(?:/|\Z)|[A-Za-z]:[\\/]")


def message_warnings(
    content: Content, *, unsubscribe_url: str | None = None, size: int | None = None
) -> list[str]:
    """What looks like a mistake in one recipient's message, a sentence each; none: an empty list.

    Args:
        content: As the template renders it for the recipient, before links are rewritten.
        unsubscribe_url: The recipient's, where the message is bulk mail; None: nobody has to find it.
        size: Bytes of the whole e-mail, when it is one.
    """
    html = content.html or ""
    images, links = _places(html)
    return [
        *_of_subject(content),
        *_of_names(content),
        *_of_size(html, size),
        *_of_images(content, images),
        *_of_links(
            [link for link in links if unsubscribe_url is None or not link.startswith(unsubscribe_url)]
        ),
        *_of_unsubscribing(content, links, unsubscribe_url),
    ]


def _places(html: str) -> tuple[list[str], list[str]]:
    """The addresses of images, and those of links, each once."""
    images: dict[str, None] = {}
    links: dict[str, None] = {}
    for token in html_tokens(html):
        if not isinstance(token, StartTag):
            continue
        for attribute in token.attributes:
            value = attribute.text.strip()
            if attribute.name == "style":
                images |= dict.fromkeys(_of_style(value))
            elif attribute.name == "background":
                images[value] = None
            elif attribute.name in _IMAGE_ATTRIBUTES.get(token.name, ()):
                images |= dict.fromkeys(_sources(value) if attribute.name == "srcset" else [value])
            elif attribute.name == "href" and token.name in _LINKS:
                links[value] = None
    return list(images), list(links)


def _of_style(style: str) -> Iterator[str]:
    for name, value in declarations(style).items():
        if name.startswith(("background", "list-style", "content")):
            yield from (found.strip() for found in _STYLE_URL.findall(value))


def _sources(srcset: str) -> list[str]:
    """The addresses of a `srcset`."""
    return [one.split()[0] for one in re.split(r",\s+", srcset) if one.strip()]


def _of_subject(content: Content) -> Iterator[str]:
    if not content.subject:
        yield "the subject is empty"
    elif len(content.subject) > _LONG_SUBJECT:
        yield f"the subject is longer than {_LONG_SUBJECT} characters; most readers show fewer"


def _of_names(content: Content) -> Iterator[str]:
    if content.sender_name is not None and not content.sender_name.strip():
        yield "the sender's name is empty"
    greeting = next(
        (found for text in (content.subject, content.text or "") if (found := _GREETING.search(text))), None
    )
    if greeting is not None:
        yield f"a greeting has no name: {quoted((greeting[0] + greeting.string[greeting.end() :][:1]).strip())}"
    for text in (content.subject or "", content.text or ""):
        if greeting is None and (gap := _GAP.search(text)) is not None:
            line = text[text.rfind("\n", 0, gap.start()) + 1 :].partition("\n")[0].strip()
            yield f"something is missing, a name perhaps: {quoted(line[:_SHOWN])}"
        if (nothing := _NOTHING.search(text)) is not None:
            yield f"a greeting has no name: {quoted(nothing[0].strip())}"
        if (left := _PLACEHOLDER.search(text)) is not None:
            yield f"a placeholder was not filled in: {quoted(left[0])}"


def _of_size(html: str, size: int | None) -> Iterator[str]:
    if len(html.encode()) > _CLIPPED:
        yield f"the HTML is larger than {_CLIPPED} bytes; some readers clip it"
    if size is not None and size > _LARGE:
        yield f"the e-mail is larger than {_LARGE} bytes; some servers refuse it"


def _of_images(content: Content, images: list[str]) -> Iterator[str]:
    enclosed = content.enclosed.attachments if content.enclosed is not None else ()
    there = {one.content_id for one in enclosed if one.content_id is not None}
    shown = {image[4:] for image in images if image.lower().startswith("cid:")}
    yield from (f"the HTML shows cid:{name}, which is not attached" for name in sorted(shown - there))
    yield from (f"cid:{name} is attached and not shown by the HTML" for name in sorted(there - shown))
    web = [image for image in images if image.lower().startswith(("http:", "https:"))]
    yield from _each("an image has no address", [image for image in images if not image])
    yield from _each(
        "an image's address is relative, and shows nothing in a mail",
        [image for image in images if image and not _has_scheme(image)],
    )
    yield from _each(
        "an image is written into the HTML (data:), which most readers do not show",
        [image for image in images if image.lower().startswith("data:")],
    )
    yield from _each(
        "an image is not encrypted (http://), and many readers do not show it",
        [image for image in web if image.lower().startswith("http:")],
    )
    yield from _each(
        "an image is on a machine that no reader reaches",
        [image for image in images if _is_private(image) or image.lower().startswith("file:")],
    )


def _of_links(links: list[str]) -> Iterator[str]:
    yield from _each("a link has no address", [link for link in links if not link])
    yield from _each(
        "a link's address is relative, and leads nowhere in a mail",
        [link for link in links if link and not link.startswith("#") and not _has_scheme(link)],
    )
    yield from _each("a link leads nowhere", [link for link in links if _NOWHERE.match(link) is not None])
    yield from _each("a link leads to a machine that no reader reaches", filter(_is_private, links))


def _of_unsubscribing(content: Content, links: list[str], unsubscribe_url: str | None) -> Iterator[str]:
    if unsubscribe_url is None:
        return
    if unsubscribe_url not in (content.text or "") and not any(
        link.startswith(unsubscribe_url) for link in links
    ):
        yield "there is no link to unsubscribe: {{ unsubscribe_url }}"


def _each(what: str, addresses: Iterable[str]) -> Iterator[str]:
    """A warning for each address, up to a number."""
    found = list(addresses)
    for address in found[:_MOST_OF_A_KIND]:
        yield f"{what}: {quoted(address[:_SHOWN])}" if address else what
    if len(found) > _MOST_OF_A_KIND:
        yield f"{what}: {len(found) - _MOST_OF_A_KIND} more"


def _has_scheme(address: str) -> bool:
    return _SCHEME.match(address) is not None and _NO_SCHEME.match(address) is None


def _is_private(url: str) -> bool:
    """Whether a web address is of this machine, or of a network that nobody outside reaches."""
    if not url.lower().startswith(("http:", "https:", "//")):
        return False
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if not host:
        return False
    try:
        Guard().check_host(url)
    except ValueError:
        return True
    return ":" not in host and ("." not in host or f".{host}".endswith(_LOCAL_NAMES))
