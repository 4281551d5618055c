"""A real mail server (Postfix) in a folder of its own that takes so many messages a client in a unit of time.

Over that it answers MAIL with `450 4.7.1 Error: too much mail from 127.0.0.1` (anvil(8)), the commands that were
pipelined behind it with 503, and everything after twenty errors of a session with 421. What it takes it discards.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.harness.ports import free_port
from tests.harness.waiting import wait_until

__all__ = ["Postfix", "is_installed"]

_PROGRAMS = Path("/usr/lib/postfix/sbin")
#: What ships: the services that main.cf of no distribution changes.
_SERVICES = Path("/usr/share/postfix/master.cf.dist")
_CONFIGURATION = """
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
daemon_directory = {programs}
myhostname = mx.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_transport = discard
default_transport = discard
smtpd_client_message_rate_limit = {messages}
smtpd_client_event_limit_exceptions =
anvil_rate_time_unit = {unit}s
maillog_file = {home}/data/log
maillog_file_prefixes = {home}
"""
_TAKEN = re.compile(r"postfix/discard\[\d+\]: \w+: to=<([^>]*)>, .* status=sent")
_QUEUED = re.compile(r"postfix/qmgr\[\d+\]: \w+: from=<[^>]*>, .*queue active")
_TOO_MUCH = re.compile(r"Message delivery request rate limit exceeded")


def is_installed() -> bool:
    """Whether there is one on this machine (Debian: postfix); it is started by root only."""
    return _SERVICES.exists() and (_PROGRAMS / "master").exists() and os.geteuid() == 0


class Postfix:
    """The server, for the length of a block.

    Args:
        messages: A client may send in one unit.
        unit: Seconds.
    """

    def __init__(self, *, messages: int, unit: int) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.home.chmod(0o755)
        self.port = free_port()
        for name in ("conf", "spool", "data"):
            (self.home / name).mkdir()
        shutil.chown(self.home / "data", "postfix")
        (self.home / "conf" / "main.cf").write_text(
            _CONFIGURATION.format(home=self.home, programs=_PROGRAMS, messages=messages, unit=unit)
        )
        services = re.sub(
            r"^smtp +inet .*$", f"{self.port} inet n - n - - smtpd", _SERVICES.read_text(), flags=re.MULTILINE
        )
        not_locked_up = re.sub(
            r"^(\w+ +(?:unix|unix-dgram) +\S +\S +)y", r"\1n", services, flags=re.MULTILINE
        )
        (self.home / "conf" / "master.cf").write_text(not_locked_up)
        self._process = subprocess.Popen(
            ["postfix", "-c", str(self.home / "conf"), "start-fg"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(self._answers, "Postfix answers", deadline=60)
        except BaseException:
            print(self._log())  # noqa: T201 - for whoever reads why it failed
            self.close()
            raise

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as one:
            return one.recv(4) == b"220 "
        return False

    def _log(self) -> str:
        with suppress(OSError):
            return (self.home / "data" / "log").read_text()
        return ""

    def told(self) -> dict[str, object]:
        """What it took, once everything in its queue is delivered, and how often it refused."""
        wait_until(lambda: self._is_idle(self._log()), "Postfix has delivered what it took")
        log = self._log()
        return {"taken": _TAKEN.findall(log), "refused": len(_TOO_MUCH.findall(log))}

    @staticmethod
    def _is_idle(log: str) -> bool:
        return len(_QUEUED.findall(log)) == len(_TAKEN.findall(log))

    def close(self) -> None:
        """End it. Safe to call twice."""
        subprocess.run(["postfix", "-c", str(self.home / "conf"), "stop"], capture_output=True, check=False)
        self._process.wait(20)
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
