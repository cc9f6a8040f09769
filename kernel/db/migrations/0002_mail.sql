CREATE TABLE emails (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    status TEXT NOT NULL,
    last_event TEXT NOT NULL,
    message_id TEXT NOT NULL,
    from_text TEXT NOT NULL,
    from_domain TEXT NOT NULL,
    subject TEXT NOT NULL,
    addresses TEXT NOT NULL,
    tags TEXT NOT NULL,
    headers TEXT NOT NULL,
    stream TEXT NOT NULL,
    entrance TEXT NOT NULL,
    actor TEXT NOT NULL,
    recipient_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    scheduled_at BIGINT,
    sent_at BIGINT,
    retry_count BIGINT NOT NULL,
    last_attempted_at BIGINT,
    next_retry_at BIGINT,
    last_error_code TEXT,
    last_error_message TEXT
);
CREATE INDEX emails_by_org ON emails (org_id, id);

CREATE TABLE email_contents (
    email_id TEXT PRIMARY KEY REFERENCES emails (id),
    org_id TEXT NOT NULL,
    html TEXT,
    text TEXT,
    blob_key TEXT
);

CREATE TABLE email_attachments (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    email_id TEXT NOT NULL REFERENCES emails (id),
    position BIGINT NOT NULL,
    filename TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content_id TEXT NOT NULL,
    size BIGINT NOT NULL,
    status TEXT NOT NULL,
    url TEXT,
    blob_key TEXT
);
CREATE INDEX email_attachments_by_email ON email_attachments (email_id, position);

CREATE TABLE recipients (
    email_id TEXT NOT NULL REFERENCES emails (id),
    ordinal BIGINT NOT NULL,
    org_id TEXT NOT NULL,
    address TEXT NOT NULL,
    match_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    version BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    suppression_reason TEXT,
    last_error_code TEXT,
    last_error_message TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (email_id, ordinal)
);

CREATE TABLE queue (
    email_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    org_id TEXT NOT NULL,
    lane BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    first_due_at BIGINT NOT NULL,
    phase BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    throttles BIGINT NOT NULL,
    claims BIGINT NOT NULL,
    uncertain BIGINT NOT NULL,
    reason TEXT NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_fence BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (email_id, ordinal)
);
CREATE INDEX queue_due ON queue (lane, due_at) WHERE lease_until = 0;
CREATE INDEX queue_leased ON queue (lease_fence) WHERE lease_until > 0;

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('lease_fence', 0);

CREATE TABLE attempts (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    email_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    number BIGINT NOT NULL,
    transport TEXT NOT NULL,
    uncertain BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    class TEXT,
    smtp_code BIGINT,
    enhanced_code TEXT,
    message TEXT,
    remote_id TEXT,
    remote_host TEXT,
    remote_address TEXT,
    tls TEXT,
    stale BIGINT NOT NULL,
    transcript TEXT
);
CREATE INDEX attempts_by_email ON attempts (email_id, ordinal, started_at);

CREATE TABLE email_history (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    email_id TEXT NOT NULL,
    ordinal BIGINT,
    created_at BIGINT NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT,
    event_id TEXT,
    ignored BIGINT NOT NULL
);
CREATE INDEX email_history_by_email ON email_history (email_id, id);
