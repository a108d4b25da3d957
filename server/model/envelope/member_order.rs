//! The order in which ECMAScript enumerates members (ECMA-262, OrdinaryOwnPropertyKeys): those whose names are array
//! indices first, ascending, then the others as they came.
//!
//! Where the members of an object move, they are noted by where they stand; everything is copied into order once, at
//! the end, so that objects within objects do not cost a copy each.

use std::ops::Range;

/// A member of an object in compact JSON.
#[derive(Debug)]
pub(super) struct Member {
    /// Where its name stands, without quotation marks.
    pub(super) name: Range<usize>,
    /// Its name as an array index.
    pub(super) index: Option<u32>,
}

/// An object whose members do not stand in order.
#[derive(Debug)]
pub(super) struct Moved {
    /// Where its opening brace stands.
    start: usize,
    /// Where its closing brace stands.
    end: usize,
    /// Where a comma stands.
    comma: usize,
    /// Where its members stand, in the order in which they belong.
    members: Vec<Range<usize>>,
}

/// The array index that a name is: `0` to 2^32 - 2 in decimal, without leading zeros.
pub(super) fn array_index(name: &[u8]) -> Option<u32> {
    let canonical = matches!(name, [b'0'] | [b'1'..=b'9', ..]) && name.iter().all(u8::is_ascii_digit);
    let index = std::str::from_utf8(name).ok().filter(|_| canonical)?.parse().ok()?;
    (index < u32::MAX).then_some(index)
}

impl Moved {
    /// The object that begins with the brace at `start` and ends with the one at `end`; `None` if its members stand in
    /// order.
    pub(super) fn of(start: usize, end: usize, members: &[Member]) -> Option<Self> {
        let rank = |member: &Member| member.index.map_or(u64::MAX, u64::from);
        let [_, second, ..] = members else { return None };
        if members.is_sorted_by_key(rank) {
            return None;
        }
        let ends = members[1..].iter().map(|next| next.name.start - 2).chain([end]);
        let mut ranked: Vec<_> =
            members.iter().zip(ends).map(|(member, end)| (rank(member), member.name.start - 1..end)).collect();
        // Stable: names that are no indices keep the order they came in.
        ranked.sort_by_key(|(rank, _)| *rank);
        let members = ranked.into_iter().map(|(_, range)| range).collect();
        Some(Self { start, end, comma: second.name.start - 2, members })
    }
}

/// Copies `text` with all members in order.
pub(super) fn in_order(text: Vec<u8>, mut moved: Vec<Moved>) -> Vec<u8> {
    if moved.is_empty() {
        return text;
    }
    moved.sort_unstable_by_key(|object| object.start);
    let mut out = Vec::with_capacity(text.len());
    // What is still to be copied, the next last.
    let mut pending = Vec::new();
    pending.push(0..text.len());
    while let Some(range) = pending.pop() {
        let next = moved.partition_point(|object| object.start < range.start);
        let Some(object) = moved.get(next).filter(|object| object.start < range.end) else {
            out.extend_from_slice(&text[range]);
            continue;
        };
        out.extend_from_slice(&text[range.start..=object.start]);
        pending.push(object.end..range.end);
        for (place, member) in object.members.iter().enumerate().rev() {
            pending.push(member.clone());
            if place > 0 {
                pending.push(object.comma..object.comma + 1);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_indices_are_canonical_and_below_two_to_the_32_less_one() {
        for (name, index) in [("0", 0), ("7", 7), ("10", 10), ("4294967294", 4_294_967_294)] {
            assert_eq!(array_index(name.as_bytes()), Some(index), "{name}");
        }
        for name in
            ["", "00", "01", "-1", "-0", "+1", "1.0", "1e3", " 1", "4294967295", "4294967296", "99999999999", "a", "1a"]
        {
            assert_eq!(array_index(name.as_bytes()), None, "{name}");
        }
    }
}
