-- Times are microseconds since the Unix epoch. Keys come from `counter` and are never used twice.

CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counter VALUES ('incarnation', 0), ('tenant', 1), ('endpoint', 0), ('secret', 0), ('event', 0), ('name', 0);

-- The three random keys of this database (ids, fingerprints, tokens), sealed.
CREATE TABLE database_key (
    name TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE tenant (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
);
INSERT INTO tenant VALUES (1, 'default', 0);

-- The version of the configuration: raised by every change of what routing or attempts read.
CREATE TABLE gate (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    cfg INTEGER NOT NULL
);
INSERT INTO gate VALUES (1, 1);

CREATE TABLE endpoint (
    key INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    url TEXT NOT NULL,
    filter TEXT NOT NULL,
    policy TEXT NOT NULL,
    state INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    since INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
);
CREATE INDEX endpoint_of_tenant ON endpoint (tenant, key);

-- One row per change of what routing reads, so that it can be told later why an endpoint did not get an event.
CREATE TABLE endpoint_version (
    endpoint INTEGER NOT NULL,
    cfg INTEGER NOT NULL,
    tenant INTEGER NOT NULL,
    filter TEXT NOT NULL,
    state INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    PRIMARY KEY (endpoint, cfg)
) WITHOUT ROWID;
CREATE INDEX endpoint_version_of_tenant ON endpoint_version (tenant, endpoint, cfg);

CREATE TABLE endpoint_health (
    endpoint INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    failing_since INTEGER,
    dead_in_row INTEGER NOT NULL,
    last_success_at INTEGER
);

CREATE TABLE secret (
    key INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER
);
CREATE INDEX secret_of_endpoint ON secret (endpoint, key);

-- Event types and media types, written once each.
CREATE TABLE name (
    key INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE event (
    key INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL,
    type INTEGER NOT NULL,
    time INTEGER NOT NULL,
    created INTEGER NOT NULL,
    cfg INTEGER NOT NULL,
    content_type INTEGER NOT NULL,
    ping_of INTEGER NOT NULL,
    fanout INTEGER NOT NULL,
    labels BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (tenant, id)
);

CREATE TABLE delivery (
    event INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    state INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    base INTEGER NOT NULL,
    cancel INTEGER NOT NULL DEFAULT 0,
    pos INTEGER,
    ready_at INTEGER,
    lease INTEGER,
    dead_at INTEGER,
    updated INTEGER NOT NULL,
    status INTEGER NOT NULL DEFAULT 0,
    latency INTEGER NOT NULL DEFAULT 0,
    kind INTEGER NOT NULL DEFAULT 0,
    response BLOB NOT NULL DEFAULT x'',
    PRIMARY KEY (event, endpoint)
) WITHOUT ROWID;
CREATE INDEX delivery_ready ON delivery (endpoint, ready_at, event) WHERE ready_at IS NOT NULL;
CREATE INDEX delivery_lease ON delivery (lease) WHERE lease IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (endpoint, dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX delivery_of_endpoint ON delivery (endpoint, event);

-- Attempts that failed, were lost, or whose answer is too large for the delivery's row.
CREATE TABLE attempt (
    event INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    n INTEGER NOT NULL,
    result INTEGER NOT NULL,
    status INTEGER NOT NULL,
    latency INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    detail TEXT NOT NULL,
    response BLOB NOT NULL,
    PRIMARY KEY (event, endpoint, n)
) WITHOUT ROWID;

-- Endpoints with unleased work; next_at is never later than the earliest of it.
CREATE TABLE lane (
    endpoint INTEGER PRIMARY KEY,
    next_at INTEGER NOT NULL,
    owner INTEGER NOT NULL DEFAULT 0,
    open_until INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX lane_due ON lane (next_at, endpoint) WHERE owner = 0;

-- One row per turn that handed deliveries over, until the last of them settles.
CREATE TABLE handoff (
    batch INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL
);

-- What was committed, in order; one row per commit. Never empty.
CREATE TABLE log (
    seq INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    body BLOB NOT NULL
);
INSERT INTO log VALUES (1, 1, abs(random() / 2), x'');
