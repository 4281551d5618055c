"""The servers that channels talk to."""

from __future__ import annotations

import pytest

from tests.channels.api_provider import ApiProvider
from tests.channels.certificate import self_signed
from tests.channels.smtp_rig import SmtpRig


@pytest.fixture
def smtp():
    """Makes rigs, and ends their servers."""
    rigs = []

    def make(**options):
        rigs.append(SmtpRig(**options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture(scope="session")
def _providers(tmp_path_factory):
    """Dialect → its server, started when it is first asked for."""
    started = {}

    def of(dialect):
        if dialect not in started:
            started[dialect] = ApiProvider(tmp_path_factory.mktemp(dialect), dialect).start()
        return started[dialect]

    yield of
    for server in started.values():
        server.close()


@pytest.fixture
def provider(_providers):
    """Gives the server that speaks a dialect, healthy and with an empty journal."""

    def of(dialect):
        server = _providers(dialect)
        server.forget()
        return server

    return of


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, trusted by nobody: (server's context, file to trust)."""
    return self_signed(tmp_path_factory.mktemp("tls"))
