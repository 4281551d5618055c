"""What is kept and what is rendered from it: time zones and files come along, and workers hear of changes."""

from __future__ import annotations

import base64

from engine.campaigns import attachments, templates
from engine.content.stored import compile_content, compile_stored
from engine.kernel.inputs import read
from engine.organization_settings import OrganizationChange, update_organization
from state.tables import Template

AT = {"at": "2026-03-02T22:30:00Z", "language": "de"}


def test_dates_follow_the_organizations_time_zone_and_workers_hear_of_it(database, org_id, clock):
    with database.begin() as session:
        given = {"name": "t", "text": "{{ at | time: 'short' }}"}
        template_id = templates.create_template(session, org_id, read(templates.TemplateInput, given)).id
    shown = []
    stamps = []
    for zone in (None, "Europe/Berlin", "Asia/Tokyo"):
        clock.forward(seconds=1)
        with database.begin() as session:
            update_organization(session, org_id, read(OrganizationChange, {"time_zone": zone}))
        with database.read() as session:
            row = session.get_one(Template, template_id)
            stamps.append(row.updated_at)
            shown.append(compile_stored(session, row).render(AT).text)
            own = compile_content(session, org_id, {"text": "{{ at | time: 'short' }}"}).render(AT).text
            assert own == shown[-1]
    assert shown == ["22:30", "23:30", "07:30"]
    assert len(set(stamps)) == 3


def test_files_come_with_their_template_in_every_language(database, org_id):
    with database.begin() as session:
        given = {"name": "t", "text": "x", "translations": {"de": {"text": "y"}}}
        row = templates.create_template(session, org_id, read(templates.TemplateInput, given))
        for name, content_id in (("a.pdf", None), ("b.png", "b")):
            file = {
                "filename": name,
                "content": base64.b64encode(name.encode()).decode(),
                "content_id": content_id,
            }
            attachments.create_attachment(session, org_id, row.id, read(attachments.AttachmentInput, file))
    with database.read() as session:
        template = compile_stored(session, session.get_one(Template, row.id))
    for language in ("de", "en"):
        enclosed = template.render({"language": language}).enclosed
        assert enclosed is not None
        assert [(one.filename, one.content, one.content_id) for one in enclosed.attachments] == [
            ("a.pdf", b"a.pdf", None),
            ("b.png", b"b.png", "b"),
        ]
        assert (len(enclosed.attached), len(enclosed.inline)) == (1, 1)
