CREATE TABLE audit_heads (
    org_id TEXT PRIMARY KEY REFERENCES orgs (id),
    sequence BIGINT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE audit_log (
    org_id TEXT NOT NULL REFERENCES orgs (id),
    sequence BIGINT NOT NULL,
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    action TEXT NOT NULL,
    target_type TEXT NOT NULL,
    target_id TEXT NOT NULL,
    actor_type TEXT NOT NULL,
    actor_id TEXT,
    entry TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (org_id, sequence)
);
CREATE UNIQUE INDEX audit_log_by_id ON audit_log (org_id, id);
