DROP INDEX queue_due;
CREATE INDEX queue_due ON queue (lane, due_at) WHERE lease_until = 0 AND phase <> 5;
CREATE INDEX queue_turns ON queue (lane, org_id, due_at) WHERE lease_until = 0 AND phase <> 5;

ALTER TABLE queue ADD COLUMN routes TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN route TEXT;
