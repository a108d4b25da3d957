//! What one turn writes, and who waits for it.

use std::{mem, sync::Arc};

use tokio::sync::oneshot;

use crate::{
    dispatch::{Finished, Order},
    model::{DeliveryKey, EndpointKey, NewEvent, Timestamp},
    publish::{PublishError, Published, Routes, Share, Submission},
    store::Leased,
};

/// What one turn writes. Kept by the committer until it is committed, so that a failed turn loses nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) publishes: Vec<Publish>,
    pub(super) finished: Vec<Arc<Finished>>,
    pub(super) begins: Vec<(DeliveryKey, u32)>,
    pub(super) releases: Vec<Leased>,
    pub(super) claim: bool,
}

/// An event to be published.
#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) event: Arc<NewEvent>,
    pub(super) ping_of: Option<EndpointKey>,
    /// The endpoints it goes to, as of configuration version `cfg`.
    pub(super) wanting: Vec<EndpointKey>,
    pub(super) cfg: i64,
}

/// Who waits for a turn.
#[derive(Debug, Default)]
pub(super) struct Replies {
    pub(super) publishes: Vec<PublishReply>,
    pub(super) begins: Vec<oneshot::Sender<bool>>,
    pub(super) releases: Vec<oneshot::Sender<()>>,
    pub(super) claims: Vec<oneshot::Sender<Option<Timestamp>>>,
}

/// Who waits for an event's acknowledgement, and for the end of its attempt if it is a ping.
#[derive(Debug)]
pub(super) struct PublishReply {
    pub(super) reply: oneshot::Sender<Result<Published, PublishError>>,
    pub(super) ping: Option<(EndpointKey, oneshot::Sender<DeliveryKey>)>,
    _share: Share,
}

impl Publish {
    /// Finds out which endpoints want the event.
    pub(super) fn route(&mut self, routes: &Routes) {
        (self.wanting, self.cfg) = match self.ping_of {
            Some(endpoint) => (vec![endpoint], routes.cfg()),
            None => routes.wanting(self.event.tenant, &self.event.event_type),
        };
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.publishes.is_empty() && self.finished.is_empty() && !self.has_orders()
    }

    /// Whether somebody waits for something other than a publish or a settlement.
    pub(super) fn has_orders(&self) -> bool {
        self.claim || !self.begins.is_empty() || !self.releases.is_empty()
    }

    /// Adds a submission, routed, and who waits for it.
    pub(super) fn submit(&mut self, submission: Submission, routes: &Routes, replies: &mut Replies) {
        let Submission { event, ping, reply, _share } = submission;
        let mut publish = Publish {
            event: Arc::new(event),
            ping_of: ping.as_ref().map(|(endpoint, _)| *endpoint),
            wanting: Vec::new(),
            cfg: 0,
        };
        publish.route(routes);
        self.publishes.push(publish);
        replies.publishes.push(PublishReply { reply, ping, _share });
    }

    /// Adds an order and who waits for it.
    pub(super) fn order(&mut self, order: Order, replies: &mut Replies) {
        match order {
            Order::Claim(reply) => {
                self.claim = true;
                replies.claims.push(reply);
            }
            Order::Begin(delivery, attempt, reply) => {
                self.begins.push((delivery, attempt));
                replies.begins.push(reply);
            }
            Order::Release(leases, reply) => {
                self.releases.extend(leases);
                replies.releases.push(reply);
            }
        }
    }

    /// Cuts the batch into two of about half the publishes and half the settlements each, or returns it if it holds but
    /// one item of data. Orders stay with the first.
    pub(super) fn halves(mut self) -> Result<(Self, Self), Self> {
        if self.publishes.len() + self.finished.len() < 2 && !self.has_orders() {
            return Err(self);
        }
        if self.has_orders() {
            // Orders carry no caller's data: they go apart from all that does.
            let data = Self {
                publishes: mem::take(&mut self.publishes),
                finished: mem::take(&mut self.finished),
                ..Self::default()
            };
            return if data.is_empty() { Err(self) } else { Ok((self, data)) };
        }
        let half = (self.publishes.len() + self.finished.len()).div_ceil(2);
        let (publishes, finished) = match half.checked_sub(self.publishes.len()) {
            None => (self.publishes.split_off(half), mem::take(&mut self.finished)),
            Some(settled) => (Vec::new(), self.finished.split_off(settled)),
        };
        Ok((self, Self { publishes, finished, ..Self::default() }))
    }
}
