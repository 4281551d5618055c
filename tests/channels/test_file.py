"""The file channel: what it writes, and what happens when the disk does not take it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import threading
from email import message_from_bytes
from email.policy import SMTP
from uuid import UUID, uuid4

import pytest

from engine.channels import file as file_module
from engine.channels import registry
from engine.channels.file import FileChannel, FileCredentials, FileSettings
from engine.channels.port import ChannelContext, Delivered, Doubtful, Down
from engine.channels.registry import InvalidChannel
from engine.content.message import Content
from muster_testing.channels import CAMPAIGN, Conformance, Report, message, messages, run, send_and_close


class FileRig:
    def __init__(self, root, **settings):
        self.root = root
        self.settings = settings

    def channel(self):
        return FileChannel(FileSettings(**self.settings), FileCredentials(), ChannelContext(self.root.parent))

    def arrange(self, scenario):
        if scenario == "down":
            shutil.rmtree(self.root, ignore_errors=True)
            self.root.write_bytes(b"a file where a directory should be")
        elif self.root.is_file():
            self.root.unlink()

    def lines(self):
        return [
            json.loads(line)
            for path in sorted(self.root.glob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]

    def accepted(self):
        if self.root.is_file():
            return []
        return [UUID(line["execution_id"]) for line in self.lines()] + [
            UUID(path.stem) for path in self.root.glob("*/*.eml")
        ]


class TestLines(Conformance):
    scenarios = frozenset({"healthy", "down"})

    @pytest.fixture
    def rig(self, tmp_path):
        return FileRig(tmp_path / "outbox")


class TestEml(Conformance):
    scenarios = frozenset({"healthy", "down"})

    @pytest.fixture
    def rig(self, tmp_path):
        return FileRig(tmp_path / "outbox", format="eml", fsync=True)


@pytest.fixture
def rig(tmp_path):
    return FileRig(tmp_path / "outbox")


def test_a_line_says_everything(rig):
    content = Content("Grüße", "text", "<p>html</p>", "a@x.org", "Ada")
    sent = message(content=content, unsubscribe_url="https://u.example/1")
    run(send_and_close(rig.channel(), [sent, message(content=Content(text="only"))]))
    first, second = rig.lines()
    assert first.pop("at") > 1.7e9
    assert first == {
        "execution_id": str(sent.execution_id),
        "campaign_id": str(CAMPAIGN),
        "entity_id": str(sent.entity_id),
        "address": "ada@x.org",
        "subject": "Grüße",
        "text": "text",
        "html": "<p>html</p>",
        "sender_email": "a@x.org",
        "sender_name": "Ada",
        "unsubscribe_url": "https://u.example/1",
    }
    assert "html" not in second


def test_each_campaign_has_its_file(rig):
    wave = [message(campaign_id=campaign) for campaign in (uuid4(), uuid4()) for _ in range(3)]
    run(send_and_close(rig.channel(), wave))
    for sent in wave:
        assert len(rig.channel().path_of(sent.campaign_id).read_text().splitlines()) == 3


def test_an_eml_file_is_a_message_and_a_repeat_replaces_it(tmp_path):
    rig = FileRig(tmp_path / "outbox", format="eml", from_email="news@x.org")
    sent = message(content=Content("Grüße", "text"))
    for _ in range(2):
        outcome = run(send_and_close(rig.channel(), [sent])).outcomes[sent.execution_id]
    (path,) = tmp_path.glob("outbox/*/*")
    assert outcome == Delivered(str(path))
    parsed = message_from_bytes(path.read_bytes(), policy=SMTP)
    assert (parsed["Subject"], parsed["From"]) == ("Grüße", "news@x.org")


def test_an_eml_needs_an_address_and_a_line_needs_none(tmp_path):
    attributes = {"_id": "17", "name": "Ada"}
    assert FileRig(tmp_path / "outbox").channel().address_of(attributes) == "17"
    assert FileRig(tmp_path / "outbox", format="eml").channel().address_of(attributes) is None
    assert FileRig(tmp_path / "outbox", format="eml").channel().address_of({"Email": "A@x.org"}) == "a@x.org"


def test_a_disk_that_fills_up_takes_whole_lines_only(rig, monkeypatch):
    wave, room = messages(10), 2000
    real = os.write

    def full(handle, data):
        return real(handle, data[:room])

    monkeypatch.setattr(os, "write", full)
    report = run(send_and_close(rig.channel(), wave))
    written = rig.accepted()
    assert 0 < len(written) < 10
    assert written == [item.execution_id for item in wave[: len(written)]]
    assert report.with_outcome(Delivered) == set(written)
    assert {outcome.code for outcome in report.outcomes.values() if isinstance(outcome, Down)} == {
        "FILE_FULL"
    }
    monkeypatch.undo()
    run(send_and_close(rig.channel(), wave[len(written) :]))
    assert rig.accepted() == [item.execution_id for item in wave]


@pytest.mark.parametrize("form", ["jsonl", "eml"])
@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_refuses_is_down(tmp_path, monkeypatch, form, trouble):
    rig = FileRig(tmp_path / "outbox", format=form)

    def refuse(*_args, **_options):
        raise OSError(trouble, os.strerror(trouble))

    monkeypatch.setattr(os, "write", refuse)
    if form == "eml":
        monkeypatch.setattr(file_module, "open_private", refuse)
    report = run(send_and_close(rig.channel(), messages(4)))
    assert report.kinds == {"Down": 4}
    assert {outcome.text.partition(":")[0] for outcome in report.outcomes.values()} == {os.strerror(trouble)}


def test_many_writers_never_mix_their_lines(rig):
    waves = [messages(50) for _ in range(20)]

    async def go():
        channels = [rig.channel() for _ in range(5)]
        reports = [Report() for _ in waves]
        await asyncio.gather(
            *(
                channels[number % 5].send(wave, report, threading.Event())
                for number, (wave, report) in enumerate(zip(waves, reports, strict=True))
            )
        )

    run(go())
    assert len(set(rig.accepted())) == len(rig.accepted()) == 1000


def test_a_cancelled_write_is_in_doubt(rig, monkeypatch):
    wave, report = messages(10), Report()
    begun, go_on = threading.Event(), threading.Event()
    real = os.write

    def slow(handle, data):
        begun.set()
        go_on.wait(60)
        return real(handle, data)

    monkeypatch.setattr(os, "write", slow)

    async def go():
        task = asyncio.create_task(rig.channel().send(wave, report, threading.Event()))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        await asyncio.wait([task])
        go_on.set()

    run(go())
    report.assert_complete(wave)
    assert report.with_outcome(Doubtful) == {item.execution_id for item in wave}
    assert len(rig.accepted()) == 10


@pytest.mark.parametrize("directory", ["/etc", "../x", "a/../../b", "a\\b", "a\0"])
def test_a_directory_lies_within_the_outbox(directory):
    with pytest.raises(InvalidChannel, match=r"settings\.directory: lies within the outbox"):
        registry.build("file", {"directory": directory}, {})


def test_a_directory_of_its_own(tmp_path):
    rig = FileRig(tmp_path / "outbox", directory="spring/sale")
    run(send_and_close(rig.channel(), messages(1)))
    assert [path.name for path in (tmp_path / "outbox" / "spring" / "sale").iterdir()] == [
        f"{CAMPAIGN}.jsonl"
    ]


@pytest.mark.parametrize("form", ["jsonl", "eml"])
def test_files_and_folders_are_their_owners(tmp_path, form):
    before = os.umask(0)
    try:
        rig = FileRig(tmp_path / "outbox", directory="a/b", format=form)
        run(send_and_close(rig.channel(), messages(1)))
    finally:
        os.umask(before)
    made = list((tmp_path / "outbox").rglob("*"))
    assert any(path.is_file() for path in made)
    assert {(path.is_dir(), path.stat().st_mode & 0o777) for path in made} == {(True, 0o700), (False, 0o600)}
