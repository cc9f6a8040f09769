ALTER TABLE domains ADD COLUMN record_states TEXT NOT NULL DEFAULT '[]';
ALTER TABLE domains ADD COLUMN ed25519_verified BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN return_path_verified BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN sending_failing_since BIGINT;
ALTER TABLE domains ADD COLUMN receiving_failing_since BIGINT;
ALTER TABLE domains ADD COLUMN check_started_at BIGINT;
ALTER TABLE domains ADD COLUMN next_check_at BIGINT;
ALTER TABLE domains ADD COLUMN check_wanted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN check_done BIGINT NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN check_requester TEXT;
ALTER TABLE domains ADD COLUMN check_owner TEXT;
ALTER TABLE domains ADD COLUMN check_until BIGINT NOT NULL DEFAULT 0;
DROP INDEX domains_one_holder;
CREATE UNIQUE INDEX domains_one_holder ON domains (name)
    WHERE sending_verified = 1 OR receiving_verified = 1;
CREATE INDEX domains_by_next_check ON domains (next_check_at);
CREATE INDEX domains_by_name ON domains (name, id);

CREATE TABLE domain_claims (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    domain_id TEXT NOT NULL,
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    status TEXT NOT NULL,
    proof TEXT NOT NULL,
    blocked_reason TEXT,
    blocked_until BIGINT,
    failure_reason TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    proven_at BIGINT,
    next_check_at BIGINT,
    check_wanted BIGINT NOT NULL,
    check_done BIGINT NOT NULL,
    check_owner TEXT,
    check_until BIGINT NOT NULL
);
CREATE INDEX domain_claims_by_domain ON domain_claims (org_id, domain_id, id);
CREATE INDEX domain_claims_by_next_check ON domain_claims (next_check_at);
