"""An smtp channel and a server on loopback that it talks to."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import SMTP
from uuid import UUID

from engine.channels import registry
from tests.channels.http_rig import LOOPBACK, SILENCE, SILENT
from tests.servers.smtp import SmtpServer

__all__ = ["SETTINGS", "SmtpRig"]

SETTINGS = {
    "host": "127.0.0.1",
    "security": "none",
    "from_email": "news@muster.example",
    "helo": "client.example",
    "concurrency": 5,
}


class SmtpRig:
    """`settings` and `credentials` are the channel's, the rest are the server's options."""

    def __init__(self, *, settings=None, credentials=None, **options):
        self._options = options
        self._past = []
        self.server = SmtpServer(**options).__enter__()
        self.settings = {**SETTINGS, "port": self.server.port, **(settings or {})}
        self.credentials = credentials or {}
        self._scenario = "healthy"

    def channel(self):
        return registry.build("smtp", self.patient_settings(), self.credentials, LOOPBACK)

    def patient_settings(self):
        """The channel's settings; a silent server is waited for a short time, by all messages at once."""
        if self._scenario not in SILENT:
            return self.settings
        silence = {"command_timeout": SILENCE, "data_timeout": SILENCE}
        return {**silence, **self.settings, "concurrency": 25}

    def arrange(self, scenario):
        self._scenario = scenario
        server = self.server
        server.heal()
        match scenario:
            case "healthy" if not server.running:
                self._past += server.messages
                self.server = SmtpServer(port=server.port, **self._options).__enter__()
            case "slow":
                server.delay(0.05)
            case "permanent":
                server.rule("rcpt", "550 5.1.1 no such user")
            case "transient":
                server.rule("rcpt", "450 4.2.0 try again later")
            case "throttled":
                server.rule("mail", "421 4.7.0 too many messages")
            case "down":
                self.close()
            case "reset":
                server.rule("data", "reset")
            case "accepted_in_silence":
                server.rule("message", "accept, stall")

    @property
    def messages(self):
        """What arrived, parsed."""
        return [message_from_bytes(taken.raw, policy=SMTP) for taken in [*self._past, *self.server.messages]]

    def accepted(self):
        return [UUID(parsed["Message-ID"].strip("<>").partition(".")[0]) for parsed in self.messages]

    def close(self):
        if self.server.running:
            self.server.__exit__(None, None, None)
