"""Reading an answer: where the codes stand in a reply, in a report, and in one line that a person typed.

A code is read only right behind a reply code, at the beginning of a reply's text, in a report's Status field, or as
qmail writes it (`(#5.1.1)`). What looks like one anywhere else (an IP address, `Exim 4.94.2`) is none.
"""

from __future__ import annotations

import re
from dataclasses import replace

from engine.answers.meanings import Phase, Protocol, ProviderAnswer

__all__ = ["read_event", "read_line", "read_report", "read_smtp"]

#: The category of an event that says no more than that the bounce is permanent.
PERMANENT = "permanent"
#: An enhanced status code at the beginning of a text (RFC 3463 §2: up to three digits each).
_STATUS = re.compile(r"\s*#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])[:,]?\s*")
_REPORT_STATUS = re.compile(r"\s*#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
#: As qmail and those who took after it write it, at the end of a sentence (https://cr.yp.to/proto/hcmssc.txt).
_HASHED = re.compile(r"\(#([245]\.\d{1,3}\.\d{1,3})\)")
#: A reply code in a diagnostic: at its beginning, or behind words such as `host … said:`.
_REPLY = re.compile(
    r"(?:^|[\s:'\"(\[;>])([245]\d\d)(?=[\s-]|$)[ -]?\s*['\"#]?\s*(?:([245]\.\d{1,3}\.\d{1,3})(?![\d.]))?"
)
_SAID = re.compile(
    r"\b(?:said|answered|responded|replied|returned|response|reply|error)\b[^:]{0,80}:\s*", re.IGNORECASE
)
#: What a quoted reply answered, as Postfix and Exim say it.
_IN_REPLY_TO = (
    (
        Phase.CONNECT,
        re.compile(
            r"\b(in reply to|after) (EHLO|HELO|LHLO|STARTTLS|initial connection)\b|refused to talk to me",
            re.IGNORECASE,
        ),
    ),
    (
        Phase.MAIL,
        re.compile(
            r"\b(in reply to|after|response to|did not like our)( pipelined)? MAIL( FROM)?\b", re.IGNORECASE
        ),
    ),
)
#: They say no more than that it failed. RFC 3463 knows X.0.0; providers number it on (`5.0.350`).
_VAGUE = re.compile(r"[245]\.(?:0\.\d+|1\.0)")
_TEXT_LIMIT = 2000
_BLANKS = re.compile(r"\s+")
_LINE = re.compile(r"(?:([a-z]+):\s*)?(\d{3})?(?:[ -]|$)?(.*)", re.DOTALL)


def read_smtp(code: int, text: str, phase: Phase | None) -> ProviderAnswer:
    """A mail server's reply.

    Args:
        text: Behind the code, lines joined by blanks; with its enhanced status code, if it has one.
    """
    flat = _BLANKS.sub(" ", text).strip()[:_TEXT_LIMIT]
    found = _STATUS.match(flat)
    status = None
    if found is not None:
        words = flat[found.end() :]
        if found[1][0] == str(code)[0]:
            status = found[1]
        flat = words.replace(f"{found[1]} ", "")  # every line of a reply repeats it
    return ProviderAnswer(Protocol.SMTP, code, status, flat, phase)


def read_report(status: str | None, diagnostic: str | None) -> ProviderAnswer:
    """What a delivery report says of one recipient (RFC 3464 §2.3.4, §2.3.6).

    The status in the server's own words counts where it is more exact than the field's, or contradicts it.

    Args:
        status: The Status field; absent or unreadable: None.
        diagnostic: The Diagnostic-Code field, with or without its type.
    """
    given = _REPORT_STATUS.match(status or "")
    field = None if given is None else given[1]
    flat = _BLANKS.sub(" ", diagnostic or "").strip()[:_TEXT_LIMIT]
    flat = re.sub(r"^[A-Za-z][\w-]{0,20}\s*;\s*", "", flat)
    code, own, words = _reply_in(flat)
    exact = own if own is not None and not _is_vague(own) else None
    if code is not None and own is None and str(code)[0] == "4" and field is not None and _is_vague(field):
        field = "4" + field[1:]  # a transient reply, given up on
    found = exact or field or own
    if found is not None and (code is None or str(code)[0] != found[0]):
        code = int(found[0]) * 100 + 50  # RFC 3463 §2: the class is that of the reply code
    phase = next((phase for phase, pattern in _IN_REPLY_TO if pattern.search(flat)), None)
    return ProviderAnswer(Protocol.DSN, code, found, words, phase)


def read_event(subtype: str | None, reason: str | None, *, permanent: bool) -> ProviderAnswer:
    """What a provider's event says of one recipient: an answer that somebody else got.

    Args:
        subtype: An enhanced status code, or the provider's own category; with neither, and no reason, the event's word
            that it is permanent is the category (`PERMANENT`).
        reason: In the words of the provider, or of the server that refused.
        permanent: Trying again does not help, as the provider says.
    """
    given = _REPORT_STATUS.fullmatch(subtype or "")
    report = read_report(given[1] if given is not None else None, reason)
    if report.code is None:
        report = replace(report, code=550 if permanent else 450)
    category = subtype or (PERMANENT if permanent and not reason else None)
    return report if given is not None or not category else replace(report, error=category.strip())


def _is_vague(status: str) -> bool:
    return _VAGUE.fullmatch(status) is not None


def _reply_in(text: str) -> tuple[int | None, str | None, str]:
    """Reply code, enhanced status and words of a diagnostic; the last exact status counts where replies are nested."""
    found = [
        match for match in _REPLY.finditer(text) if match.start() == 0 or match[2] or _introduced(text, match)
    ]
    leading = _STATUS.match(text)
    if not found:
        if leading is not None:
            return None, leading[1], text[leading.end() :]
        hashed = _HASHED.search(text)
        return None, None if hashed is None else hashed[1], text
    best = next((one for one in found if one[2] and not _is_vague(one[2])), found[0])
    status = best[2] or (leading[1] if leading is not None else None)
    if status is None and (hashed := _HASHED.search(text)) is not None:
        status = hashed[1]
    words = text[best.end() :].strip()
    if best[2]:
        words = words.replace(f"{best[1]} {best[2]} ", "").replace(f"{best[1]}-{best[2]} ", "")
    return int(best[1]), status, words or text


def _introduced(text: str, match: re.Match[str]) -> bool:
    """Whether a code stands where a server's reply is quoted: behind `said:`, a quotation mark or a dash."""
    before = text[: match.start(1)]
    if before.rstrip()[-1:] in ("'", '"', ":", ">"):
        return True
    said = list(_SAID.finditer(before))
    return bool(said) and said[-1].end() == len(before)


def read_line(line: str, *, protocol: Protocol = Protocol.SMTP, phase: Phase | None = None) -> ProviderAnswer:
    """An answer as a person types it: `454 4.7.0 text`, with a phase in front perhaps (`mail: 450 …`)."""
    found = _LINE.fullmatch(line.strip())
    named, code, text = found.groups() if found is not None else (None, None, line)
    if named is not None and named in {one.value for one in Phase}:
        phase = Phase(named)
    elif named is not None:
        code, text = None, line
    if protocol is Protocol.DSN:
        status = _STATUS.match(text) if code is None else None
        return read_report(status[1] if status else None, line)
    if protocol is Protocol.HTTP or code is None:
        return ProviderAnswer(protocol, int(code) if code else None, None, text.strip(), None)
    return read_smtp(int(code), text, phase)
