//! What is due but must not be attempted any more, because its event has expired or was expunged: it ends when its turn
//! comes, without a request and without a word on its endpoint.

use std::collections::{HashMap, HashSet};

use super::{log::Transition, write::Turn};
use crate::{
    model::{DeliveryKey, DeliveryState, EventKey, FailureKind, ShownState, TransitionKind},
    store::{self, Overdue, Result},
};

impl Turn<'_> {
    /// Ends those of `due` that must not be attempted any more, and takes them out. Returns how many.
    pub(super) async fn end_overdue(&mut self, due: &mut Vec<DeliveryKey>) -> Result<usize> {
        let ended = store::hot::end_overdue(self.tx.begun().await?, self.now, due).await?;
        if ended.is_empty() {
            return Ok(0);
        }
        let keys: HashSet<DeliveryKey> = ended.iter().map(|overdue| overdue.key).collect();
        due.retain(|key| !keys.contains(key));
        let mut events: Vec<EventKey> = keys.iter().map(|key| key.event).collect();
        events.sort_unstable();
        events.dedup();
        let headings = store::event::headings(self.tx.begun().await?, &events).await?;
        let headings: HashMap<EventKey, _> = headings.iter().map(|heading| (heading.key, heading)).collect();
        for Overdue { key, state, attempt } in &ended {
            let Some(heading) = headings.get(&key.event) else { continue };
            let dead = *state == DeliveryState::Dead;
            self.log.delivery(Transition {
                tenant: heading.tenant,
                key: *key,
                event_id: &heading.id,
                event_type: &heading.event_type,
                kind: if dead { TransitionKind::Dead } else { TransitionKind::Cancelled },
                state: if dead { ShownState::Dead } else { ShownState::Cancelled },
                attempt: *attempt,
                ended: dead.then_some((0, FailureKind::Expired as i32, -1)),
                next_attempt: None,
            });
        }
        Ok(ended.len())
    }
}
