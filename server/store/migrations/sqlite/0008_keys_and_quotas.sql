-- Keys that calls are made with: a tenant's, or, with none, an operator's. `scopes` is a set of bits, `hash` the SHA-256 of the
-- secret. A key that is revoked has no row.
CREATE TABLE api_key (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant INTEGER,
    display_name TEXT NOT NULL,
    scopes INTEGER NOT NULL,
    hash BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER
);
CREATE INDEX api_key_tenant ON api_key (tenant, key);
INSERT INTO counter VALUES ('api_key', 0);

-- How much a tenant may ask for; NULL is as much as there is.
ALTER TABLE tenant ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN endpoints_max INTEGER;
ALTER TABLE tenant ADD COLUMN pending_max INTEGER;
ALTER TABLE tenant ADD COLUMN events_rate INTEGER;
ALTER TABLE tenant ADD COLUMN events_burst INTEGER;
ALTER TABLE tenant ADD COLUMN bytes_rate INTEGER;
