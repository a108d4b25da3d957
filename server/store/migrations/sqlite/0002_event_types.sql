-- The catalogue of a tenant's event types. Events do not refer to it: their types are in `name`.
CREATE TABLE event_type (
    tenant INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
