//! Patterns of glob(7), with `*`, `?`, `[...]` and backslashes, as includes of configuration files
//! of the host have them.

/// Whether a pattern matches a name of a directory. A leading dot is matched by a dot only. Time is
/// at most the product of both lengths.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    // The last star in the pattern, and how much of the name it has matched: the only state to
    // return to.
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        let step = match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
                continue;
            }
            Some(b'?') => Some(at + 1),
            Some(b'[') => match set(&pattern[at..], name[seen]) {
                Some((holds, length)) => holds.then_some(at + length),
                None => (name[seen] == b'[').then_some(at + 1),
            },
            Some(b'\\') => (pattern.get(at + 1) == Some(&name[seen])).then_some(at + 2),
            Some(byte) => (*byte == name[seen]).then_some(at + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => {
                at = next;
                seen += 1;
            }
            (None, Some((back, taken))) => {
                star = Some((back, taken + 1));
                at = back + 1;
                seen = taken + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Whether the bracket expression at the start of `pattern` matches `byte`, and its length; `None`
/// if it has no end and so is plain text.
fn set(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = if negated { 2 } else { 1 };
    let end = start
        + 1
        + pattern
            .get(start + 1..)?
            .iter()
            .position(|byte| *byte == b']')?;
    let members = &pattern[start..end];
    let mut inside = false;
    let mut at = 0;
    while at < members.len() {
        if let [low, b'-', high, ..] = members[at..] {
            inside |= (low..=high).contains(&byte);
            at += 3;
        } else {
            inside |= members[at] == byte;
            at += 1;
        }
    }
    Some((inside != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_what_the_c_library_finds() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("*.conf", ".conf", false),
            (".*", ".conf", true),
            ("?b*c", "abxxc", true),
            ("a*b*c", "axbxbc", true),
            ("[0-9][0-9]-*", "07-own", true),
            ("[0-9][0-9]-*", "7-own", false),
            ("[!a-c]x", "bx", false),
            ("[!ab]", "c", true),
            ("[^ab]", "b", false),
            ("[]x]", "]", true),
            ("[a-]", "-", true),
            ("[a", "a", false),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("?", "", false),
            ("", "", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
