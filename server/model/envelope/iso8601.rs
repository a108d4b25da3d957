//! Points in time as text: ISO 8601 in UTC with milliseconds, as ECMAScript's `toISOString` writes them.

use crate::model::Timestamp;

const DAY_MILLIS: i64 = 86_400_000;
/// In the Gregorian calendar, after which everything repeats.
const DAYS_IN_400_YEARS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// Milliseconds since the Unix epoch, rounded down.
pub(super) fn unix_millis(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000)
}

/// `2026-03-01T10:00:00.000Z`, rounded down. Years beyond 0 to 9999 have a sign and six digits; published events have
/// none of them.
pub(super) fn iso8601(time: Timestamp) -> String {
    let millis = unix_millis(time);
    let (year, month, day) = date(millis.div_euclid(DAY_MILLIS));
    let of_day = millis.rem_euclid(DAY_MILLIS);
    let (secs, millis) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    let year = if (0..=9_999).contains(&year) { format!("{year:04}") } else { format!("{year:+07}") };
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of the day that is so many days after 1970-01-01, in the Gregorian calendar. Counts years from
/// March, so that a leap day is the last of its year.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, of_era) = (days.div_euclid(DAYS_IN_400_YEARS), days.rem_euclid(DAYS_IN_400_YEARS));
    // Leap days before this one: every 4 years, but for centuries, but for the last day of the era.
    let leap_days = of_era / 1_460 - of_era / 36_524 + of_era / 146_096;
    let year_of_era = (of_era - leap_days) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months have 153 days between them.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> String {
        iso8601(Timestamp::from_micros(millis * 1_000))
    }

    #[test]
    fn times_read_as_ecmascript_writes_them() {
        // What `new Date(millis).toISOString()` says in V8.
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_772_359_200_000, "2026-03-01T10:00:00.000Z"),
            (1_486_848_081_865, "2017-02-11T21:21:21.865Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
        ];
        for (millis, expected) in cases {
            assert_eq!(at(millis), expected);
        }
    }

    #[test]
    fn what_is_less_than_a_millisecond_is_cut_off() {
        assert_eq!(iso8601(Timestamp::from_micros(1_999)), "1970-01-01T00:00:00.001Z");
        assert_eq!(iso8601(Timestamp::from_micros(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(unix_millis(Timestamp::from_micros(-1)), -1);
    }

    proptest! {
        #[test]
        fn whole_seconds_agree_with_the_dates_of_http(secs in 0_i64..253_402_300_800) {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs.unsigned_abs());
            let http = httpdate::fmt_http_date(time);
            let iso = at(secs * 1_000);
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let month: usize = iso[5..7].parse().unwrap();
            let expected = format!("{} {} {} {}", &iso[8..10], months[month - 1], &iso[..4], &iso[11..19]);
            prop_assert!(http.contains(&expected), "{} {}", iso, http);
        }

        #[test]
        fn any_time_has_a_text(micros in any::<i64>()) {
            prop_assert!(iso8601(Timestamp::from_micros(micros)).ends_with('Z'));
        }
    }
}
