-- The catalogue of a tenant's event types. Events do not refer to it: their types are in `name`.
CREATE TABLE event_type (
    tenant BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
