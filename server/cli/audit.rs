//! `tidings audit`: who changed what on a server, newest first.

use std::{
    io::{self, ErrorKind, Write as _},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    call::{CallError, ServerArgs},
    span::read_span,
    table,
    terminal::{Palette, printable},
};
use crate::{
    model::Clock,
    proto::{AuditActor, AuditEntry, AuditFilter, ListAuditEntriesRequest},
};

/// The most that a page holds.
const PAGE_SIZE: u32 = 1_000;

/// The most that is shown: a table is held in memory as a whole.
const COUNT_MAX: i64 = 100_000;

/// The longest id or name is 128 characters.
const TEXT_CHARS_MAX: usize = 128;

/// Show who changed what, newest first.
#[derive(clap::Args, Debug)]
pub struct AuditArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only changes that concern this tenant, which may be gone by now.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    tenant: String,
    /// Only changes made with this key (`key_…`), which may be gone by now.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    key: String,
    /// Only calls of this method, such as UpdateEndpoint.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    method: String,
    /// Only changes of this span until now (90s, 15m, 2h, 7d).
    #[arg(long, value_name = "SPAN", value_parser = span)]
    since: Option<Duration>,
    /// How many to show at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=COUNT_MAX))]
    limit: u32,
    /// One JSON object a line, with the fields of AuditEntry.
    #[arg(long)]
    json: bool,
}

/// Why the command fails.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The call fails.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The output does not work.
    #[error("output failed: {0}")]
    Io(#[from] io::Error),
}

/// Shows the entries, and returns when all are shown.
///
/// # Errors
/// The server cannot be reached or refuses; or a write failed for another reason than a closed pipe.
pub async fn run(args: AuditArgs) -> Result<(), AuditError> {
    let entries = list(&args).await?;
    let shown = if args.json {
        print_json(&entries)
    } else {
        let rows: Vec<_> = entries.iter().map(row).collect();
        table::print(["TIME", "BY", "FROM", "TENANT", "WHAT"], &rows, &mut io::stdout(), Palette::stdout())
    };
    match shown {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        shown => Ok(shown?),
    }
}

async fn list(args: &AuditArgs) -> Result<Vec<AuditEntry>, CallError> {
    let start_time = args.since.map(|span| {
        let micros = Clock::system().wall().minus(span).as_micros();
        prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos: 0 }
    });
    let filter = AuditFilter {
        tenant_id: args.tenant.clone(),
        key_id: args.key.clone(),
        method: args.method.clone(),
        start_time,
        end_time: None,
    };
    let mut client = args.server.admin()?;
    let page_size = i32::try_from(args.limit.min(PAGE_SIZE)).unwrap_or(i32::MAX);
    let mut request = ListAuditEntriesRequest { filter: Some(filter), page_size, page_token: String::new() };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut entries = Vec::new();
    while entries.len() < limit {
        let answer = client.list_audit_entries(request.clone()).await;
        let page = answer.map_err(|status| args.server.failed(status))?.into_inner();
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    entries.truncate(limit);
    Ok(entries)
}

fn print_json(entries: &[AuditEntry]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for entry in entries {
        writeln!(out, "{}", object(entry))?;
    }
    out.flush()
}

fn object(entry: &AuditEntry) -> Value {
    json!({
        "id": entry.id,
        "create_time": entry.create_time.as_ref().map(ToString::to_string),
        "actor": entry.actor().as_str_name(),
        "key_id": entry.key_id,
        "tenant_id": entry.tenant_id,
        "method": entry.method,
        "resources": entry.resources,
        "resource_count": entry.resource_count,
        "fields": entry.fields,
        "remote_address": entry.remote_address,
        "request_id": entry.request_id,
    })
}

fn row(entry: &AuditEntry) -> [String; 5] {
    let text = |text: &str| printable(text, TEXT_CHARS_MAX);
    let by = match entry.actor() {
        AuditActor::EnvironmentKey => "environment".to_owned(),
        AuditActor::Server => "server".to_owned(),
        AuditActor::Key | AuditActor::Unspecified => text(&entry.key_id),
    };
    [
        entry.create_time.as_ref().map(ToString::to_string).unwrap_or_default(),
        by,
        text(if entry.remote_address.is_empty() { "-" } else { &entry.remote_address }),
        text(if entry.tenant_id.is_empty() { "-" } else { &entry.tenant_id }),
        what(entry),
    ]
}

/// The method, what it changed, which fields, and the request id.
fn what(entry: &AuditEntry) -> String {
    let text = |text: &String| printable(text, TEXT_CHARS_MAX);
    let mut words = vec![text(&entry.method)];
    words.extend(entry.resources.iter().map(text));
    let shown = i32::try_from(entry.resources.len()).unwrap_or(i32::MAX);
    if entry.resource_count > shown {
        words.push(format!("and {} more", entry.resource_count - shown));
    }
    if !entry.fields.is_empty() {
        words.push(format!("({})", entry.fields.iter().map(text).collect::<Vec<_>>().join(", ")));
    }
    if !entry.request_id.is_empty() {
        words.push(format!("request {}", text(&entry.request_id)));
    }
    words.join(" ")
}

fn span(text: &str) -> Result<Duration, String> {
    read_span(text).ok_or_else(|| "must be a span such as 90s, 15m, 2h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_tells_what_fields_and_how_many_are_left_out() {
        let strings = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let entry = AuditEntry {
            method: "UpdateEndpoint".to_owned(),
            resources: strings(&["ep_1", "\u{1b}[1m"]),
            resource_count: 5,
            fields: strings(&["headers", "url"]),
            request_id: "one".to_owned(),
            ..AuditEntry::default()
        };
        let what = what(&entry);
        assert!(what.starts_with("UpdateEndpoint ep_1 ") && !what.contains('\u{1b}'), "{what}");
        assert!(what.ends_with("and 3 more (headers, url) request one"), "{what}");
        let server = AuditEntry { actor: AuditActor::Server as i32, ..AuditEntry::default() };
        assert_eq!(row(&server)[1..4], strings(&["server", "-", "-"]));
    }
}
