//! The command line: one file per subcommand, and what they share of the terminal.

pub mod line;
pub mod receive;
pub mod serve;
pub mod terminal;
pub mod watch;
