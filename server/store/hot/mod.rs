//! The statements of every turn: publish and settle. Multi-row, so that a turn costs a handful of them
//! whatever its size. Each has its two forms side by side: many rows of placeholders on SQLite, one array for each column
//! on Postgres.

mod overdue;
mod publish;
mod settle;

pub use self::{
    overdue::Overdue,
    publish::{DeliveryInsert, EventInsert},
    settle::{Settled, Settlement},
};
pub(crate) use self::{
    overdue::end_overdue,
    publish::{insert_chosen_events, insert_deliveries, insert_own_events},
    settle::{end_pending, settle_delivered, settle_others},
};
