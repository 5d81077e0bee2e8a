//! Fields of `/proc/PID/mountinfo`, proc_pid_mountinfo(5).

/// Decodes the escapes of a field: the kernel writes space, tab, newline and backslash as a
/// backslash and three octal digits.
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let digits = field
            .get(at + 1..at + 4)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if field[at] == b'\\' => {
                bytes.push(byte);
                at += 4;
            }
            _ => {
                bytes.push(field[at]);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_octal_and_all_else_is_kept() {
        assert_eq!(unescape(br"/srv/a\040b\134c\12"), b"/srv/a b\\c\\12");
    }
}
