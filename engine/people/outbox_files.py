"""Messages to a person that `file` channels wrote: taken out of the outbox.

A line is overwritten where it stands by one of the same length that says that it was erased, so that lines keep their
places, workers go on appending, and a crash leaves a whole file; a mail is a file of its own and is removed. What a
reader of the outbox has carried elsewhere is the reader's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from engine.channels.file import FileChannel, FileCredentials, FileSettings
from engine.channels.port import ChannelContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any
    from uuid import UUID

    from engine.people.person import Person

__all__ = ["erase_messages"]

_ERASED = b'{"erased":true}'


def erase_messages(
    data_dir: Path,
    settings: Mapping[str, Any],
    campaign_id: UUID,
    execution_ids: Iterable[UUID],
    person: Person,
) -> int:
    """Take a person's messages of one campaign out of one channel's files; returns how many.

    Args:
        data_dir: Where the outbox of this machine is.
        settings: The channel's.
        campaign_id: The campaign.
        execution_ids: Executions of the person's there.
        person: Who is erased.

    Raises:
        OSError: a file is there and cannot be written.
    """
    channel = FileChannel(FileSettings(**settings), FileCredentials(), ChannelContext(data_dir))
    path = channel.path_of(campaign_id)
    if path.suffix == ".jsonl":
        return _blank_lines(path, _marks(person)) if path.is_file() else 0
    mails = [path / f"{execution_id}.eml" for execution_id in execution_ids]
    there = [mail for mail in mails if mail.exists()]
    for mail in there:
        mail.unlink(missing_ok=True)
    return len(there)


def _marks(person: Person) -> list[bytes]:
    return [str(person.entity_id).encode(), *(one.address.encode() for one in person.addresses)]


def _blank_lines(path: Path, marks: list[bytes]) -> int:
    found = 0
    with path.open("r+b") as file:
        at = 0
        for line in file:
            if line.endswith(b"\n") and any(mark in line for mark in marks):
                os.pwrite(file.fileno(), _ERASED.ljust(len(line) - 1), at)
                found += 1
            at += len(line)
        if found:
            os.fsync(file.fileno())
    return found
