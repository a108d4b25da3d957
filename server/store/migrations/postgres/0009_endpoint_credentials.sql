-- Credentials by which the server is known to endpoints. What may be shown of them stands with the endpoint.
ALTER TABLE endpoint ADD COLUMN credentials TEXT NOT NULL DEFAULT '{}';

-- All of them, sealed together; endpoints without any have no row.
CREATE TABLE endpoint_credentials (
    endpoint BIGINT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    sealed BYTEA NOT NULL
);
