"""The `file` channel: messages go to a directory, one file a campaign. The default of a fresh installation.

`jsonl` appends one line per message to `CAMPAIGN.jsonl`; a wave is one `write` to a file opened for appending
and locked meanwhile, so that lines of several workers never mix. `eml` writes `CAMPAIGN/EXECUTION.eml`, under
another name first, so that there is no half message and a repeat replaces itself. A line names the execution:
a reader who finds it twice keeps one.

What the disk does not take (full, no permission, gone) makes the channel Down; a line that was written in
part is taken back. The page cache is trusted unless `fsync` is set: a power cut may lose what was Delivered
shortly before.

Channels are configured by customers, so a directory lies within `data_dir/outbox` and nowhere else. Files and folders
are made for the account that the worker runs under, and nobody else.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict

from config.private_files import make_private_folder, open_private
from engine.channels.port import Delivered, Down, Outcome, Rejected
from engine.channels.wave import INTERRUPTED, Wave
from engine.content.mime import MimeBuilder
from engine.kernel.media import AddressMedium, address_finder
from engine.kernel.phone_numbers import Region  # noqa: TC001 - pydantic reads it

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Event
    from uuid import UUID

    from engine.channels.port import ChannelContext, Report
    from engine.content.message import Content, Message

__all__ = ["FileChannel", "FileCredentials", "FileSettings"]

_OUTBOX = "outbox"
_DELIVERED = Delivered()


def _within(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\0" in value or "\\" in value:
        raise ValueError("lies within the outbox: a relative path without '..'")
    return value


class FileSettings(BaseModel):
    """The `settings` of a channel of kind `file`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    directory: Annotated[str, AfterValidator(_within)] = ""
    """Within `data_dir/outbox`."""
    format: Literal["jsonl", "eml"] = "jsonl"
    fsync: bool = False
    """Wait for the disk: nothing that was Delivered is lost to a power cut, and it takes milliseconds."""
    medium: AddressMedium | None = None
    """What the addresses are: email, phone, chat or other (any text). Absent: e-mail addresses, and for `jsonl` the
    entity's id where there is none."""
    address: str | None = None
    """Where an entity keeps its address; absent: any usual name of the medium, else of an e-mail address."""
    region: Region | None = None
    """Of `medium: phone`: where numbers without a country code are from."""
    from_email: str = "muster@localhost"
    """Of the From header of `eml`, where the template names no sender."""


class FileCredentials(BaseModel):
    """There are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FileChannel:
    """Writes messages to files."""

    kind: ClassVar[str] = "file"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = True
    Settings = FileSettings
    Credentials = FileCredentials

    def __init__(
        self,
        settings: FileSettings,
        credentials: FileCredentials,  # noqa: ARG002 - every kind is made from both
        channel_context: ChannelContext,
    ) -> None:
        """Prepare; the directory is made with the first message.

        Raises:
            ValueError: `from_email` is no address.
        """
        self.in_one_piece = settings.format == "jsonl"
        self._settings = settings
        self._data_dir = channel_context.data_dir
        self.medium = settings.medium
        medium = settings.medium or AddressMedium.EMAIL
        self._find = address_finder(medium, settings.address, settings.region)
        self._or_id = settings.medium is None and settings.format == "jsonl"
        self._mime = MimeBuilder(sender_email=settings.from_email)

    @property
    def _directory(self) -> Path:
        if self._data_dir is None:
            raise RuntimeError("the channel was built without a data directory")
        return self._data_dir / _OUTBOX / self._settings.directory

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:  # noqa: ARG003
        """A file takes everything."""
        return []

    def path_of(self, campaign_id: UUID) -> Path:
        """Where a campaign's messages are: a file of lines, or a directory of `.eml` files."""
        name = str(campaign_id)
        return self._directory / (name if self._settings.format == "eml" else f"{name}.jsonl")

    def address_of(self, attributes: Mapping[str, Any]) -> str | None:
        """The address; of a `jsonl` without a medium, which is for anybody, else the entity's id (`_id`)."""
        found = self._find(attributes)
        return attributes.get("_id") if found is None and self._or_id else found

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """Write a wave; see the port."""
        wave = Wave(self.kind, messages, report, stop)
        write = self._write_eml if self._settings.format == "eml" else self._append
        size = 1 if self._settings.format == "eml" else len(messages)
        try:
            while batch := _take(wave, size):
                outcomes = await asyncio.to_thread(write, batch)
                for message, outcome in zip(batch, outcomes, strict=True):
                    wave.settle(message, outcome)
                if isinstance(outcomes[-1], Down):
                    wave.settle_waiting(outcomes[-1])
        finally:
            wave.end(INTERRUPTED, "the wave was cancelled")

    async def check(self) -> str | None:
        """Write a file and remove it again; None, or what is wrong."""
        try:
            await asyncio.to_thread(self._probe)
        except OSError as error:
            return f"{_down(error).code}: {error}"
        return None

    async def close(self) -> None:
        """Nothing to give back."""

    def _append(self, batch: list[Message]) -> list[Outcome]:
        """Append lines; returns an outcome for each. Messages of several campaigns go to their own files."""
        outcomes: dict[int, Outcome] = {}
        campaigns: dict[UUID, list[Message]] = {}
        for message in batch:
            campaigns.setdefault(message.campaign_id, []).append(message)
        for campaign_id, messages in campaigns.items():
            lines = [_line(message) for message in messages]
            written = 0
            refused: Outcome | None = None
            try:
                make_private_folder(self._directory)
                written = self._append_whole(self.path_of(campaign_id), lines)
            except OSError as error:
                refused = _down(error)
            if refused is None and written < len(lines):
                refused = Down("FILE_FULL", "the disk took only a part")
            for position, message in enumerate(messages):
                outcomes[id(message)] = (refused or _DELIVERED) if position >= written else _DELIVERED
        return [outcomes[id(message)] for message in batch]

    def _append_whole(self, path: Path, lines: list[bytes]) -> int:
        """How many lines the disk took; nothing of the next one is left."""
        handle = open_private(path, os.O_APPEND | os.O_WRONLY)
        try:
            _lock(handle)
            before = os.fstat(handle).st_size
            taken = os.write(handle, b"".join(lines))
            written = 0
            for line in lines:
                if len(line) > taken:
                    os.ftruncate(handle, before)
                    break
                taken -= len(line)
                before += len(line)
                written += 1
            if self._settings.fsync:
                os.fsync(handle)
            return written
        finally:
            os.close(handle)  # and with it the lock

    def _write_eml(self, batch: list[Message]) -> list[Outcome]:
        return [self._write_one(message) for message in batch]

    def _write_one(self, message: Message) -> Outcome:
        try:
            raw = self._mime.build(message)
        except ValueError as error:
            return Rejected("CONTENT_INVALID", str(error))
        directory = self.path_of(message.campaign_id)
        path = directory / f"{message.execution_id}.eml"
        draft = directory / f".{message.execution_id}.part"
        try:
            make_private_folder(directory)
            with os.fdopen(open_private(draft, os.O_WRONLY | os.O_TRUNC), "wb") as file:
                file.write(raw)
                if self._settings.fsync:
                    file.flush()
                    os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            _discard(draft)
            return _down(error)
        return Delivered(str(path))

    def _probe(self) -> None:
        make_private_folder(self._directory)
        path = self._directory / f".probe-{os.getpid()}"
        os.close(open_private(path, os.O_WRONLY))
        path.unlink()


def _take(wave: Wave, size: int) -> list[Message]:
    batch: list[Message] = []
    while len(batch) < size and (message := wave.take()) is not None:
        wave.sent(message)  # a thread that writes cannot be called back
        batch.append(message)
    return batch


def _line(message: Message) -> bytes:
    line = {**message.as_dict(), "at": time.time()}
    return orjson.dumps({name: value for name, value in line.items() if value is not None}) + b"\n"


def _lock(handle: int) -> None:
    """Until the handle is closed: a torn line can be taken back if nobody else has appended meanwhile."""
    if sys.platform != "win32":
        fcntl.flock(handle, fcntl.LOCK_EX)


def _down(error: OSError) -> Down:
    return Down("FILE_ERROR", f"{error.strerror or error}: {error.filename or 'the file'}")


def _discard(path: Path) -> None:
    with suppress(OSError):  # the disk that refused to write may refuse this as well
        path.unlink(missing_ok=True)
