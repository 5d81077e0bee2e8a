//! Days of a spec: read from a TOML date, counted as shadow(5) counts them.

use std::fmt;

use toml::value::{Date, Datetime};

use super::Day;
use super::constraint::Violation;

/// The first year whose days mean an end and no more: 0 and 1 mark an account as closed.
const FIRST: u16 = 1971;

/// The day that `given` says, in days since 1970-01-01: a date and nothing else.
pub(crate) fn day(given: &Datetime) -> Result<i64, Violation> {
    match given {
        Datetime {
            date: Some(date),
            time: None,
            offset: None,
        } if date.year >= FIRST => Ok(since_epoch(*date)),
        Datetime {
            date: Some(_),
            time: None,
            ..
        } => Err(Violation::new("is before 1971")),
        Datetime { date: Some(_), .. } => Err(Violation::new("has a time of day")),
        Datetime { date: None, .. } => Err(Violation::new("is a time of day")),
    }
}

/// Days of the Gregorian calendar: years begin in March here, so that the odd day of February is their last.
fn since_epoch(date: Date) -> i64 {
    let (year, month, day) = (
        i64::from(date.year),
        i64::from(date.month),
        i64::from(date.day),
    );
    let year = if month < 3 { year - 1 } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + in_year - 719_468
}

/// As a date is written: year, month, day.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The inverse, with eras of 400 years of 146097 days.
        let days = self.0 + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let in_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * in_year + 2) / 153;
        let day = in_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month < 3);
        write!(f, "{year:04}-{month:02}-{day:02}")
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
    fn what_is_no_day_is_refused() {
        for text in ["1970-01-01", "2027-01-31T00:00:00Z", "12:00:00"] {
            let given: Datetime = text.parse().expect(text);
            assert!(day(&given).is_err(), "{text}");
        }
    }
}
