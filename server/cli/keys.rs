//! `tidings keys`: API keys of a server's tenants and operators.
//!
//! A new key goes to standard output by itself, so that a script can take it; what is to be said of it goes to standard
//! error.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use super::{
    call::{CallError, ServerArgs},
    span::read_span,
    table,
    terminal::{Palette, printable, say},
};
use crate::{
    access::new_key,
    model::{Clock, Scope},
    proto::{ApiKey, CreateDashboardTokenRequest, CreateKeyRequest, ListKeysRequest, RevokeKeyRequest},
};

/// The most that a page holds.
const PAGE_SIZE: i32 = 1_000;

/// How much of a name is shown.
const NAME_CHARS_MAX: usize = 60;

/// Make, list or revoke API keys.
#[derive(clap::Args, Debug)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Make a key, and print it once
    Create(CreateArgs),
    /// Show the keys there are, without their secrets
    List(ListArgs),
    /// Revoke a key: no call with it is let in any more
    Revoke(RevokeArgs),
    /// Make a short-lived token with which a dashboard may look at a tenant, and print it
    Token(TokenArgs),
    /// Print a new random key for TIDINGS_ADMIN_KEY, calling no server
    Generate,
}

#[derive(clap::Args, Debug)]
struct CreateArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The tenant whose key it is to be. Default: `default`.
    #[arg(long, value_name = "ID", conflicts_with = "operator")]
    tenant: Option<String>,
    /// An operator's key, for all tenants.
    #[arg(long)]
    operator: bool,
    /// What its holder may do: events:publish, endpoints:read, endpoints:write, secrets:rotate, deliveries:read,
    /// deliveries:write, or admin for an operator. May be repeated.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// A name for people.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
    /// For how long it is valid (90s, 15m, 2h, 7d). Default: until it is revoked.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    expires_in: Option<Duration>,
}

#[derive(clap::Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only keys of this tenant. Default: all keys.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    tenant: String,
}

#[derive(clap::Args, Debug)]
struct RevokeArgs {
    /// The key's id, `key_…`.
    id: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args, Debug)]
struct TokenArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The tenant that may be looked at. Default: the key's, or `default`.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    tenant: String,
    /// For how long it is valid, from 60s to 24h. Default: 1h.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    expires_in: Option<Duration>,
}

/// Why the command fails.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The call fails.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The output does not work.
    #[error("output failed: {0}")]
    Io(#[from] io::Error),
}

/// Does what the arguments name, and returns when it is done.
///
/// # Errors
/// The server cannot be reached or refuses; or a write failed for another reason than a closed pipe.
pub async fn run(args: KeysArgs) -> Result<(), KeysError> {
    match args.command {
        Command::Create(args) => create(args).await,
        Command::List(args) => list(args).await,
        Command::Revoke(args) => revoke(args).await,
        Command::Token(args) => token(args).await,
        Command::Generate => {
            say(&new_key().text());
            Ok(())
        }
    }
}

async fn create(args: CreateArgs) -> Result<(), KeysError> {
    let request = CreateKeyRequest {
        tenant_id: args.tenant.unwrap_or_default(),
        operator: args.operator,
        display_name: args.name,
        scopes: args.scopes.iter().map(Scope::to_string).collect(),
        expire_time: args.expires_in.map(|span| {
            let micros = Clock::system().wall().plus(span).as_micros();
            prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos: 0 }
        }),
        request_id: String::new(),
    };
    let answer = args.server.admin()?.create_key(request).await;
    let made = answer.map_err(|status| args.server.failed(status))?.into_inner();
    let key = made.key.unwrap_or_default();
    eprintln!("{}, {}: it is shown this once", printable(&key.id, NAME_CHARS_MAX), owner(&key));
    say(&made.secret);
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), KeysError> {
    let mut client = args.server.admin()?;
    let mut request = ListKeysRequest { tenant_id: args.tenant, page_size: PAGE_SIZE, page_token: String::new() };
    let mut rows = Vec::new();
    loop {
        let answer = client.list_keys(request.clone()).await;
        let page = answer.map_err(|status| args.server.failed(status))?.into_inner();
        rows.extend(page.keys.iter().map(row));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let printed = table::print(["ID", "OF", "EXPIRES", "SCOPES", "NAME"], &rows, &mut io::stdout(), Palette::stdout());
    match printed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

async fn revoke(args: RevokeArgs) -> Result<(), KeysError> {
    let request = RevokeKeyRequest { key_id: args.id.clone(), request_id: String::new() };
    args.server.admin()?.revoke_key(request).await.map_err(|status| args.server.failed(status))?;
    say(&format!("{} is revoked", args.id));
    Ok(())
}

async fn token(args: TokenArgs) -> Result<(), KeysError> {
    let lifetime = args
        .expires_in
        .map(|span| prost_types::Duration { seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX), nanos: 0 });
    let request = CreateDashboardTokenRequest { tenant_id: args.tenant, lifetime, scopes: Vec::new() };
    let answer = args.server.admin()?.create_dashboard_token(request).await;
    let made = answer.map_err(|status| args.server.failed(status))?.into_inner();
    let until = made.expire_time.map(|time| time.to_string()).unwrap_or_default();
    eprintln!("for tenant {}, until {until}", printable(&made.tenant_id, NAME_CHARS_MAX));
    say(&made.token);
    Ok(())
}

fn row(key: &ApiKey) -> [String; 5] {
    [
        printable(&key.id, NAME_CHARS_MAX),
        owner(key),
        key.expire_time.as_ref().map_or("never".to_owned(), ToString::to_string),
        printable(&key.scopes.join(","), usize::MAX),
        printable(&key.display_name, NAME_CHARS_MAX),
    ]
}

fn owner(key: &ApiKey) -> String {
    match key.tenant_id.as_str() {
        "" => "an operator".to_owned(),
        tenant => format!("tenant {}", printable(tenant, NAME_CHARS_MAX)),
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        format!("must be one of {}", names.join(", "))
    })
}

fn span(text: &str) -> Result<Duration, String> {
    read_span(text).ok_or_else(|| "must be a span such as 90s, 15m, 2h or 7d".to_owned())
}
