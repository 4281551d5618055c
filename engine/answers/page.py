"""The classifier's table as a page that people read: `docs/answers.md` is made by `python -m engine.answers.page`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.answers.rules import SHIPPED, read_shipped

if TYPE_CHECKING:
    from engine.answers.rules import Rule

__all__ = ["page"]

_HEAD = """\
# Answers of providers

*Made from the rules in `engine/answers/rules` by `make answers`; a test sees to it that it is current.*

Every answer of a provider (an SMTP reply, an HTTP answer, a delivery report, an event) is about something and means
something. The first rule that matches decides; `muster channel explain 454 "Throttling failure"` says which one
and why.

## Scopes

| scope | what waits or fails |
|---|---|
| `mailbox` | one recipient |
| `domain` | the recipients of one mail domain |
| `provider` | the recipients of every domain whose mail exchangers belong to one provider |
| `sender` | what goes out as this sender |
| `channel` | everything over the channel |

## What bars an address

An address is barred (it goes on the suppression list of the organization) only by a rule with **bar**: one that reads
that nobody is there, that the mailbox is disabled, or that the recipient opted out. The rules are the same for a
server's reply while it is being sent to, for the reply that a delivery report quotes, and for the events that providers
report; `smtp` includes delivery reports. 5.0.0 without such words bars nobody, and neither does what is said of the
sender, its network, the content, a policy, a rate or a quota, a full mailbox, a loop, or time, whatever its code.
What somebody is called (the part of an address in front of the @) is not read.

Of a delivery report three things count: the status behind the reply code in the server's own words where it is exact,
else the Status field, and the words.

## Meanings

| meaning | what follows |
|---|---|
| `deliver` | success |
| `refuse` | the message fails; with **bar** the address goes on the suppression list |
| `defer` | the message is tried again with back-off, at the cost of an attempt |
| `slow` | the scope goes on more slowly, at a rate that is found; it costs nobody an attempt |
| `quota` | the scope waits until it may go on; it costs nobody an attempt |
| `sender_fault` | from so many answers on (trigger) the campaign is paused with the advice; everybody stays pending |
| `down` | the channel's breaker opens; it costs nobody an attempt |

## Rules of your own

`MUSTER_ANSWER_RULES` names a TOML file. Its rules are tried before these, and one that has the name of a rule below
replaces it. Processes read it when they start; a file that cannot be used stops them with the rule and the field.
Words alone never take back what a mail server accepted: a rule about a positive reply names its code (`2\\d\\d`)
or status.

```toml
[[rule]]
name = "relay-of-ours"
source = "operations manual, page 12"
code = "450"
text = 'queue of \\S+ is full'
scope = "channel"
meaning = "slow"
duration = "30s"
examples = ["end: 450 4.3.0 queue of relay2 is full"]
```

`code`, `status` (RFC 3463) and `error` (a provider's own code) are patterns for all of the value, `text` for a part
of the text in any case of letters; all that are given must match. `protocols` (smtp, http, dsn), `phases` (connect,
auth, mail, rcpt, data, end) and `api` narrow a rule down. `trigger` is a number of answers in a period (`5/10m`),
`duration` how long the scope waits at first.

A code is read only right behind a reply code, in a Status field, or as qmail writes it (`(#5.1.1)`): an IP address or a
version is none. A status that is absent is the empty text to its pattern.

## Trying again

| class | attempts | how long |
|---|---|---|
| transient refusal of mail (`defer`) | counted | each wait is twice the last, an hour (`retry_span_seconds`) in all |
| `defer` of HTTP APIs | counted | from `retry_base_seconds`, twice as long each time |
| `slow`, channel | not counted | at once, at the rate that was found; after 1 to 60 seconds while none is taken |
| `slow`, mail domain | not counted, 200 times | 10 seconds, doubling to 15 minutes |
| `quota` | not counted | the rule's duration or 5 minutes, doubling to an hour; a few messages try |
| `down` | not counted | 1 second, doubling to 5 minutes; a few messages try |
| `sender_fault` | not counted | until a person resumes the campaign |

A channel finds its rate by itself: it falls to 85 % of what was taken when the provider says that it is too fast (60 %
when it says so again at once), comes back to just below the rate that was refused within eight seconds (six messages,
where these take longer), stays there, and then tries more and more. The rate is kept in the database for an hour after
it was last found, so that all workers share it, and one that dies takes nothing along.

## The same answer to everybody

An answer that no rule reads the words of counts for its recipient or its domain by its code. When the same words come
from three mail domains within a minute they are about the channel, whatever the code. A recipient is spared twenty
times because others are refused alike; then it costs it an attempt.

An API's 403, 404, 405, 410 or 5xx without words that a rule reads is about its message while others are taken. Where
five are answered so and nobody is, the sender is refused, or the provider is down.
"""
_TITLES = {
    "recipients.toml": "Limits of one mailbox",
    "providers.toml": "Rates and quotas of the account",
    "mailboxes.toml": "One mailbox",
    "senders.toml": "The sender",
    "apis.toml": "Error codes of APIs",
    "smtp.toml": "SMTP, by code",
    "reports.toml": "Bounces by a provider's category",
    "http.toml": "HTTP, by status",
}


def page() -> str:
    """The page, as Markdown."""
    lines = [_HEAD]
    for name in SHIPPED:
        lines += [
            f"\n## {_TITLES[name]}\n",
            "| rule | when | about | means | an example | source |",
            "|---|---|---|---|---|---|",
            *(_row(rule) for rule in read_shipped(name)),
        ]
    return "\n".join(lines) + "\n"


def _row(rule: Rule) -> str:
    means = rule.meaning.value
    if rule.bar:
        means += f", **bar** ({rule.bar_reason})"
    if rule.trigger is not None:
        means += f", from {rule.trigger}"
    if rule.duration is not None:
        means += f", {rule.duration} at first"
    source = rule.source if rule.provider is None else f"{rule.provider}: {rule.source}"
    example = _code(rule.examples[0]) if rule.examples else ""
    cells = (f"`{rule.name}`", _when(rule), rule.scope.value, means, example, _cell(source))
    return "| " + " | ".join(cells) + " |"


def _when(rule: Rule) -> str:
    parts = []
    if rule.protocols:
        parts.append("/".join(rule.protocols))
    if rule.phases:
        parts.append("to " + ", ".join(rule.phases))
    if rule.api is not None:
        parts.append(f"API {rule.api}")
    parts += [
        f"{name} {_code(pattern)}"
        for name, pattern in (
            ("code", rule.code),
            ("status", rule.status),
            ("error", rule.error),
            ("text", rule.text),
        )
        if pattern is not None
    ]
    return "; ".join(parts)


def _code(text: str) -> str:
    return "`" + _cell(text) + "`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(page())
