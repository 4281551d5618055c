"""`POST /v1/inbound/mail/{channel}`: events of mail providers are believed when proven, taken once, and classified."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from engine.inbound.mail_events.sns import certificate_url, subscribe_url
from engine.organizations import create_organization
from state.tables import Channel
from tests.tracking.mail_posters import CERTIFICATE_URL, NAMES, POSTERS, AmazonSes, Poster

if TYPE_CHECKING:
    import httpx

    from tests.tracking.world import Mailing

ADA, BO = "ada@x.example", "bo@x.example"
KINDS = sorted(POSTERS)


class Pages:
    """Amazon's pages, of which one is a certificate."""

    def __init__(self, certificate: bytes) -> None:
        self.pages = {CERTIFICATE_URL: certificate}
        self.asked: list[str] = []

    async def certificate(self, url: str) -> bytes | None:
        return self.pages.get(url)

    async def get(self, url: str) -> bytes | None:
        self.asked.append(url)
        return b""


class Line:
    """A channel, and its provider."""

    def __init__(self, world: Mailing, campaign_id: UUID, poster: Poster) -> None:
        self.world, self.campaign_id, self.poster = world, campaign_id, poster
        self.channel_id = world.channel(poster.kind, settings=poster.settings, credentials=poster.credentials)
        self.people = world.sent(campaign_id, ADA, BO)
        world.api.clock.forward(hours=1)
        if isinstance(poster, AmazonSes):
            self.pages = Pages(poster.certificate)
            world.api.app.state.amazon_pages = self.pages

    @property
    def now(self) -> Any:
        return self.world.api.database.clock.now()

    def marks(self, who: int = 0) -> dict[str, str]:
        return {
            "muster_campaign_id": str(self.campaign_id),
            "muster_recipient_id": str(self.people[who]),
            "muster_execution_id": str(uuid4()),
        }

    def said(self, name: str, who: int = 0, marks: dict[str, str] | None = None) -> Any:
        given = self.marks(who) if marks is None else marks
        return self.poster.event(name, given, (ADA, BO)[who], self.now)

    def post(self, headers: dict[str, str], body: bytes, channel_id: Any = None) -> httpx.Response:
        path = f"/v1/inbound/mail/{channel_id or self.channel_id}"
        return self.world.client.post(path, content=body, headers={"authorization": "", **headers})

    def tell(self, said: Any) -> dict[str, int]:
        answer = self.post(*self.poster.signed(said, self.now))
        assert 200 == answer.status_code, answer.text
        return {name: count for name, count in answer.json().items() if count}


@pytest.fixture(params=KINDS)
def line(request, world, campaign_id):
    return Line(world, campaign_id, POSTERS[request.param]())


def line_of(kind: str, world: Mailing, campaign_id: UUID) -> Line:
    return Line(world, campaign_id, POSTERS[kind]())


@pytest.mark.parametrize("name", NAMES)
def test_what_happened_is_put_on_its_recipient(line, name):
    said = line.said(name)
    if said is None:
        pytest.skip("the provider has no such event")
    assert {"accepted": 1} == line.tell(said)
    kind = "bounced" if name == "blocked" else name
    (found,) = line.world.engagements(line.campaign_id)
    assert (kind, line.people[0], "email") == (found.kind, found.entity_id, found.channel)
    barred = {"bounced": "hard_bounce", "complained": "complaint", "unsubscribed": "unsubscribe"}
    expected = [(ADA, barred[name])] if name in barred else []
    assert expected == line.world.suppressed(), "a refusal that is not the address's fault bars nobody"


def test_an_event_is_taken_once(line):
    headers, body = line.poster.signed(line.said("bounced"), line.now)
    told = [line.post(headers, body).json() for _ in range(2)]
    assert [(1, 0), (0, 1)] == [(one["accepted"], one["duplicate"]) for one in told]
    assert 1 == len(line.world.engagements(line.campaign_id))


def test_without_marks_an_address_is_barred_all_the_same(line):
    """A message that was not ours, over the same account."""
    assert {"accepted": 1} == line.tell(line.said("complained", marks={}))
    assert [(ADA, "complaint")] == line.world.suppressed()
    assert {} == line.tell(line.said("delivered", marks={}))
    assert [] == line.world.engagements(line.campaign_id)


def test_what_is_about_nobody_is_ignored(line):
    marks = {**line.marks(), "muster_recipient_id": str(uuid4())}
    assert {"ignored": 1} == line.tell(line.said("delivered", marks=marks))
    assert {"rejected": 1} == line.tell(line.said("delivered", marks={**marks, "muster_recipient_id": "x"}))


def test_a_stranger_learns_nothing(line):
    """Whatever is wrong, it is the same 401, and nothing is taken."""
    headers, body = line.poster.signed(line.said("bounced"), line.now)
    other = POSTERS[line.poster.kind]()
    other.credentials = {name: f"{value}AAAA" for name, value in other.credentials.items()}
    forged = other.signed(line.said("bounced"), line.now)
    if line.poster.kind == "resend":  # whose key is the same in every one
        forged = ({**headers, "svix-signature": "v1,AAAA"}, body)
    unkept = line.world.channel(line.poster.kind, settings=line.poster.settings, credentials={"api_key": "k"})
    smtp = line.world.channel("smtp", settings={})
    attempts = [
        line.post({}, json.dumps(line.said("bounced")).encode()),
        line.post(*forged),
        line.post(headers, body, uuid4()),
        line.post(headers, body, "no-id"),
        line.post(headers, body, smtp),
        line.post({}, b"\xff\x00"),
        line.post({}, b"[[1"),
        line.post({}, b""),
    ]
    if line.poster.kind != "ses":  # whose proof is the topic
        attempts.append(line.post(headers, body, unkept))
    if line.poster.kind not in ("mailgun", "postmark"):  # which do not sign what they say
        attempts.append(line.post(headers, body.replace(b"bounce", b"bounse").replace(b"Bounce", b"Bounse")))
    assert {401} == {one.status_code for one in attempts}
    assert 1 == len({one.text for one in attempts})
    assert [] == line.world.suppressed()


def test_what_was_signed_long_ago_is_not_believed(line):
    if line.poster.kind == "postmark":
        pytest.skip("Postmark signs nothing")
    for age in (timedelta(hours=25), timedelta(minutes=-6)):
        headers, body = line.poster.signed(line.said("bounced"), line.now - age)
        assert 401 == line.post(headers, body).status_code
    headers, body = line.poster.signed(line.said("read"), line.now - timedelta(hours=20))
    assert 200 == line.post(headers, body).status_code


def test_another_organizations_recipient_is_out_of_reach(line):
    with line.world.api.database.begin() as session:
        session.get_one(Channel, line.channel_id).org_id = create_organization(session, "strangers").id
    assert {"ignored": 1} == line.tell(line.said("bounced"))
    assert [] == line.world.engagements(line.campaign_id)
    assert [] == line.world.suppressed()


def test_whatever_a_provider_says_is_no_fault_of_the_server(line):
    odd: list[Any] = [None, 7, "x", [], {}, [None, 7, {"event": []}, {"event": "bounce"}], {"event-data": 5}]
    odd += [{"type": [], "data": 3}, {"RecordType": {}}, {"type": "email.bounced", "data": {"bounce": 1}}]
    odd += [{"RecordType": "Bounce", "Type": None, "Metadata": []}, {"event-data": {"event": ["failed"]}}]
    if line.poster.kind == "ses":
        odd = [line.poster.notification(said) for said in odd]
    if line.poster.kind == "mailgun":
        odd = [said for said in odd if isinstance(said, dict)]
    for said in odd:
        answer = line.post(*line.poster.signed(said, line.now))
        assert answer.status_code in (200, 400), answer.text
    assert [] == line.world.engagements(line.campaign_id)


def test_a_delivery_of_many_events_is_taken_as_a_whole(world, campaign_id):
    line = line_of("sendgrid", world, campaign_id)
    said = [one for who in (0, 1) for name in NAMES for one in line.said(name, who)]
    assert {"accepted": 2 * len(NAMES)} == line.tell(said)
    assert [(ADA, "hard_bounce"), (BO, "hard_bounce")] == world.suppressed()


@pytest.mark.parametrize(
    ("reason", "kind", "barred"),
    [
        ("Bounced Address", "bounced", "hard_bounce"),
        ("Invalid", "bounced", None),
        ("Unsubscribed Address", "unsubscribed", "unsubscribe"),
        ("Spam Reporting Address", "complained", "complaint"),
    ],
)
def test_what_sendgrid_drops_is_what_its_list_says(world, campaign_id, reason, kind, barred):
    line = line_of("sendgrid", world, campaign_id)
    (said,) = line.said("bounced")
    del said["type"], said["status"]
    line.tell([{**said, "event": "dropped", "reason": reason}])
    assert [kind] == [one.kind for one in world.engagements(campaign_id)]
    assert ([(ADA, barred)] if barred else []) == world.suppressed()


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("SoftBounce", "bounced"),
        ("DnsError", "delayed"),
        ("AutoResponder", None),
        ("SpamNotification", "complained"),
        ("Unsubscribe", "unsubscribed"),
        ("NewType", "bounced"),
    ],
)
def test_postmarks_types_of_bounces(world, campaign_id, type_, kind):
    line = line_of("postmark", world, campaign_id)
    line.tell({**line.said("blocked"), "Type": type_})
    assert ([kind] if kind else []) == [one.kind for one in world.engagements(campaign_id)]


def test_resends_tags_may_be_as_they_were_sent(world, campaign_id):
    line = line_of("resend", world, campaign_id)
    said = line.said("read")
    said["data"]["tags"] = [{"name": name, "value": value} for name, value in said["data"]["tags"].items()]
    assert {"accepted": 1} == line.tell(said)


def test_amazons_topic_is_confirmed_when_it_is_the_channels(world, campaign_id):
    line = line_of("ses", world, campaign_id)
    assert isinstance(line.poster, AmazonSes)
    url = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    said = line.poster.notification({}, Type="SubscriptionConfirmation", Token="t", SubscribeURL=url)
    del said["Subject"]
    assert {} == line.tell(said)
    assert [url] == line.pages.asked
    other = {**said, "TopicArn": f"{line.poster.topic}-of-somebody"}
    assert 401 == line.post(*line.poster.signed(other, line.now)).status_code
    elsewhere = {**said, "SubscribeURL": "https://sns.evil.example/"}
    assert {} == line.tell(elsewhere)
    assert [url] == line.pages.asked


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "http://sns.eu-central-1.amazonaws.com/x.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.eu-central-1.amazonaws.com",
        "https://sns.eu-central-1.amazonaws.com@evil.example/x.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/x.pem",
        "https://s3.eu-central-1.amazonaws.com/x.pem",
        "https://sns.eu-central-1.amazonaws.com/x.pem\r\nX: y",
        "https://[::1/x.pem",
    ],
)
def test_nothing_is_asked_for_elsewhere_than_at_amazon(url):
    said = json.dumps(
        {"TopicArn": "t", "SigningCertURL": url, "SubscribeURL": url, "Type": "SubscriptionConfirmation"}
    ).encode()
    assert certificate_url(said, "t") is None
    assert subscribe_url(said) is None


def test_a_certificate_is_asked_for_only_by_the_channels_topic():
    said = json.dumps({"TopicArn": "t", "SigningCertURL": CERTIFICATE_URL}).encode()
    assert CERTIFICATE_URL == certificate_url(said, "t")
    assert certificate_url(said, "other") is None
    assert certificate_url(said, None) is None
