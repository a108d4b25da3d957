//! How attempts, the pacer and the audit reach the committer, which works in [`crate::turn`].

use tokio::sync::{mpsc, oneshot};

use super::Finished;
use crate::{
    model::{DeliveryKey, Timestamp},
    store::Leased,
};

/// Orders that wait for a turn at most: there is one pacer, one audit, and few last chances.
const ORDERS_MAX: usize = 256;

/// What others than publishers and attempts ask of the committer.
#[derive(Debug)]
pub(crate) enum Order {
    /// Lease what is due and has room; says when the next work is due.
    Claim(oneshot::Sender<Option<Timestamp>>),
    /// Record that an attempt begins; says whether it was.
    Begin(DeliveryKey, u32, oneshot::Sender<bool>),
    /// Release leases of which no attempt knows.
    Release(Vec<Leased>, oneshot::Sender<()>),
}

/// The committer, as those see it who report to it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    /// Not bounded by itself: each delivery in flight, of which the lanes bound the number, sends one.
    finished: mpsc::UnboundedSender<Finished>,
    orders: mpsc::Sender<Order>,
}

/// The committer's side of its inbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) finished: mpsc::UnboundedReceiver<Finished>,
    pub(crate) orders: mpsc::Receiver<Order>,
}

/// Makes the committer's inbox.
pub(crate) fn inbox() -> (Committer, Inbox) {
    let (finished, finished_in) = mpsc::unbounded_channel();
    let (orders, orders_in) = mpsc::channel(ORDERS_MAX);
    (Committer { finished, orders }, Inbox { finished: finished_in, orders: orders_in })
}

impl Committer {
    /// Hands over what came of an attempt. It is settled by a turn soon after.
    pub(crate) fn settle(&self, finished: Finished) {
        // Fails only when the committer is gone, and then the lease is released at the next start.
        let _ = self.finished.send(finished);
    }

    /// Leases what is due and has room, and starts it. Returns when the next work is due, if there is any.
    pub(crate) async fn claim(&self) -> Option<Timestamp> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Claim(reply)).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Records durably that an attempt begins. `false`: it could not be recorded, so it must not begin.
    pub(crate) async fn begin(&self, delivery: DeliveryKey, attempt: u32) -> bool {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Begin(delivery, attempt, reply)).await.is_ok() && answer.await.unwrap_or(false)
    }

    /// Releases leases of which no attempt knows, as lost.
    pub(crate) async fn release(&self, leases: Vec<Leased>) {
        let (reply, answer) = oneshot::channel();
        if self.orders.send(Order::Release(leases, reply)).await.is_ok() {
            let _ = answer.await;
        }
    }
}
