//! Every table and column that is copied, as data. What one database alone has stands here as well: `gate.live` is begun
//! empty, and the servers in `replica` are not copied.

use std::fmt::Write as _;

/// A table that both databases have.
#[derive(Debug)]
pub(super) struct Table {
    /// What it is called.
    pub(super) name: &'static str,
    /// How many of its columns, from the first on, are its primary key.
    pub(super) key: usize,
    /// Its columns.
    pub(super) columns: &'static [Column],
    /// Whether a database that nobody has used has rows of it.
    pub(super) born_filled: bool,
    /// A column that Postgres alone has, and what it begins with there.
    pub(super) added: Option<(&'static str, &'static str)>,
}

/// A column of such a table.
#[derive(Debug)]
pub(super) struct Column {
    /// What it is called.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// Whether it may be NULL.
    pub(super) nullable: bool,
}

/// What a column holds, whatever the database calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// Integers of 64 bits.
    Integer,
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Bytes,
}

/// All tables.
pub(super) const TABLES: &[Table] = &[
    table("counter", 1, &[text("name"), integer("value")]).born_filled(),
    table("database_key", 1, &[text("name"), bytes("sealed")]),
    table(
        "tenant",
        1,
        &[
            integer("key"),
            text("id"),
            integer("created"),
            integer("schema_check"),
            integer("version"),
            integer("updated").nullable(),
            text("display_name"),
            integer("endpoints_max").nullable(),
            integer("pending_max").nullable(),
            integer("events_rate").nullable(),
            integer("events_burst").nullable(),
            integer("bytes_rate").nullable(),
        ],
    )
    .born_filled(),
    table(
        "api_key",
        1,
        &[
            integer("key"),
            text("id"),
            integer("tenant").nullable(),
            text("display_name"),
            integer("scopes"),
            bytes("hash"),
            integer("created"),
            integer("expires").nullable(),
        ],
    ),
    Table {
        added: Some(("live", "'{}'::bigint[]")),
        ..table("gate", 1, &[integer("one"), integer("cfg")]).born_filled()
    },
    table(
        "endpoint",
        1,
        &[
            integer("key"),
            integer("tenant"),
            text("display_name"),
            text("description"),
            text("url"),
            text("filter"),
            text("policy"),
            integer("state"),
            integer("reason"),
            integer("since"),
            integer("generation"),
            integer("version"),
            integer("created"),
            integer("updated"),
            text("style"),
            text("header_names"),
            text("labels"),
            integer("held_since"),
            integer("drain_rate"),
            integer("activated"),
            integer("activated_event"),
            integer("skipped"),
            integer("skipped_event"),
            integer("skipping"),
            text("credentials"),
        ],
    ),
    table(
        "endpoint_version",
        2,
        &[integer("endpoint"), integer("cfg"), integer("tenant"), text("filter"), integer("state"), integer("reason")],
    ),
    table(
        "endpoint_health",
        1,
        &[
            integer("endpoint"),
            integer("generation"),
            integer("failing_since").nullable(),
            integer("dead_in_row"),
            integer("last_success_at").nullable(),
            integer("warned"),
            integer("warn_reason"),
        ],
    ),
    table("endpoint_header", 1, &[integer("endpoint"), integer("tenant"), bytes("sealed")]),
    table("endpoint_credentials", 1, &[integer("endpoint"), integer("tenant"), bytes("sealed")]),
    table(
        "secret",
        1,
        &[
            integer("key"),
            integer("tenant"),
            integer("endpoint"),
            bytes("sealed"),
            integer("created"),
            integer("expires").nullable(),
            text("scheme"),
            integer("form"),
            integer("begins").nullable(),
        ],
    ),
    table(
        "event_type",
        2,
        &[
            integer("tenant"),
            text("name"),
            text("description"),
            integer("created"),
            integer("updated"),
            text("schema"),
            integer("deprecated"),
            integer("version"),
        ],
    ),
    table("request", 2, &[integer("tenant"), text("id"), bytes("fingerprint"), integer("created"), bytes("sealed")]),
    table(
        "audit_entry",
        1,
        &[
            integer("key"),
            integer("time"),
            integer("actor"),
            text("caller"),
            text("tenant"),
            text("method"),
            text("resources"),
            integer("resource_count"),
            text("fields"),
            text("remote"),
            text("request_id"),
        ],
    ),
    table("name", 1, &[integer("key"), text("text")]),
    table(
        "event",
        1,
        &[
            integer("key"),
            integer("tenant"),
            text("id"),
            integer("type"),
            integer("time"),
            integer("created"),
            integer("cfg"),
            integer("content_type"),
            integer("ping_of"),
            integer("fanout"),
            bytes("labels"),
            bytes("fingerprint"),
            bytes("payload"),
        ],
    ),
    table(
        "event_time",
        1,
        &[
            integer("event"),
            integer("deliver_at").nullable(),
            integer("expires").nullable(),
            integer("expunged").nullable(),
        ],
    ),
    table("event_era", 1, &[integer("first")]),
    table(
        "delivery",
        2,
        &[
            integer("event"),
            integer("endpoint"),
            integer("state"),
            integer("owner"),
            integer("attempt"),
            integer("base"),
            integer("cancel"),
            integer("pos").nullable(),
            integer("ready_at").nullable(),
            integer("lease").nullable(),
            integer("dead_at").nullable(),
            integer("updated"),
            integer("status"),
            integer("latency"),
            integer("kind"),
            bytes("response"),
        ],
    ),
    table(
        "attempt",
        3,
        &[
            integer("event"),
            integer("endpoint"),
            integer("n"),
            integer("result"),
            integer("status"),
            integer("latency"),
            integer("kind"),
            integer("ended"),
            integer("truncated"),
            text("detail"),
            bytes("response"),
            integer("note"),
        ],
    ),
    table("lane", 1, &[integer("endpoint"), integer("next_at"), integer("owner"), integer("open_until")]),
    table("handoff", 1, &[integer("batch"), integer("owner"), integer("first"), integer("last")]),
    table("log", 1, &[integer("seq"), integer("time"), integer("mark"), bytes("body")]).born_filled(),
];

const fn table(name: &'static str, key: usize, columns: &'static [Column]) -> Table {
    Table { name, key, columns, born_filled: false, added: None }
}

const fn integer(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer, nullable: false }
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, nullable: false }
}

const fn bytes(name: &'static str) -> Column {
    Column { name, kind: Kind::Bytes, nullable: false }
}

impl Column {
    const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }
}

impl Kind {
    /// As Postgres calls it.
    pub(super) fn on_postgres(self) -> &'static str {
        match self {
            Self::Integer => "bigint",
            Self::Text => "text",
            Self::Bytes => "bytea",
        }
    }
}

impl Table {
    const fn born_filled(self) -> Self {
        Self { born_filled: true, ..self }
    }

    /// All rows in the order of their keys, as SQLite compares text: byte by byte.
    pub(super) fn select_on_sqlite(&self) -> String {
        self.select("")
    }

    /// The same rows in the same order on Postgres.
    pub(super) fn select_on_postgres(&self) -> String {
        self.select(" COLLATE \"C\"")
    }

    fn select(&self, collation: &str) -> String {
        let mut sql = format!("SELECT {} FROM {} ORDER BY ", self.column_names(), self.name);
        for (index, column) in self.columns[..self.key].iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let collation = if column.kind == Kind::Text { collation } else { "" };
            write!(sql, "{comma}\"{}\"{collation}", column.name).expect("writing to a String cannot fail");
        }
        sql
    }

    /// Inserts rows on Postgres, which come as one array for each column.
    pub(super) fn insert(&self) -> String {
        let arrays: Vec<String> =
            (1..).zip(self.columns).map(|(n, column)| format!("${n}::{}[]", column.kind.on_postgres())).collect();
        let (name, value) = match self.added {
            Some((name, value)) => (format!(", \"{name}\""), format!(", {value}")),
            None => Default::default(),
        };
        let (table, columns, arrays) = (self.name, self.column_names(), arrays.join(", "));
        format!("INSERT INTO {table} ({columns}{name}) SELECT *{value} FROM UNNEST({arrays})")
    }

    // In quotation marks: some are words of SQL as well.
    fn column_names(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        names.join(", ")
    }
}
