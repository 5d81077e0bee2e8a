//! Times in the output, always in UTC, so that logs of several hosts can be compared.

use jiff::Timestamp;
use jiff::tz::Offset;

/// Seconds since the epoch as `2026-11-24 15:03 UTC`.
pub fn human(seconds: i64) -> String {
    format(seconds, "%Y-%m-%d %H:%M UTC")
}

/// Seconds since the epoch in RFC 3339: `2026-11-24T15:03:46Z`.
pub fn rfc3339(seconds: i64) -> String {
    format(seconds, "%Y-%m-%dT%H:%M:%SZ")
}

/// The time in strftime(3) `format`; one after the year 9999 as `@SECONDS`, as date(1) reads it.
fn format(seconds: i64, format: &str) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => Offset::UTC.to_datetime(time).strftime(format).to_string(),
        Err(_) => format!("@{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(human(0), "1970-01-01 00:00 UTC");
        assert_eq!(rfc3339(1_795_532_626), "2026-11-24T15:03:46Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(i64::MAX), format!("@{}", i64::MAX));
    }
}
