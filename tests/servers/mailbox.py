"""What a mail server keeps: its journal, the rules by which it fails, and what it counted."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    import ssl

__all__ = ["Mailbox", "Options", "Rule", "Stage", "Taken"]

Stage = Literal["greeting", "ehlo", "auth", "mail", "rcpt", "data", "content", "message", "noop"]

_HEADER = re.compile(
    rb"^(message-id|subject|list-unsubscribe|list-unsubscribe-post):\s*(.*)$", re.IGNORECASE | re.MULTILINE
)
_FOLD = re.compile(rb"\r\n(?=[ \t])")


@dataclass
class Rule:
    """What goes wrong, where, and for whom."""

    stage: Stage
    action: str
    match: str = ""
    """It meets lines (recipients, at `message`) that contain this."""
    times: int | None = None
    """How often; None: until it is removed."""
    every: int = 1
    """It meets every n-th candidate only."""
    seen: int = 0


@dataclass(frozen=True)
class Taken:
    """One message that was accepted."""

    sender: str
    rcpt: str
    raw: bytes
    at: float


@dataclass
class Options:
    """What the server offers."""

    pipelining: bool = True
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    users: dict[str, str] = field(default_factory=dict)
    """Names, and their passwords or access tokens."""
    mechanisms: str = "PLAIN LOGIN"
    """What AUTH offers."""
    strict_login: str = ""
    """To a user name that comes with AUTH LOGIN: `ask` for it again, or this reply."""
    size: int = 10_000_000
    connections: int = 1000
    """How many at once; more are told 421."""
    lenient: bool = False
    """DATA is answered 354 even when nobody was accepted."""
    latency: float = 0.0
    """Seconds before every reply to a group of commands."""
    refuse_domains: frozenset[str] = frozenset()
    defer_domains: frozenset[str] = frozenset()
    """Each recipient there is told 451 once, and taken the next time."""
    keep: bool = True
    """Remember messages in memory."""


class Mailbox:
    """The journal, the rules in force, and what was counted; shared by all connections."""

    def __init__(self, options: Options, journal: str | None) -> None:
        self.options = options
        self.rules: list[Rule] = []
        self.messages: list[Taken] = []
        self.stats: Counter[str] = Counter()
        self.deferred: set[str] = set()
        self.connections: set[Any] = set()
        self._file = (
            None if journal is None else os.open(journal, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        )

    def rule_for(self, stage: Stage, line: bytes) -> str | None:
        """The action of the first rule that meets this."""
        for rule in self.rules:
            if rule.stage == stage and rule.match.encode() in line:
                rule.seen += 1
                if rule.seen % rule.every:
                    continue
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self.rules.remove(rule)
                return rule.action
        return None

    def take(self, sender: str, recipients: list[str], raw: bytes) -> None:
        """Append to the journal."""
        at = time.time()
        self.stats["accepted"] += len(recipients)
        if self.options.keep:
            self.messages += [Taken(sender, rcpt, raw, at) for rcpt in recipients]
        if self._file is None:
            return
        head = _FOLD.sub(b"", raw[: raw.find(b"\r\n\r\n")])
        found = {
            name.lower(): value.strip().decode(errors="replace") for name, value in _HEADER.findall(head)
        }
        entry = {
            "key": found.get(b"message-id", "").strip("<>"),
            "at": at,
            "sender": sender,
            "message_id": found.get(b"message-id"),
            "subject": found.get(b"subject"),
            "list_unsubscribe": found.get(b"list-unsubscribe"),
            "list_unsubscribe_post": found.get(b"list-unsubscribe-post"),
            "size": len(raw),
        }
        os.write(self._file, b"".join(orjson.dumps({**entry, "rcpt": rcpt}) + b"\n" for rcpt in recipients))

    def close(self) -> None:
        """Close the journal's file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
