CREATE TABLE received_emails (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    created_at BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    from_text TEXT NOT NULL,
    from_key TEXT NOT NULL,
    addresses TEXT NOT NULL,
    subject TEXT NOT NULL,
    sent_at BIGINT,
    in_reply_to TEXT NOT NULL,
    reference_ids TEXT NOT NULL,
    headers TEXT NOT NULL,
    html TEXT,
    text TEXT,
    content_blob_key TEXT,
    raw_blob_key TEXT,
    size BIGINT NOT NULL,
    content_hash TEXT NOT NULL,
    envelope_from TEXT,
    spf TEXT,
    dkim TEXT,
    dmarc TEXT,
    spam BIGINT NOT NULL,
    dmarc_fail BIGINT NOT NULL,
    defects TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_event_id TEXT NOT NULL,
    reply_match_status TEXT NOT NULL,
    thread_id TEXT,
    reply_to_email_id TEXT,
    contact_id TEXT
);
CREATE INDEX received_emails_by_org ON received_emails (org_id, id);

CREATE TABLE received_recipients (
    received_id TEXT NOT NULL REFERENCES received_emails (id),
    position BIGINT NOT NULL,
    org_id TEXT NOT NULL,
    address TEXT NOT NULL,
    match_key TEXT NOT NULL,
    status TEXT NOT NULL,
    domain_id TEXT,
    route_id TEXT,
    route_type TEXT,
    local_part TEXT NOT NULL,
    target_address TEXT,
    PRIMARY KEY (received_id, position)
);

CREATE TABLE received_attachments (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    received_id TEXT NOT NULL REFERENCES received_emails (id),
    filename TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content_id TEXT NOT NULL,
    disposition TEXT NOT NULL,
    size BIGINT NOT NULL,
    blob_key TEXT NOT NULL
);
CREATE INDEX received_attachments_by_email ON received_attachments (received_id, id);
