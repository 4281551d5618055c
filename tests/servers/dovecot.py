"""A real server of mailboxes (Dovecot) in a folder of its own: IMAP, POP3 where there is one, plain and over TLS."""

from __future__ import annotations

import imaplib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.harness.waiting import wait_until

__all__ = ["Dovecot", "is_installed"]

#: Of every mailbox; any name has one.
PASSWORD = "a-pass"
_CONFIGURATION = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
listen = 127.0.0.1
protocols = {protocols}
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
mail_location = maildir:{home}/mail/%u
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u allow_all_users=yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


def is_installed(protocol: str = "imap") -> bool:
    """Whether there is one on this machine that speaks `imap` or `pop3` (Debian: dovecot-imapd, dovecot-pop3d)."""
    return shutil.which("dovecot") is not None and Path("/usr/lib/dovecot", protocol).exists()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Dovecot:
    """The server, for the length of a block.

    Args:
        certificate: A file of a certificate for 127.0.0.1; its key is beside it, `key.pem`.
    """

    def __init__(self, certificate: Path) -> None:
        # Mail is never read as root; whoever does it then must reach the folder.
        owner = pwd.getpwuid(os.geteuid() or pwd.getpwnam("nobody").pw_uid)
        self.home = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.ports = {name: _free_port() for name in ("imap", "imaps", "pop3", "pop3s")}
        user = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "dovenull"
        for name in ("mail", "run", "state"):
            (self.home / name).mkdir()
        for name, source in (("certificate", certificate), ("key", certificate.with_name("key.pem"))):
            shutil.copy(source, self.home / name)
        self.home.chmod(0o755)
        os.chown(self.home / "mail", owner.pw_uid, owner.pw_gid)
        configuration = self.home / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                home=self.home,
                protocols=" ".join(filter(is_installed, ("imap", "pop3"))),
                user=user,
                group=_group_of(user),
                uid=owner.pw_uid,
                gid=owner.pw_gid,
                password=PASSWORD,
                certificate=self.home / "certificate",
                key=self.home / "key",
                **self.ports,
            )
        )
        self._process = subprocess.Popen(
            ["dovecot", "-F", "-c", str(configuration)], stderr=subprocess.DEVNULL
        )
        try:
            wait_until(self._answers, "dovecot answers", deadline=60)
        except BaseException:
            print(self._log())  # noqa: T201 - for whoever reads why it failed
            self.close()
            raise

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports["imap"]), timeout=1) as one:
            return one.recv(4) == b"* OK"
        return False

    def _log(self) -> str:
        with suppress(OSError):
            return (self.home / "log").read_text()
        return ""

    def connect(self, user: str) -> imaplib.IMAP4:
        """A client of one mailbox, logged in."""
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"])
        client.login(user, PASSWORD)
        return client

    def deliver(self, user: str, *messages: bytes) -> None:
        """Put messages into a mailbox."""
        client = self.connect(user)
        for raw in messages:
            assert client.append("INBOX", None, None, raw)[0] == "OK"
        client.logout()

    def folders(self, user: str) -> dict[str, list[str]]:
        """Folders of a mailbox, and the flags of each message in them."""
        client = self.connect(user)
        found: dict[str, list[str]] = {}
        for line in client.list()[1]:
            name = _text(line).partition(' "." ')[2].strip('"')
            _, count = client.select(f'"{name}"', readonly=True)
            lines = client.fetch("1:*", "(FLAGS)")[1] if count != [b"0"] else []
            found[name] = [
                _text(flags).partition("FLAGS (")[2].partition(")")[0].replace("\\Recent", "").strip()
                for flags in lines
                if flags is not None
            ]
        client.logout()
        return found

    def close(self) -> None:
        """End it. Safe to call twice."""
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self.home, ignore_errors=True)


def _group_of(user: str) -> str:
    import grp  # noqa: PLC0415

    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def _text(line: bytes | tuple[bytes, bytes] | None) -> str:
    """A line of an answer, which has no literal."""
    assert isinstance(line, bytes), line
    return line.decode()
