//! Shares: how the slots are divided between endpoints that answer and those of which that is not known, or known better.
//!
//! Whoever answers may take all of them. Slow lanes hold a quarter at most, together. Those that have not answered yet hold
//! half, and while a few of them hold an eighth none gets more than one: so a single new endpoint has all that it allows at
//! once, as many as there are slots get their first answer soon, and if all of them hang a quarter is left for whoever
//! does answer.

use super::lane::Standing;

/// One part in so many of all slots is for slow lanes.
const SLOW_PART: u32 = 4;

/// One part in so many is for unproven lanes.
const UNPROVEN_PART: u32 = 2;

/// One part in so many is for unproven lanes with more than one slot each.
const UNPROVEN_FREELY_PART: u32 = 8;

/// The slots held, by what is known of those who hold them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    all: u32,
    held: [u32; 3],
}

impl Shares {
    /// Of `all` slots none is held.
    pub(super) fn of(all: u32) -> Self {
        Self { all, held: [0; 3] }
    }

    /// How many slots are held.
    pub(super) fn held(&self) -> u32 {
        self.held.iter().sum()
    }

    /// How many are held by lanes of this standing.
    pub(super) fn held_by(&self, standing: Standing) -> u32 {
        self.held[standing as usize]
    }

    /// How many more slots a lane that holds `own` of them may take by its standing.
    pub(super) fn room(&self, standing: Standing, own: u32) -> u32 {
        let left_of = |part: u32| (self.all / part).max(1).saturating_sub(self.held_by(standing));
        match standing {
            Standing::Proven => u32::MAX,
            Standing::Slow => left_of(SLOW_PART),
            Standing::Unproven if own == 0 => left_of(UNPROVEN_FREELY_PART).max(left_of(UNPROVEN_PART).min(1)),
            Standing::Unproven => left_of(UNPROVEN_FREELY_PART),
        }
    }

    /// Whether a lane of this standing gets no slot any more.
    pub(super) fn is_full(&self, standing: Standing) -> bool {
        self.room(standing, 0) == 0
    }

    /// A lane takes slots.
    pub(super) fn take(&mut self, standing: Standing, slots: u32) {
        self.held[standing as usize] += slots;
    }

    /// A lane gives a slot back.
    pub(super) fn free(&mut self, standing: Standing) {
        let held = &mut self.held[standing as usize];
        *held = held.saturating_sub(1);
    }

    /// A lane that holds `slots` is known better.
    pub(super) fn shift(&mut self, from: Standing, to: Standing, slots: u32) {
        let held = &mut self.held[from as usize];
        *held = held.saturating_sub(slots);
        self.take(to, slots);
    }
}
