"""A language model behind OpenAI's chat completions, as obedient as can be: what a conversation orders, it does.

A conversation that holds `ANSWER<<…>>` is answered with exactly what stands there, as a model would whose instructions
were talked away. Otherwise it answers with an analysis of its own.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.servers.dialects import SECRET, Asked, Dialect, Reply, Taken

__all__ = ["ANALYSIS", "Completions"]

_ORDER = re.compile(r"ANSWER<<(.*?)>>", re.DOTALL)

#: What it thinks of everything.
ANALYSIS: dict[str, Any] = {
    "goal_analysis": {"evidence": ["yes, book it"], "objections": [], "next_steps": ["send the offer"]},
    "ai_label": "positive",
    "ai_score": 0.9,
    "ai_reason": "The customer agreed.",
    "call_successful": "success",
    "call_summary_title": "Booked",
    "transcript_summary": "The customer booked a test drive.",
    "agent_goal_result": "success",
    "agent_goal_rationale": "The agent asked.",
    "customer_sentiment": "positive",
    "customer_sentiment_rationale": "Friendly.",
    "follow_up_required": True,
    "follow_up_required_rationale": "An offer was promised.",
    "escalation_required": False,
    "escalation_required_rationale": "Nothing.",
    "campaign_goal_result": "success",
    "campaign_goal_score": 0.95,
    "campaign_goal_rationale": "It was booked.",
    "campaign_sentiment": "positive",
    "campaign_sentiment_rationale": "Friendly throughout.",
    "callback_requested": False,
    "callback_requested_rationale": "Not asked for.",
    "campaign_next_best_action": "Send the offer.",
}


def _said(content: Any, *, reason: str = "stop", refusal: str | None = None) -> Reply:
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    message = {"role": "assistant", "content": text, "refusal": refusal}
    usage = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
    return Reply(
        200, {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}
    )


def _no(status: int, message: str, **headers: str) -> Reply:
    return Reply(status, {"error": {"message": message, "type": "error", "code": None}}, headers)


class Completions(Dialect):
    """`POST /v1/chat/completions`."""

    name = "completions"
    refusals: dict[str, Reply] = {  # noqa: RUF012 - never changed
        "refusal": _said(None, refusal=f"I cannot judge this, {SECRET}."),
        "filtered": _said("", reason="content_filter"),
        "malformed": _said('{"goal_analysis": {"evidence": ['),
        "prose": _said("Sure! The goal was reached."),
        "empty": _said(""),
        "cut off": _said('{"ai_label": "posi', reason="length"),
        "no choices": Reply(200, {"choices": [], "usage": {}}),
        "no object": Reply(200, ["hello"]),
        "another field": _said({**ANALYSIS, "target_id": "0195a000-0000-7000-8000-00000000000c"}),
        "missing field": _said({name: value for name, value in ANALYSIS.items() if name != "ai_score"}),
        "another word": _said({**ANALYSIS, "campaign_goal_result": "absolutely"}),
        "beyond bounds": _said({**ANALYSIS, "campaign_goal_score": 7}),
        "odd usage": Reply(
            200, {**_said(ANALYSIS).body, "usage": {"prompt_tokens": -5, "completion_tokens": "x"}}
        ),
        "throttled": _no(429, "slow down", **{"Retry-After": "7"}),
        "throttled long": _no(429, "slow down", **{"Retry-After": "60"}),
        "broken": _no(500, "internal error"),
        "busy": _no(503, "overloaded"),
        "account": _no(401, f"incorrect key {SECRET}"),
        "bad request": _no(400, "unknown parameter"),
    }

    def read(self, asked: Asked) -> Taken | Reply:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return _no(401, "incorrect key")
        if asked.path != "/v1/chat/completions" or asked.method != "POST":
            return _no(404, "no such route")
        said = asked.json()
        form = said["response_format"]
        if form["type"] != "json_schema" or not form["json_schema"]["strict"] or not said["model"]:
            return _no(400, "a schema is needed")
        (_, user) = said["messages"]
        document = json.loads(user["content"])
        order = _ORDER.search(document["conversation"])
        reply = _said(order[1] if order is not None else ANALYSIS)
        return Taken(document["goal"], said["model"], asked.body.decode(), reply)
