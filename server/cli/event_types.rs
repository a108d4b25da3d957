//! `tidings event-types`: a tenant's catalogue of event types, imported from a file or listed.

mod file;
mod list;

use std::{io, path::PathBuf};

pub use self::file::FileError;
use super::{
    call::{CallError, ServerArgs},
    terminal::{Palette, say},
};

/// Import or list a tenant's catalogue of event types.
#[derive(clap::Args)]
pub struct EventTypesArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add a file's event types to the catalogue, and describe anew those that it has
    Import(ImportArgs),
    /// Show the catalogue, by name
    List(ListArgs),
}

#[derive(clap::Args)]
struct ImportArgs {
    /// JSON as ImportEventTypes takes it: {"eventTypes": [{"name": "user.created", "description": "A user registered"}]}.
    /// `-` reads standard input.
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// Whose catalogue it is; must be the file's `tenantId` if that has one. Default: the file's, or `default`.
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
}

#[derive(clap::Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Whose catalogue it is. Default: the key's tenant, or `default`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    tenant: String,
}

/// Why the command fails.
#[derive(Debug, thiserror::Error)]
pub enum EventTypesError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is another tenant's.
    #[error("the file is for tenant `{named}`, but --tenant says `{given}`")]
    Tenant {
        /// In the file.
        named: String,
        /// On the command line.
        given: String,
    },
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
/// The file cannot be read or is not a catalogue; the server cannot be reached or refuses; or a write failed for another
/// reason than a closed pipe.
pub async fn run(args: EventTypesArgs) -> Result<(), EventTypesError> {
    match args.command {
        Command::Import(args) => import(args).await,
        Command::List(args) => list::run(&args.server, &args.tenant, &mut io::stdout(), Palette::stdout()).await,
    }
}

async fn import(args: ImportArgs) -> Result<(), EventTypesError> {
    let mut request = file::read(&args.file)?;
    if let Some(given) = args.tenant {
        if !request.tenant_id.is_empty() && request.tenant_id != given {
            return Err(EventTypesError::Tenant { named: request.tenant_id, given });
        }
        request.tenant_id = given;
    }
    let answer = args.server.client()?.import_event_types(request).await;
    let done = answer.map_err(|status| args.server.failed(status))?.into_inner();
    say(&format!("{} created, {} updated, {} unchanged", done.created_count, done.updated_count, done.unchanged_count));
    Ok(())
}
