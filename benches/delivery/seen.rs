//! Which deliveries have come: a set of numbers that lie close together, one bit each.

use std::collections::HashMap;

const WORDS: usize = 512;
const PAGE: u64 = WORDS as u64 * 64;

/// Numbers that were met.
#[derive(Default)]
pub(crate) struct Seen(HashMap<u64, Box<[u64; WORDS]>>);

impl Seen {
    /// Adds a number; returns whether it is new.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let page = self.0.entry(number / PAGE).or_insert_with(|| Box::new([0; WORDS]));
        let (word, bit) = Self::place(number);
        let new = page[word] & bit == 0;
        page[word] |= bit;
        new
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.0.get(&(number / PAGE)).is_some_and(|page| page[word] & bit != 0)
    }

    fn place(number: u64) -> (usize, u64) {
        let within = number % PAGE;
        ((within / 64) as usize, 1 << (within % 64))
    }
}
