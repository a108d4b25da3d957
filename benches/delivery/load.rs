//! What is published, and how much of it there is to come.

use crate::{message::TYPE_FOR_ALL, publish};

/// Publishers at full rate.
pub(crate) const PUBLISHERS: u64 = 64;

/// What is published.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The events' types, in turn.
    pub(crate) types: Vec<String>,
    /// Tenants `bench-0` and so on that publish in turn; 0 for `default` alone.
    pub(crate) tenants: usize,
    /// Events a second in an open loop; 0 for as many as the publishers get through.
    pub(crate) rate: u64,
    /// Streams that publish instead of those; 0 for calls.
    pub(crate) streams: u64,
    /// How many deliveries come of how many events.
    pub(crate) deliveries_per_event: (u64, u64),
}

impl Load {
    /// Events for each of the endpoints in turn, at full rate.
    pub(crate) fn in_turn(endpoints: usize) -> Self {
        let types = (0..endpoints).map(|endpoint| format!("bench.{endpoint}")).collect();
        Self { types, tenants: 0, rate: 0, streams: 0, deliveries_per_event: (1, 1) }
    }

    /// Events for all of the endpoints, at full rate.
    pub(crate) fn to_all(endpoints: usize) -> Self {
        Self { types: vec![TYPE_FOR_ALL.to_owned()], deliveries_per_event: (endpoints as u64, 1), ..Self::in_turn(0) }
    }

    /// At a fixed rate.
    pub(crate) fn at(self, rate: u64) -> Self {
        Self { rate, ..self }
    }

    /// Over streams rather than by calls.
    pub(crate) fn over(self, streams: u64) -> Self {
        Self { streams, ..self }
    }

    /// For nobody: no event is delivered.
    pub(crate) fn unwanted() -> Self {
        Self { deliveries_per_event: (0, 1), ..Self::in_turn(1) }
    }

    /// The deliveries that come of so many events, the first of which has the first type.
    pub(crate) fn deliveries(&self, events: u64) -> u64 {
        let (deliveries, of) = self.deliveries_per_event;
        (events * deliveries).div_ceil(of)
    }

    /// A publisher's arguments.
    pub(crate) fn publisher(&self, server: &str, first: u64) -> publish::Args {
        publish::Args {
            server: server.to_owned(),
            types: self.types.clone(),
            tenants: self.tenants,
            publishers: PUBLISHERS,
            streams: self.streams,
            rate: self.rate,
            first,
            milliseconds: 0,
            interval: 0,
            acknowledged: None,
        }
    }
}
