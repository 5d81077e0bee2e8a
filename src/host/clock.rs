//! The date of the host.

use std::time::{SystemTime, UNIX_EPOCH};

/// Today as shadow(5) counts: days since 1970-01-01 in UTC; 0 if the clock is before that day.
pub fn today() -> i64 {
    const SECONDS_PER_DAY: u64 = 86_400;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| (since.as_secs() / SECONDS_PER_DAY).cast_signed())
}
