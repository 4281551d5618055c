"""The client for producers: `Muster` and, awaited, `AsyncMuster`.

It needs httpx alone.

    with Muster("http://127.0.0.1:8000", "mk_…") as client:
        campaign = client.campaign.create({"name": "Q3 Re-engagement", "channel_type": "email"})
"""

from muster_client.asynchronous.client import AsyncMuster
from muster_client.errors import (
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    Forbidden,
    MusterError,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
)
from muster_client.retries import Retries
from muster_client.synchronous.client import Muster

__all__ = [
    "ApiError",
    "AsyncMuster",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "Muster",
    "MusterError",
    "NotFound",
    "RateLimited",
    "Retries",
    "ServerError",
    "Unauthorized",
]
