-- Small durable values of plugins: one space for each instance.
CREATE TABLE plugin_kv (
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    value {blob} NOT NULL,
    bytes BIGINT NOT NULL,
    version BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (space, name)
);
