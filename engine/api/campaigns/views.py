"""Rows as the Campaigns dialect shows them: `{"success": true, "data"}`, absent, never null
(docs/contract/campaigns-api.md and README.md).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from engine.api.words import CAMPAIGN_WORDS, states_by_word
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.insight.figures import Figures
    from state.tables import Campaign, Flow, ScheduledRun, Template, Touchpoint

__all__ = ["STATES_OF", "detail", "instant", "number", "ok", "present", "statistics", "status", "summary"]

STATES_OF = states_by_word(CAMPAIGN_WORDS)
#: A task is a batch of so many messages (docs/contract/campaigns-api.md).
BATCH = 100


def ok(data: Any) -> dict[str, Any]:
    """An answer in its envelope."""
    return {"success": True, "data": data}


def status(row: Campaign) -> str:
    """The dialect's word for the campaign's status."""
    return CAMPAIGN_WORDS[CampaignStatus(row.status)]


def instant(when: datetime | None) -> str | None:
    """`2024-06-01T00:00:00Z`, with milliseconds where there are any."""
    if when is None:
        return None
    when = when.astimezone(UTC)
    precision = "milliseconds" if when.microsecond else "seconds"
    return when.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def number(value: float | None) -> float | int | None:
    """A number as a person would write it: 5000, not 5000.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is absent is left out."""
    return {name: value for name, value in values.items() if value is not None}


def statistics(figures: Figures, carried: Mapping[str, Any] | None) -> dict[str, Any]:
    """A campaign's statistics in its summary; tasks are batches of `BATCH` recipients."""
    over = figures.processed == figures.total
    done = math.ceil(figures.processed / BATCH) if over else figures.processed // BATCH
    failed = min(done, figures.failed // BATCH)
    counted = {
        "totalTasks": math.ceil(figures.total / BATCH),
        "completedTasks": done - failed,
        "failedTasks": failed,
        "messagesSent": figures.sent,
        "conversionsAchieved": figures.conversions,
        "totalCost": number(round(figures.cost, 6)),
    }
    return {name: number(value + (carried or {}).get(name, 0)) for name, value in counted.items()}


def summary(
    row: Campaign,
    *,
    segments: Sequence[str],
    size: int,
    figures: Figures,
    channels: Sequence[str],
) -> dict[str, Any]:
    """One campaign of a list."""
    strategy = row.strategy or {}
    return present(
        {
            "id": str(row.id),
            "name": row.name,
            "description": row.description,
            "type": row.type,
            "status": status(row),
            "goals": _goals(row.goals),
            "targetAudience": {"segments": list(segments), "totalCount": size},
            "strategy": present(
                {
                    "messaging": strategy.get("messaging"),
                    "timing": strategy.get("timing"),
                    "channels": list(channels),
                }
            ),
            "budget": number(row.budget),
            "startDate": _date(row.starts_at, row.start_date),
            "endDate": _date(row.ends_at, row.end_date, last=True),
            "misfireHours": number(row.misfire_hours),
            "onePerAddress": row.one_per_address,
            "limits": row.limits or None,
            "statistics": statistics(figures, row.carried),
            "createdBy": row.created_by,
            "createdAt": instant(row.created_at),
            "updatedAt": instant(row.updated_at),
        }
    )


def detail(
    shown: dict[str, Any],
    row: Campaign,
    *,
    messages: Sequence[tuple[Touchpoint, Template | None]],
    flow: Flow | None,
    scheduled: ScheduledRun | None,
    tests: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """One campaign whole: its summary, and what it is made of."""
    audience = row.audience or {}
    shown["targetAudience"] = present(
        {
            "segments": shown["targetAudience"]["segments"],
            "filters": audience.get("filters") or {},
            "schema": audience.get("entity_schema"),
            "totalCount": shown["targetAudience"]["totalCount"],
        }
    )
    shown["messages"] = [_message(touchpoint, template) for touchpoint, template in messages]
    if flow is not None:
        triggers = ["manual"] if scheduled is None else ["manual", "scheduled"]
        shown["workflow"] = {"id": str(flow.id), "name": flow.name, "triggers": triggers}
    shown["abTests"] = list(tests)
    if scheduled is not None:
        shown["schedule"] = {
            "executionId": str(scheduled.id),
            "scheduledAt": instant(scheduled.due_at),
            "targetPercentage": number(scheduled.reach),
            "priority": scheduled.priority,
        }
    return shown


def _goals(goals: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if goals is None:
        return None
    names = {
        "target_audience": "targetAudience",
        "conversion_rate": "conversionRate",
        "revenue": "revenue",
    }
    return {names[name]: number(value) for name, value in goals.items() if name in names}


def _date(when: datetime | None, day: Any, *, last: bool = False) -> str | None:
    """An instant; of a campaign that another dialect made, its day's beginning or end."""
    if when is not None or day is None:
        return instant(when)
    return f"{day.isoformat()}T{'23:59:59' if last else '00:00:00'}Z"


def _own_subject(variation: Mapping[str, Any], message: Mapping[str, Any]) -> str | None:
    """A variation's subject, where it is not the message's."""
    subject: str | None = variation.get("subject")
    return None if subject == message.get("subject") else subject


def _message(touchpoint: Touchpoint, template: Template | None) -> dict[str, Any]:
    content = touchpoint.content or {}
    text = content.get("text") or content.get("html")
    if template is not None:
        text = template.text or template.html or template.subject
    named = touchpoint.settings.get("template")
    return present(
        {
            "id": str(touchpoint.id),
            "name": touchpoint.name or None,
            "templateId": named or (str(touchpoint.template_id) if touchpoint.template_id else None),
            "content": text or "",
            "subject": content.get("subject"),
            "variations": [
                present(
                    {
                        "id": str(variant["id"]),
                        "content": (variant.get("content") or {}).get("text") or "",
                        "subject": _own_subject(variant.get("content") or {}, content),
                        "weight": number(variant.get("weight")),
                    }
                )
                for variant in touchpoint.variants or ()
                if variant.get("id") != "original"
            ],
            "personalization": touchpoint.settings.get("personalization"),
            "status": touchpoint.status,
        }
    )


def as_uuid(text: str) -> UUID | None:
    """An id of ours; None for any other text."""
    try:
        return UUID(text)
    except ValueError:
        return None
