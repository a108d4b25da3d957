-- Answers of calls with a request id, sealed, kept for a day so that a repeat gets the same.
CREATE TABLE request (
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    created INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX request_created ON request (created);

ALTER TABLE endpoint ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
