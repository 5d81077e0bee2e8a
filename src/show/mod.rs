//! Text, JSON and diagnostics. Converts values to strings; only `cli` prints them.

pub mod deps;
pub mod diagnostic;
pub mod doctor;
pub mod drift;
pub mod error;
pub mod jail_details;
pub mod jail_list;
pub mod plan;
pub mod reference;
pub mod run_summary;
pub mod schema;
pub mod session_view;
pub mod starter_spec;
pub mod stats;
pub mod style;
mod table;
pub mod time;
pub mod who;
pub mod why;

/// Size in bytes with a binary unit: `4.4 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 file`, `2 files`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(4_613_734), "4.4 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }
}
