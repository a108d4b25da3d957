//! Integer keys of rows, one newtype each, so that they cannot be mistaken for one another.
//!
//! Keys stay inside the server; callers see the opaque ids that [`super::id`] makes of them.

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);
    };
}

key!(
    /// A tenant's row.
    TenantKey
);
key!(
    /// An endpoint's row.
    EndpointKey
);
key!(
    /// An event's row. Rises in the order of commits.
    EventKey
);
key!(
    /// A signing secret's row.
    SecretKey
);
key!(
    /// One life of a server process; rises with every start and is never used again.
    Incarnation
);

impl TenantKey {
    /// The tenant `default`, which always exists.
    pub const DEFAULT: Self = Self(1);

    /// No tenant: what request ids of calls belong to that are no tenant's, but operators'.
    pub const OPERATORS: Self = Self(0);
}

/// A delivery: one event for one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The event.
    pub event: EventKey,
    /// The endpoint.
    pub endpoint: EndpointKey,
}
