//! The statements of every turn: publish and settle. Multi-row, so that a turn costs a handful of them
//! whatever its size. Each has its two forms side by side: many rows of placeholders on SQLite, one array for each column
//! on Postgres.

mod end;
mod overdue;
mod publish;
mod rows;
mod settle;
mod turn_tx;

#[cfg(test)]
pub(crate) use self::rows::write;
pub(crate) use self::{
    end::commit,
    overdue::end_overdue,
    publish::{insert_chosen_events, insert_deliveries, insert_own_events},
    rows::Rows,
    settle::{end_pending, settle_delivered, settle_others},
    turn_tx::{TurnTx, Writing},
};
pub use self::{
    end::{Handoff, TurnEnd},
    overdue::Overdue,
    publish::{DeliveryInsert, EventInsert},
    settle::{Ending, Settled, Settlement},
};
