"""Complaints: which feedback is a person's, and providers that have a form of their own."""

from __future__ import annotations

import pytest

from engine.inbound.mail_reading import read_inbound_mail
from tests.tracking.letters import answer, attached, block, complaint, delivery_report, original

ID = "<1.2@muster.example>"


def the_report(raw: bytes):
    mail = read_inbound_mail(raw)
    (report,) = mail.reports
    return mail.kind, report.traces.message_ids, [(one.kind, one.addresses) for one in report.recipients]


@pytest.mark.parametrize("kind", ["abuse", "fraud", "other", "Abuse (by a person)", "OPT-OUT", "abuse; x"])
def test_a_complaint_says_about_whom(kind: str) -> None:
    said = "unsubscribed" if kind == "OPT-OUT" else "complained"
    expected = ("complaint", (ID,), [(said, ("ada@x.example",))])
    assert expected == the_report(complaint(kind, returned=original(message_id=ID)))
    assert expected == the_report(complaint(kind, returned=original(message_id=ID), rcpt=None))


@pytest.mark.parametrize(
    "kind", ["not-spam", "auth-failure", "virus", "dkim", "dmarc", "miscategorized", "something-new", ""]
)
def test_feedback_that_is_no_persons_is_no_complaint(kind: str) -> None:
    assert ("other", (ID,), []) == the_report(complaint(kind, returned=original(message_id=ID)))


def test_microsofts_form_and_others_of_providers() -> None:
    returned = original(message_id=ID)
    jmrp = attached(
        "X-HmXmrOriginalRecipient: ada@x.example\n" + returned, sender="staff@hotmail.com", subject="x"
    )
    by_subject = attached(
        returned,
        sender="complaints@email-abuse.amazonses.com",
        subject="Complaint about message from 192.0.2.9",
    )
    for raw in (jmrp, by_subject):
        assert ("complaint", (ID,), [("complained", ("ada@x.example",))]) == the_report(raw)


def test_whoever_forwards_a_report_hands_in_what_it_holds() -> None:
    bounced = delivery_report(block(), returned=original(message_id=ID)).decode().replace("\r\n", "\n")
    kind, ids, recipients = the_report(attached(bounced, sender="it@shop.example", subject="Fwd: look"))
    assert ("bounce", (ID,), [("bounced", ("ada@x.example",))]) == (kind, ids, recipients)
    complained = complaint(returned=original(message_id=ID)).decode().replace("\r\n", "\n")
    assert "complaint" == the_report(attached(complained, sender="it@shop.example", subject="Fwd"))[0]


def test_several_reports_in_one_message_are_each_about_their_own() -> None:
    one, two = (
        delivery_report(block(f"{name}@x.example"), returned=original(message_id=f"<{name}@m.example>"))
        .decode()
        .replace("\r\n", "\n")
        for name in ("ada", "bo")
    )
    mail = read_inbound_mail(attached(one, two, sender="it@shop.example", subject="Fwd"))
    assert [(("<ada@m.example>",), ("ada@x.example",)), (("<bo@m.example>",), ("bo@x.example",))] == [
        (report.traces.message_ids, report.recipients[0].addresses) for report in mail.reports
    ]


def test_a_person_who_attaches_our_message_to_an_answer_still_answers() -> None:
    raw = attached(original(message_id=ID), sender="ada@x.example", subject="Re: Spring", in_reply_to=ID)
    assert "reply" == read_inbound_mail(raw).kind
    assert "reply" == read_inbound_mail(answer(ID)).kind
