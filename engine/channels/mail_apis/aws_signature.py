"""Amazon's proof of who sends a request: Signature Version 4.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["AwsKey", "signed_headers"]

_ALGORITHM = "AWS4-HMAC-SHA256"


class AwsKey(NamedTuple):
    """An access key."""

    id: str
    secret: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"<AwsKey {self.id}>"


def signed_headers(
    method: str,
    url: str,
    body: bytes,
    *,
    key: AwsKey,
    region: str,
    service: str,
    at: datetime,
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers that a request is sent with.

    Args:
        url: Without a query, its path of unreserved characters alone.
        at: In UTC.
        more: Further headers, names in lower case; they are signed, too.
    """
    parts = urlsplit(url)
    day, instant = at.strftime("%Y%m%d"), at.strftime("%Y%m%dT%H%M%SZ")
    headers = {**(more or {}), "host": parts.netloc, "x-amz-date": instant}
    if key.session_token is not None:
        headers["x-amz-security-token"] = key.session_token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        (
            method,
            parts.path or "/",
            "",
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{instant}\n{scope}\n{digest}"
    secret = f"AWS4{key.secret}".encode()
    for step in (day, region, service, "aws4_request"):
        secret = hmac.digest(secret, step.encode(), hashlib.sha256)
    signature = hmac.digest(secret, text.encode(), hashlib.sha256).hex()
    proof = f"{_ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "Authorization": proof}
