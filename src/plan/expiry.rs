//! Expiry dates of accounts, shadow(5).

use crate::host::Expiry;

/// Whether an expiry date closes an account, in days since 1970-01-01.
pub fn is_closed(expires: Option<i64>) -> bool {
    expires.is_some_and(|day| day <= 1)
}

/// The expiry that an account has, to restore it.
pub fn expiry(expires: Option<i64>) -> Expiry {
    match expires {
        None => Expiry::Never,
        Some(day) if is_closed(Some(day)) => Expiry::Closed,
        Some(day) => Expiry::Day(day),
    }
}
