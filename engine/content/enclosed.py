"""Files that go with a message: attachments, and images that its HTML shows (`<img src="cid:logo">`).

They are the same for every recipient, so each is written as a MIME part once, when its template is
compiled; a message only joins those bytes.
"""

from __future__ import annotations

import mimetypes
import re
from functools import cached_property
from typing import TYPE_CHECKING

from engine.content.bodies import base64_lines
from engine.content.headers import check_block, parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Attachment", "Enclosed", "check_attachment", "guess_type"]

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_CONTENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}(?:@[A-Za-z0-9.-]{1,26})?")
#: Types that may not travel in base64 (RFC 2046 §5.1, §5.2.1), or would be read as parts of the message.
_STRUCTURED = ("multipart/", "message/")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_NAME = 255


class Attachment:
    """One file."""

    def __init__(
        self, filename: str, content_type: str, content: bytes, *, content_id: str | None = None
    ) -> None:
        self.filename = filename
        self.content_type = content_type
        self.content = content
        self.content_id = content_id
        """The HTML shows it as `cid:` and this; absent: it is attached."""

    @cached_property
    def part(self) -> bytes:
        """It as a MIME part: headers, an empty line, base64."""
        inline = self.content_id is not None
        lines = [
            b"Content-Type: " + self.content_type.encode("ascii"),
            b"Content-Transfer-Encoding: base64",
            (b"Content-Disposition: inline" if inline else b"Content-Disposition: attachment")
            + parameter("filename", self.filename),
        ]
        if inline:
            lines.append(f"Content-ID: <{self.content_id}>".encode("ascii"))
        lines.append(b"MIME-Version: 1.0\r\n")
        return check_block(b"\r\n".join(lines), len(lines)) + b"\r\n" + base64_lines(self.content)


class Enclosed:
    """The files of one message."""

    def __init__(self, attachments: Sequence[Attachment]) -> None:
        self.attachments = tuple(attachments)
        self.attached = tuple(one.part for one in attachments if one.content_id is None)
        """MIME parts of the attached files."""
        self.inline = tuple(one.part for one in attachments if one.content_id is not None)
        """MIME parts of the images that the HTML shows."""


def guess_type(filename: str) -> str:
    """The media type that a file's name suggests."""
    return mimetypes.guess_type(filename)[0] or "application/octet-stream"


def check_attachment(filename: str, content_type: str, content_id: str | None) -> tuple[str, str] | None:
    """Field and reason of what cannot be; None when all of it can."""
    if not filename.strip() or len(filename) > _LONGEST_NAME or _UNFIT.search(filename):
        return (
            "filename",
            f"is a name of 1 to {_LONGEST_NAME} characters without slashes and control characters",
        )
    if not _TYPE.fullmatch(content_type):
        return "content_type", f"{content_type[:100]!r} is no media type such as 'application/pdf'"
    if content_type.startswith(_STRUCTURED):
        return "content_type", f"{content_type!r} cannot be attached"
    if content_id is not None and not _CONTENT_ID.fullmatch(content_id):
        return "content_id", "is made of ASCII letters, digits and '.', '_', '+', '-'"
    return None
