//! The command line: one file per subcommand, and what they share of the terminal.

mod attempts;
pub mod call;
pub mod demo;
pub mod event_types;
pub mod line;
pub mod receive;
pub mod serve;
pub mod terminal;
pub mod watch;
