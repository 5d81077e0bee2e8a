//! Days of a spec: read from a TOML date, counted as shadow(5) counts them.

use std::fmt;

use jiff::{Span, Unit, civil};
use toml::value::Datetime;

use super::types::Day;
use super::violation::Violation;

/// First year that `expires` accepts: shadow(5) gives 0 a meaning of its own, and jailctl closes
/// accounts with day 1.
const FIRST: u16 = 1971;

/// 1970-01-01, from which shadow(5) counts.
const EPOCH: civil::Date = civil::date(1970, 1, 1);

/// The day of `given`, in days since 1970-01-01.
///
/// Refuses everything except a date without a time of day.
pub(crate) fn day(given: &Datetime) -> Result<i64, Violation> {
    let date = match given {
        Datetime {
            date: Some(date),
            time: None,
            ..
        } => date,
        Datetime { date: Some(_), .. } => return Err(Violation::new("has a time of day")),
        Datetime { date: None, .. } => return Err(Violation::new("is a time of day")),
    };
    if date.year < FIRST {
        return Err(Violation::new("is before 1971"));
    }
    // TOML has no dates beyond those of the calendar, nor years beyond 9999.
    let given = || -> Option<i64> {
        let date = civil::Date::new(
            i16::try_from(date.year).ok()?,
            i8::try_from(date.month).ok()?,
            i8::try_from(date.day).ok()?,
        );
        let span = EPOCH.until((Unit::Day, date.ok()?)).ok()?;
        Some(i64::from(span.get_days()))
    };
    given().ok_or_else(|| Violation::new("is not in the calendar"))
}

/// Year, month and day; for a day after the year 9999 the number of days.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = Span::new().try_days(self.0);
        let days = days.and_then(|days| EPOCH.checked_add(days));
        match days {
            Ok(date) => write!(f, "{date}"),
            Err(_) => write!(f, "{} days after {EPOCH}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_date_1() {
        // date -u -d DATE +%s, divided by 86400.
        for (text, days) in [
            ("1971-01-01", 365),
            ("1972-02-29", 789),
            ("1972-03-01", 790),
            ("2000-02-29", 11016),
            ("2027-01-31", 20849),
            ("2100-03-01", 47541),
            ("9999-12-31", 2_932_896),
        ] {
            let given: Datetime = text.parse().expect(text);
            assert_eq!(day(&given), Ok(days), "{text}");
            assert_eq!(Day(days).to_string(), text);
        }
    }

    #[test]
    fn days_beyond_the_calendar_are_numbers() {
        assert_eq!(
            Day(i64::MAX).to_string(),
            format!("{} days after 1970-01-01", i64::MAX)
        );
        assert_eq!(
            Day(i64::MIN).to_string(),
            format!("{} days after 1970-01-01", i64::MIN)
        );
        assert_eq!(Day(2_932_897).to_string(), "2932897 days after 1970-01-01");
    }

    #[test]
    fn other_dates_and_times_are_refused() {
        for text in ["1970-01-01", "2027-01-31T00:00:00Z", "12:00:00"] {
            let given: Datetime = text.parse().expect(text);
            assert!(day(&given).is_err(), "{text}");
        }
    }
}
