-- Styles of endpoints, secrets per scheme, headers of an endpoint's own, notes on bodies.

ALTER TABLE endpoint ADD COLUMN style TEXT NOT NULL DEFAULT '{}';
ALTER TABLE endpoint ADD COLUMN header_names TEXT NOT NULL DEFAULT '[]';

-- The names and values of an endpoint's own headers, sealed together; endpoints without any have no row.
CREATE TABLE endpoint_header (
    endpoint BIGINT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    sealed BYTEA NOT NULL
);

-- `form` says how the key is read. `begins` is NULL for what signs from its creation on, and the greatest time there is for
-- what waits to be activated.
ALTER TABLE secret ADD COLUMN scheme TEXT NOT NULL DEFAULT 'standard';
ALTER TABLE secret ADD COLUMN form BIGINT NOT NULL DEFAULT 2;
ALTER TABLE secret ADD COLUMN begins BIGINT;

ALTER TABLE attempt ADD COLUMN note BIGINT NOT NULL DEFAULT 0;
