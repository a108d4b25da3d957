//! Scopes: what the holder of a key may do. Every method of the protocol asks for one.

use std::fmt;

/// What one method, or several that belong together, ask for. The numbers are bits of [`Scopes`] as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// Publishing events.
    EventsPublish = 1,
    /// Looking at endpoints, their secrets' fingerprints, event types, and the tenant's own settings.
    EndpointsRead = 1 << 1,
    /// Changing endpoints and event types.
    EndpointsWrite = 1 << 2,
    /// Rotating, activating and revoking secrets.
    SecretsRotate = 1 << 3,
    /// Looking at events, deliveries and attempts.
    DeliveriesRead = 1 << 4,
    /// Retrying and cancelling deliveries, cancelling and expunging events.
    DeliveriesWrite = 1 << 5,
    /// Everything, tenants and keys among it. An operator's alone.
    Admin = 1 << 6,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::EventsPublish,
        Self::EndpointsRead,
        Self::EndpointsWrite,
        Self::SecretsRotate,
        Self::DeliveriesRead,
        Self::DeliveriesWrite,
        Self::Admin,
    ];

    /// What callers call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventsPublish => "events:publish",
            Self::EndpointsRead => "endpoints:read",
            Self::EndpointsWrite => "endpoints:write",
            Self::SecretsRotate => "secrets:rotate",
            Self::DeliveriesRead => "deliveries:read",
            Self::DeliveriesWrite => "deliveries:write",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Reads the stored number; `None` if it has bits that are no scope.
    pub fn from_bits(bits: i64) -> Option<Self> {
        let known = Scope::ALL.into_iter().collect::<Self>();
        u8::try_from(bits).ok().filter(|bits| bits & !known.0 == 0).map(Self)
    }

    /// The number that is stored.
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// Whether whoever holds these may do what asks for `scope`: [`Scope::Admin`] stands for all.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (scope as u8 | Scope::Admin as u8) != 0
    }

    /// Those that are named, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & *scope as u8 != 0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope as u8))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Scope::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_lead_back() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_name(scope.name()), Some(scope));
            let alone: Scopes = [scope].into_iter().collect();
            assert_eq!(Scopes::from_bits(alone.bits()), Some(alone));
            assert_eq!(alone.iter().collect::<Vec<_>>(), [scope]);
        }
        let all: Scopes = Scope::ALL.into_iter().collect();
        assert_eq!((all.bits(), all.iter().count()), (127, 7));
        for wrong in [-1, 128, 256, i64::MAX] {
            assert_eq!(Scopes::from_bits(wrong), None, "{wrong}");
        }
        for wrong in ["", "Admin", "events", "events:publish "] {
            assert_eq!(Scope::from_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_admin_stands_for_others() {
        for held in Scope::ALL {
            for asked in Scope::ALL {
                let allowed = [held].into_iter().collect::<Scopes>().allow(asked);
                assert_eq!(allowed, held == asked || held == Scope::Admin, "{held} {asked}");
            }
        }
        assert!(!Scopes::default().allow(Scope::EventsPublish) && Scopes::default().is_empty());
    }
}
