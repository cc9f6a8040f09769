CREATE TABLE orgs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    timezone TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE instance_keys (
    purpose TEXT NOT NULL,
    kid BIGINT NOT NULL,
    material TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (purpose, kid)
);

CREATE TABLE domains (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    sending_verified BIGINT NOT NULL,
    receiving_verified BIGINT NOT NULL,
    forced BIGINT NOT NULL,
    region TEXT NOT NULL,
    sending TEXT NOT NULL,
    receiving TEXT NOT NULL,
    open_tracking BIGINT NOT NULL,
    click_tracking BIGINT NOT NULL,
    tracking_subdomain TEXT,
    reply_tracking BIGINT NOT NULL,
    tls TEXT NOT NULL,
    return_path TEXT NOT NULL,
    selector TEXT NOT NULL,
    dkim_private_rsa TEXT NOT NULL,
    dkim_private_ed25519 TEXT NOT NULL,
    dkim_public_rsa TEXT NOT NULL,
    dkim_public_ed25519 TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_checked_at BIGINT
);
CREATE UNIQUE INDEX domains_by_org_name ON domains (org_id, name);
CREATE UNIQUE INDEX domains_one_holder ON domains (name) WHERE sending_verified = 1;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    name TEXT NOT NULL,
    permission TEXT NOT NULL,
    domain_id TEXT,
    expires_at BIGINT,
    allowed_ips TEXT NOT NULL,
    token_preview TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at BIGINT,
    last_used_at BIGINT,
    last_used_address TEXT
);
CREATE INDEX api_keys_by_org ON api_keys (org_id, id);

CREATE TABLE api_credentials (
    ref TEXT PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    org_id TEXT NOT NULL REFERENCES orgs (id),
    mac {blob} NOT NULL,
    pepper_kid BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE idempotency_records (
    org_id TEXT NOT NULL REFERENCES orgs (id),
    family TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status BIGINT NOT NULL,
    response TEXT NOT NULL,
    sealed BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, family, idempotency_key)
);
CREATE INDEX idempotency_by_age ON idempotency_records (created_at);

CREATE TABLE suppressions (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id),
    match_key TEXT NOT NULL,
    email TEXT NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT NOT NULL,
    source_email_id TEXT,
    note TEXT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX suppressions_by_key ON suppressions (org_id, match_key);
