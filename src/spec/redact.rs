//! Redacts secrets in the text of a spec (hashes, and passwords and private keys that were put
//! there by mistake) before messages, reasons and records contain lines of it.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::authorized_keys::is_private_key;
use super::display::suggest;
use super::password::{FORMER_UNCHANGED, UNCHANGED};
use crate::span::SourceText;

/// `source` with each secret replaced by as many `*` as it has bytes, so that offsets are
/// unchanged. `tree` is the parsed part of the text.
pub(crate) fn redact(source: &Arc<SourceText>, tree: &DeTable<'_>) -> Arc<SourceText> {
    let text = &source.text;
    let mut spans = Vec::new();
    in_table(tree, false, &mut spans);
    in_lines(text, &mut spans);
    hashes(text, &mut spans);
    private_keys(text, &mut spans);
    if spans.is_empty() {
        return Arc::clone(source);
    }
    spans.sort_by_key(|span| span.start);
    let mut blotted = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        let (start, end) = (span.start.max(done), span.end.max(done));
        let (Some(plain), Some(secret)) = (text.get(done..start), text.get(start..end)) else {
            continue;
        };
        blotted.push_str(plain);
        for c in secret.chars() {
            match c {
                '\n' | '\r' => blotted.push(c),
                c => blotted.extend(std::iter::repeat_n('*', c.len_utf8())),
            }
        }
        done = end;
    }
    blotted.push_str(text.get(done..).unwrap_or_default());
    Arc::new(SourceText {
        name: source.name.clone(),
        text: blotted,
    })
}

/// Whether a key, possibly misspelled, is likely to have a password as its value.
fn is_secret_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    ["passwd", "pass", "pw", "passphrase", "secret", "hash"].contains(&lower.as_str())
        || lower.contains("password")
        || suggest(&lower, ["password", "passwd"]).is_some()
}

/// Whether a value of `password` is not a secret.
fn is_public_word(value: &str) -> bool {
    ["locked", UNCHANGED, FORMER_UNCHANGED].contains(&value)
}

fn in_table(table: &DeTable<'_>, secret: bool, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let secret = secret || is_secret_key(key.get_ref());
        in_value(value.get_ref(), &value.span(), secret, spans);
    }
}

fn in_value(value: &DeValue<'_>, span: &Range<usize>, secret: bool, spans: &mut Vec<Range<usize>>) {
    match value {
        DeValue::Table(table) => in_table(table, secret, spans),
        DeValue::Array(array) => {
            for item in array {
                in_value(item.get_ref(), &item.span(), secret, spans);
            }
        }
        DeValue::String(text) if is_public_word(text) => {}
        // `private_keys` does not find a private key whose markers are written with escapes.
        DeValue::String(text) if !secret && !is_private_key(text) => {}
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) if secret => {
            spans.push(span.clone());
        }
        DeValue::String(_) => spans.push(span.clone()),
        _ => {}
    }
}

/// Values after `password =` in lines that may not have been parsed: unclosed strings, comments.
fn in_lines(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut from = 0;
        while let Some(at) = line[from..].find('=') {
            let equals = from + at;
            from = equals + 1;
            let key = line[..equals]
                .trim_end()
                .trim_end_matches(['"', '\''])
                .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                .next()
                .unwrap_or_default();
            if !is_secret_key(key) {
                continue;
            }
            let rest = &line[from..];
            let value = rest.trim_start();
            let begin = from + rest.len() - value.len();
            let value = value.trim_end();
            let end = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    value[1..].find(quote).map_or(value.len(), |at| at + 2)
                }
                _ => value.len(),
            };
            if !is_public_word(value[..end].trim_matches(['"', '\''])) {
                spans.push(start + begin..start + begin + end);
            }
            from = begin + end;
        }
        start += line.len();
    }
}

/// Text that looks like a crypt(5) hash.
fn hashes(text: &str, spans: &mut Vec<Range<usize>>) {
    let is_body = |byte: u8| byte.is_ascii_alphanumeric() || b"./$=,+-".contains(&byte);
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(next) = text[at..].find('$') {
        let start = at + next;
        let length = bytes[start..]
            .iter()
            .take_while(|byte| is_body(**byte))
            .count();
        let dollars = text[start..start + length].matches('$').count();
        if dollars >= 3 && length >= 10 {
            spans.push(start..start + length);
        }
        at = start + length;
    }
}

/// Private keys, from the first to the last line, or to the end of the text.
fn private_keys(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(next) = text[at..].find("PRIVATE KEY-----") {
        let start = at + next + "PRIVATE KEY-----".len();
        let end = text[start..]
            .find("-----END")
            .map_or(text.len(), |end| start + end);
        spans.push(start..end);
        at = text[end..]
            .find("PRIVATE KEY-----")
            .map_or(text.len(), |next| end + next + "PRIVATE KEY-----".len());
    }
}
