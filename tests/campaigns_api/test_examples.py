"""Every operation of the contract with its own example body: each answer has the example's fields and types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.campaigns_api.desk import BLACK_FRIDAY
from tests.campaigns_api.shapes import lacking

if TYPE_CHECKING:
    from tests.campaigns_api.desk import Desk

SUMMARY = {
    "id": "camp123",
    "name": "Summer Sale Campaign",
    "description": "Promotional campaign for summer products",
    "type": "message",
    "status": "active",
    "goals": {"targetAudience": 10000, "conversionRate": 5, "revenue": 50000},
    "targetAudience": {"segments": ["seg123", "seg456"], "totalCount": 8500},
    "strategy": {
        "messaging": "Focus on discount offers",
        "timing": "Send during peak hours",
        "channels": ["telegram"],
    },
    "budget": 5000,
    "startDate": "2024-06-01T00:00:00Z",
    "endDate": "2024-08-31T23:59:59Z",
    "statistics": {
        "totalTasks": 100,
        "completedTasks": 45,
        "failedTasks": 2,
        "messagesSent": 4500,
        "conversionsAchieved": 225,
        "totalCost": 2250,
    },
    "createdBy": "user123",
    "createdAt": "2024-05-15T10:00:00Z",
    "updatedAt": "2024-06-15T14:30:00Z",
}
DETAIL = {
    "id": "camp123",
    "name": "Summer Sale Campaign",
    "description": "Promotional campaign for summer products",
    "type": "message",
    "status": "active",
    "goals": {"targetAudience": 10000, "conversionRate": 5, "revenue": 50000},
    "targetAudience": {
        "segments": ["seg123", "seg456"],
        "filters": {},
        "totalCount": 8500,
    },
    "messages": [
        {
            "id": "msg123",
            "templateId": "tmpl123",
            "content": "Summer Sale! Get 30% off on all items!",
            "variations": [{"id": "var1", "content": "Hot Summer Deals! Save 30% today!", "weight": 50}],
        }
    ],
    "workflow": {"id": "wf123", "name": "Summer Sale Workflow", "triggers": ["manual", "scheduled"]},
    "abTests": [{"id": "ab123", "name": "Message Variation Test", "status": "running"}],
    "createdAt": "2024-05-15T10:00:00Z",
    "updatedAt": "2024-06-15T14:30:00Z",
}
UPDATE = {
    "name": "Updated Campaign Name",
    "description": "Updated description",
    "goals": {"targetAudience": 25000, "conversionRate": 12},
    "status": "active",
}
EXECUTE = {
    "testMode": False,
    "targetPercentage": 100,
    "priority": "high",
}
#: The example's own time to start is in the past, and refused.
PAST = {**EXECUTE, "scheduledAt": "2024-11-24T10:00:00Z"}
EXECUTED = {
    "executionId": "exec123",
    "status": "started",
    "estimatedCompletion": "2024-11-24T12:00:00Z",
    "message": "Campaign execution started",
}
PROGRESS = {
    "status": "running",
    "progress": {"percentage": 65, "processed": 5525, "total": 8500, "successful": 5300, "failed": 225},
    "currentRate": 120,
    "estimatedCompletion": "2024-06-20T16:45:00Z",
    "errors": [{"code": "USER_BLOCKED", "count": 150, "message": "User has blocked the bot"}],
}


def test_a_client_walks_every_operation(desk: Desk) -> None:  # noqa: PLR0915 - one walk
    """Create, get, list, update, execute, progress, pause, resume, clone, delete; then delivered and complete."""
    everybody = desk.furnish(people=7)
    made = desk.ask("POST", status=201, json=BLACK_FRIDAY)
    assert {**made, "id": ""} == {
        "id": "",
        "name": "Black Friday Campaign",
        "status": "draft",
        "message": "Campaign created successfully",
    }
    campaign = made["id"]

    strategy = {"messaging": "Discounts", "timing": "Peak hours", "channels": ["file"]}
    desk.ask("PUT", f"/{campaign}", json={"strategy": strategy})
    page = desk.ask("GET")
    assert page["pagination"] == {"page": 1, "limit": 20, "total": 1, "pages": 1}
    assert lacking(SUMMARY, page["campaigns"][0]) == []
    detail = desk.ask("GET", f"/{campaign}")
    assert lacking(DETAIL, detail) == []
    assert detail["targetAudience"] == {**BLACK_FRIDAY["targetAudience"], "totalCount": 7}
    assert detail["goals"] == BLACK_FRIDAY["goals"]
    assert (detail["budget"], detail["startDate"], detail["endDate"]) == (
        10000, "2024-11-24T00:00:00Z", "2024-11-30T23:59:59Z",
    )  # fmt: skip
    assert detail["strategy"] == strategy
    assert [message["templateId"] for message in detail["messages"]] == ["tmpl456"]
    assert detail["messages"][0]["personalization"] == BLACK_FRIDAY["messages"][0]["personalization"]
    assert detail["createdBy"] == "admin"

    updated = desk.ask("PUT", f"/{campaign}", json=UPDATE)
    assert lacking(DETAIL, updated) == []
    assert (updated["name"], updated["status"]) == ("Updated Campaign Name", "active")
    assert updated["goals"] == {"targetAudience": 25000, "conversionRate": 12, "revenue": 100000}
    assert lacking(PROGRESS, {**desk.progress(campaign), "estimatedCompletion": "2024-06-20T16:45:00Z"}) == []

    desk.invalid("POST", f"/{campaign}/execute", "scheduledAt", json=PAST)
    executed = desk.ask("POST", f"/{campaign}/execute", json=EXECUTE)
    assert lacking(EXECUTED, executed) == []
    assert executed["status"] == "started"
    assert desk.job(executed["executionId"]).priority == "high"
    desk.work(most=1)
    running = desk.progress(campaign)
    assert lacking(PROGRESS, running) == []
    assert (running["status"], running["progress"]["total"]) == ("running", 7)

    paused = desk.ask("POST", f"/{campaign}/pause")
    assert lacking({"status": "", "message": "", "pausedAt": "2024-06-20T15:30:00Z"}, paused) == []
    assert paused["status"] == desk.status(campaign) == "paused"
    assert desk.progress(campaign)["status"] == "paused"
    assert desk.progress(campaign)["waiting"][0]["reason"] == "paused"
    resumed = desk.ask("POST", f"/{campaign}/resume")
    assert lacking({"status": "", "message": "", "resumedAt": "2024-06-21T09:00:00Z"}, resumed) == []
    assert resumed["status"] == desk.status(campaign) == "active"

    copy = desk.ask("POST", f"/{campaign}/clone", status=201)
    assert {**copy, "id": ""} == {
        "id": "",
        "name": "Updated Campaign Name (Copy)",
        "status": "draft",
        "message": "Campaign cloned successfully",
    }
    named = {"name": "Cloned Campaign Name", "resetStatistics": True}
    assert desk.ask("POST", f"/{campaign}/clone", status=201, json=named)["name"] == named["name"]
    cloned = desk.ask("GET", f"/{copy['id']}")
    assert lacking(DETAIL, cloned) == []
    assert cloned["targetAudience"] == detail["targetAudience"]
    deleted = desk.ask("DELETE", f"/{copy['id']}")
    assert deleted == {"message": "Campaign deleted successfully"}
    desk.refused("GET", f"/{copy['id']}", 404, "CAMPAIGN_NOT_FOUND")

    desk.run_out()
    assert desk.sent() == set(everybody)
    assert desk.status(campaign) == "completed"
    ended = desk.progress(campaign)
    assert ended["status"] == "completed"
    assert ended["progress"]["percentage"] == 100
    assert ended["progress"]["successful"] == ended["progress"]["processed"] == 7
    listed = desk.ask("GET", params={"status": "completed"})["campaigns"]
    assert lacking(SUMMARY, listed[0]) == []
    assert listed[0]["statistics"]["messagesSent"] == 7
    events = [name for name in desk.events(campaign) if name != "campaign.active"]
    assert events == [
        "campaign.created",
        "campaign.started",
        "campaign.paused",
        "campaign.resumed",
        "job.finished",
        "campaign.completed",
    ]
