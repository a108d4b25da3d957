//! A bounded map that forgets what was not asked for the longest.

use std::collections::HashMap;

/// A digest of what a value is for.
pub(super) type Key = [u8; 32];

/// At most so many values, by digests of what they are for.
pub(super) struct Recent<V> {
    max: usize,
    /// Rises with every use.
    uses: u64,
    entries: HashMap<Key, (u64, V)>,
}

impl<V> Recent<V> {
    pub(super) fn new(max: usize) -> Self {
        Self { max, uses: 0, entries: HashMap::new() }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<&V> {
        self.uses += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.uses;
        Some(value)
    }

    /// Keeps a value; if there are too many then, the one that was not asked for the longest goes.
    pub(super) fn insert(&mut self, key: Key, value: V) {
        self.uses += 1;
        if self.entries.len() >= self.max && !self.entries.contains_key(&key) {
            // Looked for only here, where what takes its place costs a handshake at least.
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            oldest.and_then(|oldest| self.entries.remove(&oldest));
        }
        self.entries.insert(key, (self.uses, value));
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let mut recent = Recent::new(2);
        recent.insert([1; 32], 'a');
        recent.insert([2; 32], 'b');
        assert_eq!(recent.get(&[1; 32]), Some(&'a'));
        recent.insert([3; 32], 'c');
        assert_eq!(recent.get(&[2; 32]), None);
        recent.insert([1; 32], 'd');
        assert_eq!(recent.get(&[1; 32]), Some(&'d'));
        assert_eq!(recent.get(&[3; 32]), Some(&'c'));
        recent.remove(&[1; 32]);
        assert_eq!(recent.get(&[1; 32]), None);
        assert_eq!(recent.entries.len(), 1);
    }
}
