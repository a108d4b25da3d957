//! The command line: one file per subcommand, and what they share of the terminal.

mod attempts;
pub mod audit;
pub mod call;
pub mod copy;
pub mod demo;
pub mod event_types;
mod input;
mod key_source;
pub mod keys;
pub mod line;
mod listen_args;
pub mod migrate;
pub mod publish;
pub mod receive;
pub mod reseal;
mod roots;
mod scheme_args;
mod scheme_file;
pub mod serve;
pub mod sign;
mod span;
mod table;
pub mod tenants;
pub mod terminal;
mod trust_args;
mod url_arg;
pub mod verify;
pub mod watch;

pub use self::{input::InputError, scheme_args::SchemeArgsError, scheme_file::SchemeFileError, url_arg::UrlMissing};
