//! Spans of time as people give them: `90s`, `15m`, `2h`, `7d`.

use std::time::Duration;

/// The longest span: 100 years.
const SECS_MAX: u64 = 100 * 366 * 86_400;

/// Reads a span; `None` if it is none.
pub(super) fn read_span(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let secs_per_unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    count.checked_mul(secs_per_unit).filter(|secs| *secs <= SECS_MAX).map(Duration::from_secs)
}
