-- What becomes of deliveries that wait behind an endpoint; 0 stands for none and never. They are held since `held_since`, go
-- out at `drain_rate` thousandths a second if they were due at `activated`, and were skipped if they are pending, last
-- changed before `skipped`, and are of an event up to `skipped_event`; `skipping` says that some of those may still have to be
-- rewritten. `activated_event` is the last event that was published before the activation.
ALTER TABLE endpoint ADD COLUMN held_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint ADD COLUMN drain_rate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint ADD COLUMN activated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint ADD COLUMN activated_event INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint ADD COLUMN skipped_event INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint ADD COLUMN skipping INTEGER NOT NULL DEFAULT 0;
UPDATE endpoint SET held_since = since WHERE state = 2;

-- When it was warned that the endpoint will be disabled, and for which reason; 0 if it was not.
ALTER TABLE endpoint_health ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint_health ADD COLUMN warn_reason INTEGER NOT NULL DEFAULT 0;
