//! `tidings tenants`: the tenants of a server, and how much each may ask for.

use std::io::{self, ErrorKind};

use super::{
    call::{CallError, ServerArgs},
    table,
    terminal::{Palette, printable, say},
};
use crate::proto::{
    CreateTenantRequest, DeleteTenantRequest, GetTenantRequest, ListTenantsRequest, SchemaCheck, Tenant, TenantQuotas,
    UpdateTenantRequest,
};

/// The most that a page holds.
const PAGE_SIZE: i32 = 1_000;

/// How much of a name is shown.
const NAME_CHARS_MAX: usize = 60;

/// Create, list, change or delete tenants.
#[derive(clap::Args, Debug)]
pub struct TenantsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Create a tenant
    Create(SettingsArgs),
    /// Show all tenants
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Change what is named of a tenant
    Update(SettingsArgs),
    /// Delete a tenant that has no endpoints, with its keys
    Delete {
        /// The tenant's id.
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(clap::Args, Debug)]
struct SettingsArgs {
    /// The tenant's id.
    id: String,
    #[command(flatten)]
    server: ServerArgs,
    /// A name for people.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whether payloads are checked against their schemas: off, warn or reject.
    #[arg(long, value_name = "CHECK", value_parser = check)]
    schema_check: Option<SchemaCheck>,
    /// Endpoints at most; `none` for no quota.
    #[arg(long, value_name = "COUNT", value_parser = quota)]
    max_endpoints: Option<Quota>,
    /// Deliveries that have not ended, at most; `none` for no quota.
    #[arg(long, value_name = "COUNT", value_parser = quota)]
    max_pending_deliveries: Option<Quota>,
    /// Events published in a second, on average; `none` for no quota.
    #[arg(long, value_name = "COUNT", value_parser = quota)]
    events_per_second: Option<Quota>,
    /// Events that may be published at once after a pause; `none` for as many as in a second.
    #[arg(long, value_name = "COUNT", value_parser = quota)]
    events_burst: Option<Quota>,
    /// Bytes of payloads published in a second, on average; `none` for no quota.
    #[arg(long, value_name = "BYTES", value_parser = quota)]
    bytes_per_second: Option<Quota>,
}

/// A quota as it is given: a number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quota(Option<i64>);

/// Why the command fails.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
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
pub async fn run(args: TenantsArgs) -> Result<(), TenantsError> {
    match args.command {
        Command::Create(args) => create(args).await,
        Command::List { server } => list(&server).await,
        Command::Update(args) => update(args).await,
        Command::Delete { id, server } => {
            let request = DeleteTenantRequest { tenant_id: id.clone(), ..Default::default() };
            server.admin()?.delete_tenant(request).await.map_err(|status| server.failed(status))?;
            say(&format!("tenant {id} is deleted"));
            Ok(())
        }
    }
}

async fn create(args: SettingsArgs) -> Result<(), TenantsError> {
    let mut tenant = Tenant { id: args.id.clone(), ..Default::default() };
    args.apply(&mut tenant);
    let request = CreateTenantRequest { tenant: Some(tenant), request_id: String::new() };
    args.server.admin()?.create_tenant(request).await.map_err(|status| args.server.failed(status))?;
    say(&format!("tenant {} is created", args.id));
    Ok(())
}

/// Quotas are written as a whole, so the others are read before; the etag sees to it that nobody changes them meanwhile.
async fn update(args: SettingsArgs) -> Result<(), TenantsError> {
    let mut client = args.server.admin()?;
    let answer = client.get_tenant(GetTenantRequest { tenant_id: args.id.clone() }).await;
    let present = answer.map_err(|status| args.server.failed(status))?.into_inner().tenant;
    let mut tenant = present.unwrap_or_default();
    let paths = args.apply(&mut tenant).into_iter().map(str::to_owned).collect();
    let update_mask = Some(prost_types::FieldMask { paths });
    let request = UpdateTenantRequest { tenant: Some(tenant), update_mask, request_id: String::new() };
    client.update_tenant(request).await.map_err(|status| args.server.failed(status))?;
    say(&format!("tenant {} is changed", args.id));
    Ok(())
}

async fn list(server: &ServerArgs) -> Result<(), TenantsError> {
    let mut client = server.admin()?;
    let mut request = ListTenantsRequest { page_size: PAGE_SIZE, page_token: String::new() };
    let mut rows = Vec::new();
    loop {
        let answer = client.list_tenants(request.clone()).await;
        let page = answer.map_err(|status| server.failed(status))?.into_inner();
        rows.extend(page.tenants.iter().map(row));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    match table::print(["ID", "SCHEMAS", "QUOTAS", "NAME"], &rows, &mut io::stdout(), Palette::stdout()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

impl SettingsArgs {
    /// Sets what was given, and says which fields that are.
    fn apply(&self, tenant: &mut Tenant) -> Vec<&'static str> {
        let mut paths = Vec::new();
        if let Some(name) = &self.name {
            tenant.display_name.clone_from(name);
            paths.push("display_name");
        }
        if let Some(check) = self.schema_check {
            tenant.schema_check = check as i32;
            paths.push("schema_check");
        }
        let mut quotas = tenant.quotas.unwrap_or_default();
        if self.apply_quotas(&mut quotas) {
            tenant.quotas = Some(quotas);
            paths.push("quotas");
        }
        paths
    }

    /// Whether any was given.
    fn apply_quotas(&self, quotas: &mut TenantQuotas) -> bool {
        let small = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
        let mut given = false;
        for (quota, field) in [
            (self.max_endpoints, &mut quotas.max_endpoints),
            (self.events_per_second, &mut quotas.events_per_second),
            (self.events_burst, &mut quotas.events_burst),
        ] {
            if let Some(Quota(value)) = quota {
                *field = value.map(small);
                given = true;
            }
        }
        for (quota, field) in [
            (self.max_pending_deliveries, &mut quotas.max_pending_deliveries),
            (self.bytes_per_second, &mut quotas.bytes_per_second),
        ] {
            if let Some(Quota(value)) = quota {
                *field = value;
                given = true;
            }
        }
        given
    }
}

fn row(tenant: &Tenant) -> [String; 4] {
    let check = tenant.schema_check().as_str_name().trim_start_matches("SCHEMA_CHECK_").to_ascii_lowercase();
    let TenantQuotas { max_endpoints, max_pending_deliveries, events_per_second, events_burst, bytes_per_second } =
        tenant.quotas.unwrap_or_default();
    let quotas = [
        (max_endpoints.map(i64::from), "endpoints"),
        (max_pending_deliveries, "pending"),
        (events_per_second.map(i64::from), "events/s"),
        (events_burst.map(i64::from), "at once"),
        (bytes_per_second, "bytes/s"),
    ];
    let quotas: Vec<String> =
        quotas.into_iter().filter_map(|(value, what)| Some(format!("{} {what}", value?))).collect();
    let quotas = if quotas.is_empty() { "none".to_owned() } else { quotas.join(", ") };
    [printable(&tenant.id, NAME_CHARS_MAX), check, quotas, printable(&tenant.display_name, NAME_CHARS_MAX)]
}

fn check(text: &str) -> Result<SchemaCheck, String> {
    match text {
        "off" => Ok(SchemaCheck::Off),
        "warn" => Ok(SchemaCheck::Warn),
        "reject" => Ok(SchemaCheck::Reject),
        _ => Err("must be one of off, warn, reject".to_owned()),
    }
}

fn quota(text: &str) -> Result<Quota, String> {
    if text == "none" {
        return Ok(Quota(None));
    }
    text.parse().map(|value| Quota(Some(value))).map_err(|_| "must be a number, or `none`".to_owned())
}
