CREATE TABLE events (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    type TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    subject_id TEXT NOT NULL,
    data TEXT NOT NULL,
    dedupe_key TEXT NOT NULL,
    sequence BIGINT
);
CREATE UNIQUE INDEX events_by_dedupe ON events (org_id, dedupe_key);
CREATE UNIQUE INDEX events_by_sequence ON events (org_id, sequence) WHERE sequence IS NOT NULL;
CREATE INDEX events_unsequenced ON events (org_id, id) WHERE sequence IS NULL;

CREATE TABLE event_sequences (
    org_id TEXT PRIMARY KEY REFERENCES orgs (id),
    last BIGINT NOT NULL
);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    endpoint TEXT NOT NULL,
    event_types TEXT NOT NULL,
    status TEXT NOT NULL,
    description TEXT,
    signing_secret TEXT NOT NULL,
    signing_secret_prev TEXT,
    prev_expires_at BIGINT,
    disabled_reason TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX webhooks_by_org ON webhooks (org_id, id);

CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_fence BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at)
    WHERE status = 'pending' AND lease_until = 0;
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (lease_until) WHERE lease_until > 0;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, id);

CREATE TABLE webhook_attempts (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    http_status BIGINT NOT NULL,
    error TEXT,
    remote_address TEXT,
    response TEXT NOT NULL
);
CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (delivery_id, number);
