-- The same tables as on SQLite, and what several servers need beside them. Times are microseconds since the Unix epoch.
-- Keys come from `counter` and are never used twice. Hot tables have no foreign keys.

CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
) WITH (fillfactor = 60);
INSERT INTO counter VALUES ('incarnation', 0), ('tenant', 1), ('endpoint', 0), ('secret', 0), ('event', 0), ('name', 0);

-- The three random keys of this database (ids, fingerprints, tokens), sealed.
CREATE TABLE database_key (
    name TEXT PRIMARY KEY,
    sealed BYTEA NOT NULL
);

CREATE TABLE tenant (
    key BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL
);
INSERT INTO tenant VALUES (1, 'default', 0);

-- One row, locked by every commit: `cfg` is the version of the configuration, raised by every change of what routing or
-- attempts read; `live` are the incarnations that may write.
CREATE TABLE gate (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    cfg BIGINT NOT NULL,
    live BIGINT[] NOT NULL
) WITH (fillfactor = 10);
INSERT INTO gate VALUES (1, 1, '{}');

-- The servers that run, by the names they keep over restarts.
CREATE TABLE replica (
    incarnation BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    beat BIGINT NOT NULL,
    cfg BIGINT NOT NULL
) WITH (fillfactor = 60);

CREATE TABLE endpoint (
    key BIGINT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    url TEXT NOT NULL,
    filter TEXT NOT NULL,
    policy TEXT NOT NULL,
    state BIGINT NOT NULL,
    reason BIGINT NOT NULL,
    since BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX endpoint_of_tenant ON endpoint (tenant, key);

-- One row per change of what routing reads, so that it can be told later why an endpoint did not get an event.
CREATE TABLE endpoint_version (
    endpoint BIGINT NOT NULL,
    cfg BIGINT NOT NULL,
    tenant BIGINT NOT NULL,
    filter TEXT NOT NULL,
    state BIGINT NOT NULL,
    reason BIGINT NOT NULL,
    PRIMARY KEY (endpoint, cfg)
);
CREATE INDEX endpoint_version_of_tenant ON endpoint_version (tenant, endpoint, cfg);

CREATE TABLE endpoint_health (
    endpoint BIGINT PRIMARY KEY,
    generation BIGINT NOT NULL,
    failing_since BIGINT,
    dead_in_row BIGINT NOT NULL,
    last_success_at BIGINT
);

CREATE TABLE secret (
    key BIGINT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    endpoint BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT
);
CREATE INDEX secret_of_endpoint ON secret (endpoint, key);

-- Event types and media types, written once each.
CREATE TABLE name (
    key BIGINT PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE event (
    key BIGINT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    type BIGINT NOT NULL,
    time BIGINT NOT NULL,
    created BIGINT NOT NULL,
    cfg BIGINT NOT NULL,
    content_type BIGINT NOT NULL,
    ping_of BIGINT NOT NULL,
    fanout BIGINT NOT NULL,
    labels BYTEA NOT NULL,
    fingerprint BYTEA NOT NULL,
    payload BYTEA NOT NULL,
    UNIQUE (tenant, id)
);

-- Room in each page for a new version of its rows: the happy path's one update touches no index and stays in its page.
CREATE TABLE delivery (
    event BIGINT NOT NULL,
    endpoint BIGINT NOT NULL,
    state BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    base BIGINT NOT NULL,
    cancel BIGINT NOT NULL DEFAULT 0,
    pos BIGINT,
    ready_at BIGINT,
    lease BIGINT,
    dead_at BIGINT,
    updated BIGINT NOT NULL,
    status BIGINT NOT NULL DEFAULT 0,
    latency BIGINT NOT NULL DEFAULT 0,
    kind BIGINT NOT NULL DEFAULT 0,
    response BYTEA NOT NULL DEFAULT '',
    PRIMARY KEY (event, endpoint)
) WITH (fillfactor = 60);
CREATE INDEX delivery_ready ON delivery (endpoint, ready_at, event) WHERE ready_at IS NOT NULL;
CREATE INDEX delivery_lease ON delivery (lease) WHERE lease IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (endpoint, dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX delivery_of_endpoint ON delivery (endpoint, event);

-- Attempts that failed, were lost, or whose answer is too large for the delivery's row.
CREATE TABLE attempt (
    event BIGINT NOT NULL,
    endpoint BIGINT NOT NULL,
    n BIGINT NOT NULL,
    result BIGINT NOT NULL,
    status BIGINT NOT NULL,
    latency BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    truncated BIGINT NOT NULL,
    detail TEXT NOT NULL,
    response BYTEA NOT NULL,
    PRIMARY KEY (event, endpoint, n)
);

-- Endpoints with unleased work; next_at is never later than the earliest of it.
CREATE TABLE lane (
    endpoint BIGINT PRIMARY KEY,
    next_at BIGINT NOT NULL,
    owner BIGINT NOT NULL DEFAULT 0,
    open_until BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 60);
CREATE INDEX lane_due ON lane (next_at, endpoint) WHERE owner = 0;

-- One row per turn that handed deliveries over, until the last of them settles.
CREATE TABLE handoff (
    batch BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL
);

-- What was committed, in order; one row per commit. Never empty.
CREATE TABLE log (
    seq BIGINT PRIMARY KEY,
    time BIGINT NOT NULL,
    mark BIGINT NOT NULL,
    body BYTEA NOT NULL
);
INSERT INTO log VALUES (1, 1, floor(random() * 4e18)::bigint, '');

-- Passes the gate: the last thing before every commit. It locks the gate's row, so commits are ordered; a statement that
-- had to wait may trust the row it locked. `TD001`: another server has taken over from this one. `TD002`: the
-- configuration has changed since this server read it.
CREATE FUNCTION pass_gate(incarnation BIGINT, expected_cfg BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    present RECORD;
BEGIN
    SELECT cfg, live INTO STRICT present FROM gate WHERE one = 1 FOR UPDATE;
    IF incarnation <> ALL (present.live) THEN
        RAISE EXCEPTION 'incarnation % has been fenced', incarnation USING ERRCODE = 'TD001';
    END IF;
    IF expected_cfg <> present.cfg THEN
        RAISE EXCEPTION 'configuration % is not the present one', expected_cfg USING ERRCODE = 'TD002';
    END IF;
END
$$;

-- Passes the gate and appends a row to the log; returns its number. The log is read after the gate is locked, by a
-- statement of its own with a snapshot of its own, so its numbers have no gap and its times strictly rise.
CREATE FUNCTION append_log(incarnation BIGINT, expected_cfg BIGINT, now BIGINT, mark BIGINT, body BYTEA)
RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    last RECORD;
BEGIN
    PERFORM pass_gate(incarnation, expected_cfg);
    SELECT log.seq, log.time INTO STRICT last FROM log ORDER BY log.seq DESC LIMIT 1;
    INSERT INTO log VALUES (last.seq + 1, greatest(last.time + 1, now), append_log.mark, append_log.body);
    RETURN last.seq + 1;
END
$$;
