ALTER TABLE suppressions ADD COLUMN source_event_id TEXT;
ALTER TABLE suppressions ADD COLUMN source_message_id TEXT;
ALTER TABLE suppressions ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE suppressions ADD COLUMN updated_at BIGINT;
CREATE INDEX suppressions_by_org ON suppressions (org_id, id);
