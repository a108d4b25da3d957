-- Schemas and deprecation of event types; whether a tenant's payloads are checked. `version` is the configuration version that
-- last changed a row, 0 for none. `updated` of a tenant is NULL until it is changed.

ALTER TABLE event_type ADD COLUMN schema TEXT NOT NULL DEFAULT '';
ALTER TABLE event_type ADD COLUMN deprecated BIGINT NOT NULL DEFAULT 0;
ALTER TABLE event_type ADD COLUMN version BIGINT NOT NULL DEFAULT 0;

ALTER TABLE tenant ADD COLUMN schema_check BIGINT NOT NULL DEFAULT 1;
ALTER TABLE tenant ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tenant ADD COLUMN updated BIGINT;
