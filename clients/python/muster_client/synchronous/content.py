"""What is sent and by what. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from muster_client.calls import Call, given, part
from muster_client.synchronous.resource import PAGE, Collection, pages
from muster_client.types import (
    Attachment,
    AttachmentWithContent,
    Channel,
    Checked,
    Flow,
    Page,
    Template,
    TemplatePreview,
    TemplateTest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from muster_client.synchronous.resource import Send

__all__ = ["Channels", "Flows", "Templates"]


class Channels(Collection[Channel]):
    """Configured senders. Credentials go in and never come out."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/channel")

    def test(self, channel_id: str) -> Checked:
        """Whether its provider answers and accepts the credentials."""
        call: Call[Checked] = Call("POST", f"{self._one(channel_id)}:test", asks=True)
        return self._send(call)


class Flows(Collection[Flow]):
    """Automation flows."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/flow")


class Templates(Collection[Template]):
    """Message templates, and the files that go with their messages."""

    def __init__(self, send: Send) -> None:
        super().__init__(send, "/v1/template")

    def preview(self, template_id: str, body: Mapping[str, Any]) -> TemplatePreview:
        """What it says to an entity (`entity_id`) or to somebody with these `attributes`."""
        call: Call[TemplatePreview] = Call("POST", f"{self._one(template_id)}:preview", json=body, asks=True)
        return self._send(call)

    def test(
        self, template_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> TemplateTest:
        """Really send one message to an address of your own: `{"to", "channel_id"?, "entity_id"?, "attributes"?}`."""
        call: Call[TemplateTest] = Call("POST", f"{self._one(template_id)}:test", json=body)
        return self._send(call, idempotency_key)

    def list_attachments(self, template_id: str, *, page_size: int = PAGE) -> Iterator[Attachment]:
        """A template's files without what is in them, newest first, a page at a time."""
        path = f"{self._one(template_id)}/attachment"
        call: Call[Page[Attachment]] = Call("GET", path, given(limit=page_size))
        return pages(self._send, call)

    def attach(
        self,
        template_id: str,
        filename: str,
        content: bytes,
        *,
        content_type: str | None = None,
        content_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Attachment:
        """Send a file with every message; `content_id`: an image that its HTML shows as `cid:…`."""
        body = given(
            filename=filename,
            content=b64encode(content).decode(),
            content_type=content_type,
            content_id=content_id,
        )
        call: Call[Attachment] = Call("POST", f"{self._one(template_id)}/attachment", json=body)
        return self._send(call, idempotency_key)

    def get_attachment(self, template_id: str, attachment_id: str) -> AttachmentWithContent:
        """A file with what is in it, in base64."""
        path = f"{self._one(template_id)}/attachment/{part(attachment_id)}"
        call: Call[AttachmentWithContent] = Call("GET", path)
        return self._send(call)

    def detach(self, template_id: str, attachment_id: str, *, idempotency_key: str | None = None) -> None:
        """Take a file away."""
        path = f"{self._one(template_id)}/attachment/{part(attachment_id)}"
        call: Call[None] = Call("DELETE", path)
        self._send(call, idempotency_key)
