//! Points in time and the clock they are read from.
//!
//! Everything the engine stores or compares is a [`Timestamp`]: microseconds since the Unix epoch. Due times come from a
//! clock that cannot jump; signatures and what people read come from the wall clock of the moment, or, where several
//! servers share a database, from the database's clock.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: what webhook headers carry.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The time `duration` later; saturates at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// The time `duration` earlier; saturates at the beginning of time.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.as_secs(), self.0.rem_euclid(1_000_000))
    }
}

/// Where the time comes from. Cheap to clone; clones share one source.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The wall clock as it stood at `boot_at_start`, advanced by the boot clock, which no one can set.
    System {
        wall_at_start: Timestamp,
        boot_at_start: Duration,
    },
    /// Another's clock, told from time to time and counted on by the boot clock.
    Led(Arc<Lead>),
    Manual(Arc<AtomicI64>),
}

/// How a clock is led; all in microseconds.
#[derive(Debug)]
struct Lead {
    /// What is to be added to the boot clock.
    offset: AtomicI64,
    /// The latest time told to anyone: a correction backwards makes the clock stand, not go back.
    latest: AtomicI64,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self(Source::System { wall_at_start: system_wall(), boot_at_start: boot_time() })
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it. For tests.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_micros()))))
    }

    /// This clock, led by another whose time is `now`; one that tests move stays as it is.
    #[must_use]
    pub fn led_by(self, now: Timestamp) -> Self {
        if let Source::Manual(_) = self.0 {
            return self;
        }
        let clock = Self(Source::Led(Arc::new(Lead { offset: AtomicI64::new(0), latest: AtomicI64::new(i64::MIN) })));
        clock.follow(now);
        clock
    }

    /// Whether it is led by another.
    pub fn is_led(&self) -> bool {
        matches!(self.0, Source::Led(_))
    }

    /// The clock that leads this one says `now`; does nothing to one that is not led.
    pub fn follow(&self, now: Timestamp) {
        if let Source::Led(lead) = &self.0 {
            lead.offset.store(now.minus(boot_time()).0, Ordering::Relaxed);
        }
    }

    /// Moves a manual clock forward; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(micros) = &self.0 {
            let step = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            micros.fetch_add(step, Ordering::SeqCst);
        }
    }

    /// Now, for due times and records: never jumps, counts time in which the machine was suspended.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { wall_at_start, boot_at_start } => {
                wall_at_start.plus(boot_time().saturating_sub(*boot_at_start))
            }
            Source::Led(lead) => {
                let now = Timestamp(lead.offset.load(Ordering::Relaxed)).plus(boot_time());
                Timestamp(lead.latest.fetch_max(now.0, Ordering::Relaxed)).max(now)
            }
            Source::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// How far this machine's wall clock is from [`Clock::now`], either way; a manual clock has none beside it.
    pub fn drift(&self) -> Duration {
        let now = self.now();
        let wall = match &self.0 {
            Source::System { .. } | Source::Led(_) => system_wall(),
            Source::Manual(_) => now,
        };
        now.since(wall).max(wall.since(now))
    }

    /// The time for signatures: the wall clock of the moment, or the clock that leads this one.
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => system_wall(),
            Source::Led(_) | Source::Manual(_) => self.now(),
        }
    }
}

fn system_wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_epoch)
}

fn boot_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_zero_for_a_later_time() {
        let early = Timestamp::from_micros(5);
        let late = early.plus(Duration::from_micros(7));
        assert_eq!(late.since(early), Duration::from_micros(7));
        assert_eq!(early.since(late), Duration::ZERO);
    }

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Timestamp::from_micros(1));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp::from_micros(2_000_001));
        assert_eq!(clock.wall(), clock.now());
    }

    #[test]
    fn led_clock_follows_and_never_goes_back() {
        let clock = Clock::system().led_by(Timestamp::from_micros(5_000_000));
        let first = clock.now();
        assert!(first >= Timestamp::from_micros(5_000_000) && first < Timestamp::from_micros(4_000_000_000), "{first}");
        assert!(clock.drift() > Duration::from_secs(3_600));
        clock.follow(Timestamp::from_micros(1));
        assert!(clock.now() >= first);
        let later = first.plus(Duration::from_secs(7_200));
        clock.follow(later);
        assert!(clock.wall() >= later);
        let manual = Clock::manual(Timestamp::from_micros(1));
        assert_eq!(manual.led_by(later).now(), Timestamp::from_micros(1));
    }

    #[test]
    fn system_clock_agrees_with_the_wall_when_started() {
        let drift = Clock::system().drift();
        assert!(drift < Duration::from_secs(1), "{drift:?}");
    }
}
