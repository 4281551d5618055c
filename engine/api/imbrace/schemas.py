"""What the iMBRACE dialect answers. Fields of the caller's own stand beside the known ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.campaigns.absent import left_out

__all__ = [
    "COMMON",
    "CONFLICT",
    "MISSING",
    "ImbraceCampaign",
    "ImbraceCampaigns",
    "ImbraceMessage",
    "ImbraceTouchpoint",
    "ImbraceTouchpoints",
    "ImbraceValidated",
]


class ImbraceMessage(BaseModel):
    """What is wrong, in a sentence that names the field."""

    model_config = ConfigDict(extra="forbid")

    message: str


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", json_schema_extra=left_out)

    id_: str = Field(alias="_id")
    created_at: datetime
    updated_at: datetime


class ImbraceCampaign(_Open):
    """A campaign, the same one that `/v1/campaign/{id}` shows."""

    name: str
    status: Literal["draft", "active", "paused", "completed", "cancelled"]
    description: str | None = None
    channel_type: str | None = None


class ImbraceTouchpoint(_Open):
    """One step of a campaign."""

    name: str
    type: Literal["message", "wait", "action"]
    status: Literal["active", "inactive", "archived", "update_needed"]
    position: int
    campaign_id: str | None = None
    description: str | None = None
    message: str | dict[str, Any] | None = None


class ImbraceCampaigns(BaseModel):
    """Some campaigns, and how many there are."""

    data: list[ImbraceCampaign]
    total: int


class ImbraceTouchpoints(BaseModel):
    """Some touchpoints, and how many there are."""

    data: list[ImbraceTouchpoint]
    total: int


class ImbraceValidated(BaseModel):
    """What is wrong with a touchpoint; `duplicate`: another one of its channel has its `initial_phrase`."""

    valid: bool
    errors: list[str]
    duplicate: bool


def _told(text: str) -> dict[str, Any]:
    return {"model": ImbraceMessage, "description": text}


#: Every route.
COMMON: dict[int | str, dict[str, Any]] = {
    400: _told("The request cannot be done as it is"),
    401: _told("No key, or an unknown one"),
    403: _told("The key's role does not reach that far, or it is another organization's"),
    500: _told("A fault of ours"),
}
#: Routes that name a row of ours.
MISSING: dict[int | str, dict[str, Any]] = {404: _told("There is no such row")}
#: Routes that something else may stand against.
CONFLICT: dict[int | str, dict[str, Any]] = {409: _told("Something else needs it")}
