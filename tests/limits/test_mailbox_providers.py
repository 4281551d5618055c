"""Mailbox providers: known by their mail exchangers, looked up without keeping anybody waiting, sharing limits."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

import dns.exception
import dns.resolver
import pytest
from pydantic import ValidationError

from engine.answers.meanings import Scope
from engine.channels.port import Delivered, Throttled
from engine.limits.config import ChannelLimits, Rate
from engine.limits.effective import EffectiveLimits
from engine.limits.mailbox_providers import (
    MailboxProviders,
    provider_named,
    provider_of_exchangers,
    system_resolver,
)
from state.tables import DomainThrottle

if TYPE_CHECKING:
    from engine.channels.port import Outcome
    from engine.content.message import Message
    from tests.conftest import ManualClock
    from tests.limits.conftest import LimitedBench

GOOGLE = ["aspmx.l.google.com.", "ALT1.ASPMX.L.GOOGLE.COM."]
OUTLOOK = ["shop-de.mail.protection.outlook.com."]


@pytest.mark.parametrize(
    ("exchangers", "provider"),
    [
        (GOOGLE, "google"),
        (OUTLOOK, "microsoft"),
        (["shop.mx.microsoft"], "microsoft"),
        (["mta5.am0.yahoodns.net"], "yahoo"),
        (["mx00.ionos.de", "mx01.ionos.de"], "ionos"),
        (["mx.shop.de"], None),
        (["aspmx.l.google.com", "mx.shop.de"], None),
        (["notgoogle.com"], None),
        (["google.com.evil.org"], None),
        (["."], None),
        ([], None),
    ],
)
def test_a_provider_is_told_by_the_ends_of_its_exchangers_names(exchangers, provider):
    """All of them; whole labels."""
    assert provider == provider_of_exchangers(exchangers)


class Resolver:
    """Answers from a table, and keeps what it was asked."""

    def __init__(self, **table: object) -> None:
        self.table = {domain.replace("_", "."): answer for domain, answer in table.items()}
        self.asked: list[str] = []

    def __call__(self, domain: str) -> list[str]:
        self.asked.append(domain)
        answer = self.table[domain]
        if isinstance(answer, type):
            raise answer
        return answer  # type: ignore[return-value]


def test_a_look_up_keeps_nobody_waiting_and_is_kept():
    """A domain stands for itself until it is answered; what fails is asked again later."""
    now = 0.0
    gate = Event()
    resolver = Resolver(
        shop_de=GOOGLE, gone_de=dns.resolver.NXDOMAIN, slow_de=dns.exception.Timeout, odd_de=UnicodeError
    )

    def find(domain: str) -> list[str]:
        gate.wait(10)
        return resolver(domain)

    providers = MailboxProviders(find, steady=lambda: now)
    for domain in ("shop.de", "gone.de", "slow.de", "odd.de", "shop.de"):
        assert domain == providers.group_of(domain)
    gate.set()
    providers.wait()
    assert "provider:google" == providers.group_of("shop.de")
    assert "shop.de" == providers.group_of("shop.de", alone={"shop.de"})
    assert "gone.de" == providers.group_of("gone.de")
    assert ["shop.de", "gone.de", "slow.de", "odd.de"] == resolver.asked
    now = 700.0
    for domain in ("shop.de", "gone.de", "slow.de"):
        providers.group_of(domain)
    providers.wait()
    assert ["slow.de"] == resolver.asked[4:]
    now = 4000.0
    assert "google" == providers.provider_of("shop.de"), "it stands until it is found anew"
    providers.wait()
    assert "shop.de" in resolver.asked[5:]


def test_names_that_are_nobodys_are_not_asked_for():
    """Nor is anything, where there is no resolver; a provider's own domains are known anyway."""
    resolver = Resolver()
    for providers in (MailboxProviders(resolver), MailboxProviders(None)):
        for domain in ("d1.example", "example.com", "mail.example.org", "host.local", "localhost", "x.test"):
            assert providers.provider_of(domain) is None
        assert "google" == providers.provider_of("gmail.com")
        assert "microsoft" == providers.provider_of("hotmail.com")
    assert MailboxProviders(None).provider_of("shop.de") is None
    assert not resolver.asked


def test_a_resolver_that_is_not_there_is_none(monkeypatch):
    """As in a container without a network."""
    monkeypatch.setattr(
        dns.resolver, "Resolver", lambda **_: (_ for _ in ()).throw(dns.resolver.NoResolverConfiguration)
    )
    assert system_resolver() is None


def test_what_is_known_is_bounded(monkeypatch):
    """In number: any list of addresses may be imported."""
    monkeypatch.setattr("engine.limits.mailbox_providers._KEPT", 10)
    providers = MailboxProviders(lambda _: GOOGLE)
    for number in range(50):
        providers.provider_of(f"d{number}.de")
    providers.wait()
    assert len(providers._known) <= 11


def test_a_limit_may_be_a_providers(clock: ManualClock):
    """Its domains share it; one that is named stands alone; the others have the rate of each domain."""
    rate, other = Rate(messages=10), Rate(messages=3)
    limits = EffectiveLimits(
        uuid4(),
        uuid4(),
        uuid4(),
        domain_rate=other,
        domains={"gmail.com": Rate(messages=1)},
        providers={"google": rate},
    )
    providers = MailboxProviders(None)

    def allowed(domain: str) -> float:
        bucket = limits.domain(limits.group_of(domain, providers), clock.now())
        assert bucket is not None
        return bucket.rate

    assert (1, 10, 3, 3) == tuple(
        map(allowed, ("gmail.com", "googlemail.com", "outlook.com", "shop.example"))
    )
    assert limits.by_domain
    google = limits.domain("provider:google", clock.now())
    assert google is not None
    assert "Google" in google.text


def test_a_provider_that_is_not_known_is_refused():
    """By its name."""
    ChannelLimits.model_validate({"providers": {"google": {"messages": 5}}})
    with pytest.raises(ValidationError, match="'gogle' is no mailbox provider"):
        ChannelLimits.model_validate({"providers": {"gogle": {"messages": 5}}})
    assert provider_named("google") is not None


def test_domains_of_one_provider_share_a_throttle(bench: LimitedBench, clock: ManualClock) -> None:
    """One asks to slow down, and the others of its provider wait as well; those of another go on."""
    for domain in ("gmail.com", "googlemail.com", "outlook.com"):
        for number in range(6):
            bench.entities(1, email=f"p{number}@{domain}")
    campaign = bench.campaign()
    refused = 0

    def answer(message: Message) -> Outcome:
        nonlocal refused
        if message.address.endswith("gmail.com") and refused < 3:
            refused += 1
            return Throttled("SMTP_421", "4.7.28 unusual rate", 60, scope=Scope.PROVIDER)
        return Delivered()

    bench.channel.answer = answer
    bench.activate(campaign)
    bench.work()
    with bench.database.read() as session:
        keys = [row.domain for row in session.query(DomainThrottle)]
    if keys:
        assert ["provider:google"] == keys
    bench.run_out(step=60)  # an answer that was about one recipient alone is tried again after minutes
    assert {"success": 18} == bench.statuses()
