//! The audit log: each call that changes something leaves an entry, in the transaction of the change.
//!
//! A [`Change`] says who asks for what, from where. `repeat::Answer` writes it with the answer, which no call gets past;
//! `redrive::event`, whose calls take several transactions, with the first of them. What the engine does by itself is told by
//! its own log.

use std::{collections::BTreeSet, net::SocketAddr};

use crate::{
    model::{Actor, AuditEntry, Timestamp},
    store::{self, Tx},
};

/// So many resources of a change are kept: an import may name a thousand, and a page of entries is to be one message.
pub const RESOURCES_MAX: usize = 16;

/// What somebody asks to be changed. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub actor: Actor,
    /// From where; `None` if nobody called.
    pub remote: Option<SocketAddr>,
    /// The method.
    pub method: &'static str,
    /// The public id of the tenant that it concerns; empty if it concerns none.
    pub tenant: String,
    /// Ids and names of what is changed, the first [`RESOURCES_MAX`].
    pub resources: Vec<String>,
    /// How many there are.
    pub resource_count: usize,
    /// The fields that an update names.
    pub fields: BTreeSet<String>,
    /// The call's request id; empty if it has none.
    pub request_id: String,
}

impl Change {
    /// What `actor` asks of `method`, from `remote`, without saying of what.
    pub fn new(actor: Actor, remote: Option<SocketAddr>, method: &'static str) -> Self {
        Self {
            actor,
            remote,
            method,
            tenant: String::new(),
            resources: Vec::new(),
            resource_count: 0,
            fields: BTreeSet::new(),
            request_id: String::new(),
        }
    }

    /// Adds what is changed.
    pub(crate) fn concerning(mut self, resources: impl IntoIterator<Item = String>) -> Self {
        for resource in resources {
            self.resource_count += 1;
            if self.resources.len() < RESOURCES_MAX {
                self.resources.push(resource);
            }
        }
        self
    }

    /// Writes the entry, in the transaction of the change; the last thing before its commit, so that whoever writes an entry
    /// waits for nobody.
    pub(crate) async fn write(self, tx: &mut Tx, time: Timestamp) -> store::Result<()> {
        let entry = AuditEntry {
            key: store::meta::next_key(tx, "audit_entry").await?,
            time,
            actor: self.actor,
            tenant: self.tenant,
            method: self.method.to_owned(),
            resources: self.resources,
            resource_count: self.resource_count,
            fields: self.fields.into_iter().collect(),
            remote: self.remote.map(|remote| remote.to_string()).unwrap_or_default(),
            request_id: self.request_id,
        };
        store::audit::insert(tx, &entry).await
    }
}
