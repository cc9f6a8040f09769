-- Numbers of rate-limit buckets that an operator set, and the processes that share this database.
ALTER TABLE orgs ADD COLUMN rate_limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE api_keys ADD COLUMN rate_limits TEXT NOT NULL DEFAULT '{}';

CREATE TABLE node_heartbeats (
    node_id TEXT PRIMARY KEY,
    roles TEXT NOT NULL,
    jobs TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
