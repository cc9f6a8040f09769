ALTER TABLE webhook_attempts ADD COLUMN tls_version TEXT NOT NULL DEFAULT '';
ALTER TABLE webhook_attempts ADD COLUMN headers TEXT NOT NULL DEFAULT '';
ALTER TABLE webhook_attempts ADD COLUMN url_host TEXT NOT NULL DEFAULT '';
DROP INDEX webhook_attempts_by_delivery;
CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (org_id, delivery_id, number);
CREATE INDEX webhook_attempts_by_event ON webhook_attempts (org_id, webhook_id, event_id, id);

DROP INDEX webhook_deliveries_due;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (org_id, webhook_id, due_at, id)
    WHERE status = 'pending' AND lease_until = 0;
DROP INDEX webhook_deliveries_by_webhook;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (org_id, webhook_id, id);
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (org_id, webhook_id, event_id, id);
CREATE INDEX webhook_deliveries_held ON webhook_deliveries (org_id, webhook_id)
    WHERE lease_until > 0;

CREATE TABLE webhook_queues (
    webhook_id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    due_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failing_since BIGINT,
    proven BIGINT NOT NULL,
    probe_id TEXT
);
CREATE INDEX webhook_queues_due ON webhook_queues (due_at);
CREATE INDEX webhook_queues_open ON webhook_queues (org_id, webhook_id) WHERE probe_id IS NOT NULL;
INSERT INTO webhook_queues (webhook_id, org_id, due_at, failures, failing_since, proven, probe_id)
    SELECT id, org_id, 0, 0, NULL, 0, NULL FROM webhooks;

CREATE TABLE webhook_replays (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    webhook_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    since_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    after_sequence BIGINT NOT NULL,
    types TEXT NOT NULL,
    statuses TEXT NOT NULL,
    remaining BIGINT NOT NULL,
    last_event_id TEXT NOT NULL
);
