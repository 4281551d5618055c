"""`muster channel explain`: which rule reads a provider's answer, and what follows from it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, emit, lines

__all__ = ["explain"]

_FOLLOWS = {
    "deliver": "the message is delivered",
    "refuse": "the message fails",
    "defer": "the message is tried again with back-off, at the cost of an attempt",
    "slow": "it goes on more slowly, at a rate that is found; it costs nobody an attempt",
    "quota": "it waits until it may go on; it costs nobody an attempt",
    "sender_fault": "the campaign is paused, and everybody stays pending",
    "down": "the channel's breaker opens; it costs nobody an attempt",
}


def explain(
    code: Annotated[
        str, typer.Argument(help="The reply code or HTTP status: 454. Of a report: its Status, or -.")
    ],
    text: Annotated[
        str, typer.Argument(help="What was said, with its enhanced status code if it has one.")
    ] = "",
    *,
    protocol: Annotated[str, typer.Option(help="smtp, http or dsn (a delivery report).")] = "smtp",
    phase: Annotated[
        str | None, typer.Option(help="What an SMTP reply answered: connect, auth, mail, rcpt, data or end.")
    ] = None,
    api: Annotated[str | None, typer.Option(help="Whose API answered: twilio, whatsapp …")] = None,
    error: Annotated[str | None, typer.Option(help="The API's own error code.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a provider's answer is about and what it means, which rule says so and why."""
    from actors.cli.choices import one_of
    from config.settings import Settings
    from engine.answers.classify import classifier_of
    from engine.answers.meanings import Phase, Protocol, ProviderAnswer
    from engine.answers.reading import read_report, read_smtp

    spoken = Protocol(one_of("the protocol", protocol, [one.value for one in Protocol]))
    at = None if phase is None else Phase(one_of("the phase", phase, [one.value for one in Phase]))
    if spoken is Protocol.DSN:
        answer = read_report(code, text)
    elif not (code.isdecimal() and len(code) == 3):  # noqa: PLR2004 - a reply code has three digits
        raise Failure(
            f"{code!r} is no reply code", "a reply code has three digits, like 454", code=Exit.USAGE
        )
    elif spoken is Protocol.SMTP:
        answer = read_smtp(int(code), text, at)
    else:
        answer = ProviderAnswer(spoken, int(code), None, text, None, api, error)
    found = classifier_of(Settings().answer_rules).explain(answer)
    verdict, rule = found.verdict, found.verdict.rule
    explanation: dict[str, Any] = {
        "scope": verdict.scope.value,
        "meaning": verdict.meaning.value,
        "bar": verdict.bar,
        "rule": rule.name,
        "source": rule.source,
        "matched": _matched(rule.code, rule.status, rule.error, rule.text, rule.phases),
        "status": answer.status,
        "trigger": rule.trigger,
        "duration": rule.duration,
        "advice": verdict.advice,
        "other_rules": [one.name for one in found.others],
    }
    if as_json:
        emit(explanation)
        return
    lines(
        [
            ("about", explanation["scope"]),
            ("means", f"{explanation['meaning']}: {_FOLLOWS[explanation['meaning']]}"),
            ("address", "is barred: it is not written to again" if verdict.bar else "is not barred"),
            (
                "rule",
                f"{rule.name} ({'its words' if rule.is_specific else 'its code'}: {explanation['matched']})",
            ),
            ("source", rule.source),
            (
                "from",
                f"{rule.trigger} answers on; until then the message is deferred" if rule.trigger else None,
            ),
            ("waits", f"{rule.duration} at first" if rule.duration else None),
            ("to mend", verdict.advice),
            ("also fits", ", ".join(explanation["other_rules"]) or None),
        ]
    )


def _matched(
    code: str | None, status: str | None, error: str | None, text: str | None, phases: tuple[Any, ...]
) -> str:
    given = [("code", code), ("status", status), ("error", error), ("text", text)]
    parts = [f"{name} {pattern}" for name, pattern in given if pattern is not None]
    if phases:
        parts.append("in reply to " + ", ".join(phases))
    return "; ".join(parts)
