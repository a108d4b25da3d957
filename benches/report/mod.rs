//! What the benchmark measured, and what is made of it: a table, a plot, a page, a comparison with earlier figures.
//!
//! Pure: it reads and writes nothing. `benches/delivery` fills it; `tests/performance` holds its rules, and that
//! `docs/performance.md` says what `docs/performance.json` holds.

pub(crate) mod check;
pub(crate) mod figures;
pub(crate) mod lines;
pub(crate) mod page;
pub(crate) mod plot;
pub(crate) mod results;
pub(crate) mod table;
