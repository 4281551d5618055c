"""Tables of the baselines: Muster's as they were when each recipient was written three times.

They are written down here and do not follow the product's: a baseline that moves compares nothing. People, the campaign
and its flow are Muster's own (schema public).
"""

from __future__ import annotations

import psycopg

__all__ = ["create_tables"]

_TABLES = """
CREATE TABLE job (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES public.organization,
    campaign_id uuid NOT NULL REFERENCES public.campaign,
    kind varchar(16) NOT NULL,
    status varchar(16) NOT NULL,
    held boolean NOT NULL,
    "window" integer NOT NULL,
    target_ids jsonb NOT NULL,
    planned boolean NOT NULL,
    checkpoint jsonb,
    total integer NOT NULL,
    success integer NOT NULL,
    failed integer NOT NULL,
    cancelled integer NOT NULL,
    in_progress integer NOT NULL DEFAULT 0,
    slices_total integer NOT NULL,
    slices_done integer NOT NULL,
    touched_at timestamptz,
    report jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX ON job (status) WHERE status IN ('queued', 'processing', 'send_report');
CREATE INDEX ON job (org_id, campaign_id, created_at);

CREATE TABLE slice (
    job_id uuid NOT NULL REFERENCES job,
    number integer NOT NULL,
    state varchar(8) NOT NULL,
    size integer NOT NULL,
    due_at timestamptz NOT NULL,
    woken_at timestamptz,
    lease_epoch integer NOT NULL,
    lease_expires_at timestamptz,
    lease_owner varchar(128),
    first_entity uuid NOT NULL,
    last_entity uuid NOT NULL,
    claimed_first uuid,
    claimed_last uuid,
    in_progress integer NOT NULL,
    success integer NOT NULL,
    failed integer NOT NULL,
    cancelled integer NOT NULL,
    target_id uuid,
    org_id uuid NOT NULL REFERENCES public.organization,
    PRIMARY KEY (job_id, number)
);
CREATE INDEX ON slice (job_id, woken_at) WHERE state <> 'done' AND woken_at IS NOT NULL;
CREATE INDEX ON slice (lease_expires_at) WHERE state = 'leased';
CREATE INDEX ON slice (job_id, due_at, number) WHERE state = 'ready';

CREATE TABLE delivery_hour (
    campaign_id uuid NOT NULL REFERENCES public.campaign,
    hour timestamptz NOT NULL,
    touchpoint_id uuid NOT NULL,
    variant varchar(64) NOT NULL,
    target_id uuid NOT NULL,
    sent integer NOT NULL,
    failed integer NOT NULL,
    cancelled integer NOT NULL,
    cost double precision NOT NULL DEFAULT 0,
    org_id uuid NOT NULL REFERENCES public.organization,
    PRIMARY KEY (campaign_id, hour, touchpoint_id, variant, target_id)
);

CREATE TABLE recipient (
    campaign_id uuid NOT NULL,
    entity_id uuid NOT NULL,
    org_id uuid NOT NULL,
    entity_schema varchar(64) NOT NULL,
    title text NOT NULL,
    job_id uuid,
    slice_number integer,
    automation_status varchar(12),
    execution_id uuid,
    attempt integer NOT NULL,
    in_flight boolean NOT NULL,
    due_at timestamptz,
    error_code varchar(64),
    error_text text,
    step integer NOT NULL DEFAULT 0,
    touchpoint_id uuid,
    sent_at timestamptz,
    variant varchar(64),
    target_id uuid,
    portal_status varchar(12),
    portal_state jsonb,
    email_status varchar(12),
    email_bounce_type varchar(12),
    email_feedback jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    stage varchar(64),
    deleted_at timestamptz,
    ai_label varchar(16),
    PRIMARY KEY (campaign_id, entity_id)
);
CREATE INDEX ON recipient (job_id, slice_number, entity_id);
CREATE INDEX ON recipient (campaign_id, portal_status, entity_id) WHERE portal_status IS NOT NULL;
CREATE INDEX ON recipient (campaign_id, stage, created_at, entity_id) WHERE stage IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX ON recipient (campaign_id, created_at, entity_id) WHERE stage IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX ON recipient (campaign_id, created_at, entity_id) WHERE deleted_at IS NOT NULL;
CREATE INDEX ON recipient (campaign_id, ai_label, entity_id) WHERE ai_label IS NOT NULL AND deleted_at IS NULL;
"""

#: Each layout's own: what makes an update of the status write four indexes, and what lets it stay on its page.
_LAYOUTS = {
    "raw": """
CREATE INDEX ON recipient (campaign_id, automation_status, entity_id);
CREATE INDEX ON recipient (campaign_id, error_code) WHERE automation_status = 'failed';
CREATE INDEX ON recipient (campaign_id, automation_status) WHERE job_id IS NULL;
CREATE INDEX ON recipient (campaign_id, email_status, entity_id, automation_status) WHERE email_status IS NOT NULL;
""",
    "lean": """
ALTER TABLE recipient SET (fillfactor = 50);
CREATE INDEX ON recipient (campaign_id, error_code) WHERE error_code IS NOT NULL;
CREATE INDEX ON recipient (campaign_id, email_status, entity_id) WHERE email_status IS NOT NULL;
""",
}


def create_tables(url: str, layout: str) -> str:
    """Create the tables in a schema named like the layout, `raw` or `lean`.

    Args:
        url: Of libpq.

    Returns:
        The URL by which a connection finds them first, and Muster's after them.
    """
    own = f"{url}?options=-csearch_path%3D{layout}%2Cpublic"
    with psycopg.connect(own) as connection:
        connection.execute(f"CREATE SCHEMA {layout}".encode())
        connection.execute((_TABLES + _LAYOUTS[layout]).encode())
    return own
