//! The publishing half of a turn: events, their routing, their deliveries.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

use super::{batch::Publish, log::Transition, write::Turn};
use crate::{
    dispatch::{Job, Origin, Place},
    model::{
        DEFAULT_CONTENT_TYPE, DeliveryKey, DeliveryState, EndpointKey, EndpointStatus, EventContent, EventKey,
        EventTimes, TenantKey, Timestamp, TransitionKind,
    },
    publish::{PublishError, Published, fingerprint},
    store::{self, DeliveryInsert, EventInsert, Handoff, LaneRow, Result},
};

/// An event on its way into the database.
struct Routed {
    /// Which publish it is.
    index: usize,
    content: Arc<EventContent>,
    wanting: Vec<EndpointKey>,
    fingerprint: [u8; 16],
    /// Whether its publisher chose the id.
    chosen: bool,
    /// When it is to be delivered, if that is still to come.
    deliver_at: Option<Timestamp>,
}

/// What a turn is to write of its publishes.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    pub(super) events: Vec<EventInsert>,
    pub(super) deliveries: Vec<DeliveryInsert>,
}

impl Turn<'_> {
    /// Routes the events, answers each publish, and returns what is to be written: the events, but for those with chosen
    /// ids, which are written at once, and the deliveries that follow from all of them.
    pub(super) async fn publish(&mut self, publishes: &[Publish]) -> Result<Fresh> {
        if publishes.is_empty() {
            return Ok(Fresh::default());
        }
        self.done.answers = vec![Err(PublishError::Internal); publishes.len()];
        self.done.pings = vec![None; publishes.len()];
        let (originals, repeats) = self.fold(publishes);
        let (events, inserts) = self.route(publishes, &originals).await?;
        let (own, inserted) = self.insert_chosen(&events, inserts).await?;
        let mut written = Vec::with_capacity(events.len());
        for event in &events {
            if event.chosen && !inserted.contains(&event.content.key) {
                let stored =
                    self.compare_with_stored(event.content.tenant, &event.content.id, event.fingerprint).await?;
                self.done.answers[event.index] =
                    stored.ok_or_else(|| store::Error::Corrupt("an event that conflicts is not there".to_owned()))?;
                continue;
            }
            let (id, fanout) = (event.content.id.clone(), event.wanting.len() as i64);
            self.done.answers[event.index] = Ok(Published { id, fanout, duplicate: false });
            written.push(event);
        }
        self.insert_times(publishes, &written).await?;
        let deliveries = self.plan_deliveries(&written).await?;
        self.answer_repeats(publishes, &repeats).await?;
        Ok(Fresh { events: own, deliveries })
    }

    /// Parts the publishes into the first of each event id and the rest: repeats of an id within this batch, and events that
    /// have expired by now, which may have been published in time before but are not published any more.
    fn fold(&self, publishes: &[Publish]) -> (Vec<usize>, Vec<usize>) {
        let mut met: HashSet<(TenantKey, &str)> = HashSet::new();
        (0..publishes.len()).partition(|&index| {
            let event = &publishes[index].event;
            let expired = event.expires.is_some_and(|expires| expires <= self.now);
            !expired && event.id.as_deref().is_none_or(|id| met.insert((event.tenant, id)))
        })
    }

    /// Numbers and routes the events. Routing under the write lock: nothing commits under an older configuration.
    async fn route(&mut self, publishes: &[Publish], originals: &[usize]) -> Result<(Vec<Routed>, Vec<EventInsert>)> {
        let shared = &self.engine.shared;
        let (mut events, mut inserts) = (Vec::with_capacity(originals.len()), Vec::with_capacity(originals.len()));
        for &index in originals {
            let mut publish = publishes[index].clone();
            if publish.cfg != shared.routes.cfg() {
                publish.route(&shared.routes);
            }
            let Publish { event, ping_of, wanting, cfg } = publish;
            let key = EventKey(self.engine.last_event.fetch_add(1, Ordering::Relaxed) + 1);
            let content_type = event.content_type.clone().unwrap_or_else(|| DEFAULT_CONTENT_TYPE.into());
            let content = Arc::new(EventContent {
                key,
                tenant: event.tenant,
                id: event.id.as_deref().map_or_else(|| shared.ids.event(key, self.now).into(), Into::into),
                event_type: event.event_type.clone(),
                content_type,
                payload: event.payload.clone(),
                time: event.time.unwrap_or(self.now),
                created: self.now,
                ping_of,
                expires: event.expires,
            });
            let fingerprint = fingerprint(&shared.keys.fingerprints, &event);
            inserts.push(EventInsert {
                key,
                tenant: event.tenant,
                id: content.id.clone(),
                event_type: self.name_key(&content.event_type).await?,
                time: content.time,
                created: self.now,
                cfg,
                content_type: self.name_key(&content.content_type).await?,
                ping_of,
                fanout: wanting.len() as i64,
                labels: store::event::write_labels(&event.labels)?,
                fingerprint,
                payload: event.payload.clone(),
            });
            let deliver_at = event.deliver_at.filter(|at| *at > self.now);
            events.push(Routed { index, content, wanting, fingerprint, chosen: event.id.is_some(), deliver_at });
        }
        Ok((events, inserts))
    }

    /// Writes the events with chosen ids. Returns the others, and the keys of those written that were not there yet.
    async fn insert_chosen(
        &mut self,
        events: &[Routed],
        inserts: Vec<EventInsert>,
    ) -> Result<(Vec<EventInsert>, HashSet<EventKey>)> {
        let (mut chosen, mut own) = (Vec::new(), Vec::new());
        for (event, insert) in events.iter().zip(inserts) {
            if event.chosen { chosen.push(insert) } else { own.push(insert) }
        }
        self.end.last_event = Some(EventKey(self.engine.last_event.load(Ordering::Relaxed)));
        chosen.sort_unstable_by(|a, b| (a.tenant, &a.id).cmp(&(b.tenant, &b.id)));
        let inserted = self.tx.insert_chosen(chosen).await?;
        Ok((own, inserted.into_iter().collect()))
    }

    /// The key of a name that recurs.
    async fn name_key(&mut self, name: &Arc<str>) -> Result<i64> {
        match self.engine.names.known(name) {
            Some(key) => Ok(key),
            None => self.engine.names.key(self.tx.begun().await?, name).await,
        }
    }

    /// What answers a publish whose event id was published before; `None` if it was not.
    async fn compare_with_stored(
        &mut self,
        tenant: TenantKey,
        id: &str,
        fingerprint: [u8; 16],
    ) -> Result<Option<std::result::Result<Published, PublishError>>> {
        let stored = store::event::find_published(self.tx.begun().await?.conn(), tenant, id).await?;
        Ok(stored.map(|stored| {
            let same = stored.fingerprint == fingerprint;
            same.then_some(Published { id: id.into(), fanout: stored.fanout, duplicate: true })
                .ok_or(PublishError::IdReused)
        }))
    }

    /// Writes the times of those events that have some.
    async fn insert_times(&mut self, publishes: &[Publish], events: &[&Routed]) -> Result<()> {
        let of_event = |routed: &&Routed| {
            let event = &publishes[routed.index].event;
            let times = EventTimes { deliver_at: event.deliver_at, expires: event.expires, expunged: None };
            (times != EventTimes::default()).then_some((routed.content.key, times))
        };
        let times: Vec<_> = events.iter().filter_map(of_event).collect();
        if !times.is_empty() {
            store::event_time::insert(self.tx.begun().await?, &times).await?;
        }
        Ok(())
    }

    /// The deliveries of the events: handed over where their lanes have room, left in their lanes otherwise, and until
    /// their time if that is still to come.
    async fn plan_deliveries(&mut self, events: &[&Routed]) -> Result<Vec<DeliveryInsert>> {
        let mut deliveries = Vec::new();
        let mut waiting: HashMap<EndpointKey, Timestamp> = HashMap::new();
        for event in events {
            for &endpoint in &event.wanting {
                let key = DeliveryKey { event: event.content.key, endpoint };
                let place = if event.deliver_at.is_none() { self.reserve(&event.content, endpoint) } else { None };
                let handed_over = place.is_some();
                if let Some(place) = place {
                    let (event, origin) = (event.content.clone(), Origin::Fresh);
                    self.hold(Job { key, event, attempt: 1, base: 0, origin, place, last_chance: false });
                } else if !self.engine.in_flight.lanes().is_adopted(endpoint) {
                    // An adopted lane is due already, and whoever gives it back looks for the earliest of its work.
                    let due = event.deliver_at.unwrap_or(self.now);
                    waiting.entry(endpoint).and_modify(|known| *known = due.min(*known)).or_insert(due);
                }
                if event.content.ping_of.is_some() {
                    self.done.pings[event.index] = Some(key);
                }
                deliveries.push(DeliveryInsert { key, handed_over, due: event.deliver_at });
                self.log_queued(event, key, handed_over);
            }
        }
        let owner = self.engine.shared.incarnation;
        let events = || deliveries.iter().filter(|delivery| delivery.handed_over).map(|delivery| delivery.key.event);
        if let (Some(first), Some(last)) = (events().min(), events().max()) {
            self.end.handoff = Some(Handoff { owner, first, last });
        }
        let lane = |(endpoint, due)| LaneRow { endpoint, next_at: self.looks_at(endpoint, due) };
        let lanes: Vec<LaneRow> = waiting.into_iter().map(lane).collect();
        lanes.iter().for_each(|lane| self.note_due(lane.next_at));
        if !lanes.is_empty() {
            store::lane::lower(self.tx.begun().await?, &lanes).await?;
        }
        Ok(deliveries)
    }

    /// Takes a place for a fresh delivery, if there is room. A ping gets a slot in any case.
    fn reserve(&self, event: &EventContent, endpoint: EndpointKey) -> Option<Place> {
        let bytes = event.payload.len() as u64;
        let mut lanes = self.engine.in_flight.lanes();
        if event.ping_of.is_some() {
            return Some(lanes.reserve_forced(endpoint, bytes));
        }
        let entry = self.engine.shared.routes.endpoint(endpoint)?;
        if entry.endpoint.status != EndpointStatus::Enabled {
            return None;
        }
        lanes.reserve_fresh(endpoint, entry.endpoint.settings.policy.max_in_flight, bytes)
    }

    fn log_queued(&mut self, routed: &Routed, key: DeliveryKey, handed_over: bool) {
        let event = &routed.content;
        let state = if handed_over { DeliveryState::InFlight } else { DeliveryState::Pending };
        let status = self.engine.shared.routes.status(key.endpoint);
        self.log.delivery(Transition {
            tenant: event.tenant,
            key,
            event_id: &event.id,
            event_type: &event.event_type,
            kind: TransitionKind::Queued,
            state: state.shown(status),
            attempt: u32::from(handed_over),
            ended: None,
            next_attempt: (!handed_over && !status.holds()).then_some(routed.deliver_at.unwrap_or(self.now)),
        });
    }

    /// Answers the repeats of an event id within this batch, and events that have expired: each is compared with the event
    /// that is stored by now. One of which none is stored has come too late.
    async fn answer_repeats(&mut self, publishes: &[Publish], repeats: &[usize]) -> Result<()> {
        for &repeat in repeats {
            let event = &publishes[repeat].event;
            let mut stored = None;
            if let Some(id) = &event.id {
                let fingerprint = fingerprint(&self.engine.shared.keys.fingerprints, event);
                stored = self.compare_with_stored(event.tenant, id, fingerprint).await?;
            }
            self.done.answers[repeat] = stored.unwrap_or(Err(PublishError::Expired));
        }
        Ok(())
    }
}
