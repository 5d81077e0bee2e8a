//! Moments, as people and programs read them: always UTC, so that two who compare logs mean the same.

use crate::spec::Day;

const DAY: i64 = 86_400;

/// Seconds since the epoch as `2026-11-24 15:03 UTC`.
pub fn human(seconds: i64) -> String {
    let (day, hour, minute, _) = parts(seconds);
    format!("{day} {hour:02}:{minute:02} UTC")
}

/// Seconds since the epoch as RFC 3339 writes them: `2026-11-24T15:03:46Z`.
pub fn rfc3339(seconds: i64) -> String {
    let (day, hour, minute, second) = parts(seconds);
    format!("{day}T{hour:02}:{minute:02}:{second:02}Z")
}

fn parts(seconds: i64) -> (Day, i64, i64, i64) {
    let of_day = seconds.rem_euclid(DAY);
    (
        Day(seconds.div_euclid(DAY)),
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_utc() {
        assert_eq!(human(0), "1970-01-01 00:00 UTC");
        assert_eq!(rfc3339(1_795_532_626), "2026-11-24T15:03:46Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }
}
