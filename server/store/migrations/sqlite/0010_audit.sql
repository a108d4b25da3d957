-- Who changed what. `tenant` is a public id, for tenants are deleted and their entries are not; empty if there is none. `actor` is
-- 1 for a stored key, 2 for the one that the server was given, 3 for the server itself; `caller` is the key's id without its
-- prefix, empty for the server. `resources` and `fields` are JSON arrays.
CREATE TABLE audit_entry (
    key INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    actor INTEGER NOT NULL,
    caller TEXT NOT NULL,
    tenant TEXT NOT NULL,
    method TEXT NOT NULL,
    resources TEXT NOT NULL,
    resource_count INTEGER NOT NULL,
    fields TEXT NOT NULL,
    remote TEXT NOT NULL,
    request_id TEXT NOT NULL
);
CREATE INDEX audit_entry_at ON audit_entry (time, key);
CREATE INDEX audit_entry_of_caller ON audit_entry (caller, time, key);
CREATE INDEX audit_entry_of_tenant ON audit_entry (tenant, time, key);
CREATE INDEX audit_entry_of_method ON audit_entry (method, time, key);
INSERT INTO counter VALUES ('audit_entry', 0);
