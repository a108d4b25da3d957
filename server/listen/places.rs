//! How many connections there are, in all and from one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// The bits of an IPv6 address that tell who has it: whoever has one has the other 64 (RFC 4291, section 2.5.1).
const NETWORK_BITS: u128 = !0 << 64;

/// Counts connections.
#[derive(Debug)]
pub(super) struct Places {
    all_max: usize,
    per_address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<IpAddr, usize>,
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(super) fn new(all_max: usize, per_address_max: usize) -> Self {
        Self { all_max, per_address_max, taken: Mutex::default() }
    }

    /// Takes a place for a connection from this address, if there is one.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = &mut *taken;
        if taken.all >= self.all_max || taken.by.get(&address).is_some_and(|by| *by >= self.per_address_max) {
            return None;
        }
        taken.all += 1;
        *taken.by.entry(address).or_default() += 1;
        Some(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(by) = taken.by.get_mut(&self.address) {
            *by -= 1;
            if *by == 0 {
                taken.by.remove(&self.address);
            }
        }
    }
}

/// What stands for an address: itself, or its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK_BITS).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_counted_in_all_and_given_back() {
        let places = Arc::new(Places::new(2, 2));
        let first = places.take(address("192.0.2.1")).unwrap();
        let second = places.take(address("192.0.2.2")).unwrap();
        assert!(places.take(address("192.0.2.3")).is_none());
        drop(first);
        let third = places.take(address("192.0.2.3")).unwrap();
        drop((second, third));
        let taken = places.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by.len()), (0, 0));
    }

    #[test]
    fn one_address_cannot_take_them_all_in_whatever_form_it_comes() {
        let places = Arc::new(Places::new(10, 1));
        let _v4 = places.take(address("192.0.2.1")).unwrap();
        assert!(places.take(address("::ffff:192.0.2.1")).is_none());
        let _v6 = places.take(address("2001:db8:1:2::1")).unwrap();
        assert!(places.take(address("2001:db8:1:2:ffff::2")).is_none());
        assert!(places.take(address("2001:db8:1:3::1")).is_some());
    }
}
