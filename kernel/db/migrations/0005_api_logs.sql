CREATE TABLE api_logs (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    created_at BIGINT NOT NULL,
    endpoint TEXT NOT NULL,
    method TEXT NOT NULL,
    status BIGINT NOT NULL,
    user_agent TEXT NOT NULL,
    key_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    duration_ms BIGINT NOT NULL,
    replayed BIGINT NOT NULL,
    email_ids TEXT NOT NULL,
    tags TEXT NOT NULL,
    request_body TEXT,
    response_body TEXT
);
CREATE INDEX api_logs_by_org ON api_logs (org_id, id);
CREATE INDEX api_logs_by_age ON api_logs (created_at);
