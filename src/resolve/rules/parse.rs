//! Parser of rules: from TOML to rules, or to all findings at once with their spans. Built-in rules
//! and rules of a host are checked alike.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::pattern;
use super::rule::Rule;
use crate::error::Finding;
use crate::names::JailPath;
use crate::span::{SourceText, Span};
use crate::spec::display::{is_hidden, list, quote, suggest};
use crate::spec::{Document, path_rules};

/// The keys of a rule.
const KEYS: [&str; 11] = [
    "name",
    "reason",
    "programs",
    "libraries",
    "add",
    "helpers",
    "aliases",
    "charsets",
    "exclude",
    "dereference",
    "max_megabytes",
];
/// Keys that only cause notices.
const NOTICES: [&str; 2] = ["requires", "notice"];
/// Keys by the names that they had in earlier builds, with their present names.
const RENAMED: [(&str, &str); 7] = [
    ("objects", "libraries"),
    ("runs", "helpers"),
    ("names", "aliases"),
    ("except", "exclude"),
    ("as_file", "dereference"),
    ("at_most", "max_megabytes"),
    ("wants", "requires"),
];
/// Largest value of `max_megabytes`.
const SIZE: i64 = 1_000_000;

/// Check of one string: the reason against it, or `None`.
type Check = fn(&str) -> Option<&'static str>;

/// Reads the rules in `document`.
pub(super) fn rules(document: &Document<'_>, findings: &mut Vec<Finding>) -> Vec<Rule> {
    let mut reader = Reader { document, findings };
    let mut rules = Vec::new();
    for (key, value) in &document.tree {
        if key.get_ref() != "rule" {
            reader.object(
                format!("unknown key `{}`", quote(key.get_ref())),
                key.span(),
                "",
                "a file of rules holds `[[rule]]` and nothing else",
            );
            continue;
        }
        let DeValue::Array(tables) = value.get_ref() else {
            reader.object(
                "`rule` is not an array of tables".to_owned(),
                key.span(),
                "",
                "each rule begins with the line `[[rule]]`",
            );
            continue;
        };
        for table in tables {
            if let DeValue::Table(keys) = table.get_ref() {
                rules.extend(reader.rule(keys, table.span()));
            }
        }
    }
    rules
}

struct Reader<'a> {
    document: &'a Document<'a>,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    fn span(&self, span: std::ops::Range<usize>) -> Span {
        Span {
            source: Arc::clone(&self.document.source),
            range: span,
        }
    }

    fn object(&mut self, what: String, span: std::ops::Range<usize>, label: &str, hint: &str) {
        let mut finding = Finding::new(what).with_span(&self.span(span), label);
        if !hint.is_empty() {
            finding = finding.hint(hint);
        }
        self.findings.push(finding);
    }

    /// Reads one rule; `None` if it has findings.
    fn rule(&mut self, keys: &DeTable<'_>, header: std::ops::Range<usize>) -> Option<Rule> {
        let before = self.findings.len();
        let mut rule = Rule::new(self.span(header.clone()));
        for (key, value) in keys {
            match &**key.get_ref() {
                "name" => rule.name = self.text("name", value, rule_name),
                "reason" => rule.reason = self.text("reason", value, words),
                "notice" => rule.notice = Some(self.text("notice", value, words)),
                "programs" => rule.programs = self.texts("programs", value, program),
                "libraries" => rule.libraries = self.texts("libraries", value, object),
                "add" => rule.add = self.texts("add", value, addition),
                "helpers" => rule.helpers = self.texts("helpers", value, program),
                "aliases" => rule.aliases = self.texts("aliases", value, further_name),
                "charsets" => rule.charsets = self.texts("charsets", value, words),
                "requires" => rule.requires = self.texts("requires", value, words),
                "exclude" => rule.exclude = self.texts("exclude", value, words),
                "dereference" => match value.get_ref() {
                    DeValue::Boolean(yes) => rule.dereference = *yes,
                    _ => self.mistyped("dereference", "`true` or `false`", value),
                },
                "max_megabytes" => rule.max_megabytes = self.size(value),
                unknown => {
                    let known = || KEYS.into_iter().chain(NOTICES);
                    let what = format!("unknown key `{}`", quote(unknown));
                    let renamed = RENAMED.iter().find(|(before, _)| *before == unknown);
                    let meant = renamed.map(|(_, now)| *now);
                    match meant.or_else(|| suggest(unknown, known())) {
                        Some(meant) => {
                            self.object(what, key.span(), &format!("did you mean `{meant}`?"), "");
                        }
                        None => self.object(
                            what,
                            key.span(),
                            "",
                            &format!("the keys of a rule are {}", list(known(), "and")),
                        ),
                    }
                }
            }
        }
        let mut lacks = |what: &str, hint: &str| {
            self.object(what.to_owned(), header.clone(), "", hint);
        };
        // A key that exists with a wrong value has a finding already.
        if !keys.contains_key("name") {
            lacks(
                "a rule has no `name`",
                "add a line such as `name = \"terminals\"`",
            );
        }
        if rule.adds_something() || rule.says_something() {
            if !keys.contains_key("reason") && rule.adds_something() {
                lacks(
                    "a rule has no `reason`",
                    "say what it is that it adds: `jailctl why` will tell it",
                );
            }
            if !keys.contains_key("programs") && !keys.contains_key("libraries") {
                lacks(
                    "nothing calls for a rule",
                    "add `programs`, `libraries` or both",
                );
            }
        }
        (self.findings.len() == before).then(|| rule.expanded())
    }

    fn mistyped(&mut self, key: &str, wanted: &str, value: &Spanned<DeValue<'_>>) {
        self.object(
            format!("`{key}` has a value of another type"),
            value.span(),
            &format!("{wanted} is wanted here"),
            "",
        );
    }

    fn text(&mut self, key: &str, value: &Spanned<DeValue<'_>>, check: Check) -> String {
        let DeValue::String(text) = value.get_ref() else {
            self.mistyped(key, "a string", value);
            return String::new();
        };
        if let Some(why) = objection(text, check) {
            self.refuse(key, text, why, value.span());
        }
        text.to_string()
    }

    fn refuse(&mut self, key: &str, text: &str, why: &str, span: std::ops::Range<usize>) {
        self.object(
            format!("`{key}` may not hold `{}`: it {why}", quote(text)),
            span,
            why,
            "",
        );
    }

    fn texts(&mut self, key: &str, value: &Spanned<DeValue<'_>>, check: Check) -> Vec<String> {
        let DeValue::Array(items) = value.get_ref() else {
            self.mistyped(key, "an array of strings", value);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            let DeValue::String(text) = item.get_ref() else {
                self.mistyped(key, "a string", item);
                continue;
            };
            // Each text that a pattern expands to is checked like one without braces.
            let why = pattern::expand_braces(text)
                .iter()
                .find_map(|alternative| objection(alternative, check));
            match why {
                Some(why) => self.refuse(key, text, why, item.span()),
                None => texts.push(text.to_string()),
            }
        }
        texts
    }

    fn size(&mut self, value: &Spanned<DeValue<'_>>) -> Option<u64> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| (1..=SIZE).contains(number)) {
            return u64::try_from(number).ok();
        }
        self.mistyped("max_megabytes", "a number of megabytes from 1", value);
        None
    }
}

fn objection(text: &str, check: Check) -> Option<&'static str> {
    if text.chars().any(is_hidden) {
        return Some("has a character that cannot be seen");
    }
    check(text)
}

fn words(text: &str) -> Option<&'static str> {
    text.trim().is_empty().then_some("is empty")
}

fn rule_name(text: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(plain);
    (!good).then_some("is not of a-z, 0-9 and `-`, a letter first")
}

fn program(text: &str) -> Option<&'static str> {
    if text.starts_with('/') {
        return path(text).err();
    }
    if text.contains('/') {
        return Some("is neither a name nor a whole path");
    }
    (text.trim_matches('*').is_empty()).then_some("stands for any program")
}

fn object(text: &str) -> Option<&'static str> {
    if text.contains('/') {
        Some("is not how a file's name begins")
    } else {
        text.is_empty().then_some("stands for any file")
    }
}

fn path(text: &str) -> Result<JailPath, &'static str> {
    JailPath::new(text)
}

fn addition(text: &str) -> Option<&'static str> {
    let path = match path(text) {
        Ok(path) => path,
        Err(why) => return Some(why),
    };
    let top = text[1..].split('/').next().unwrap_or_default();
    if top.is_empty() || top.contains('*') {
        return Some("stands for the whole host");
    }
    if path_rules::copyable(std::path::Path::new(path.as_str())).is_err() {
        return Some("is made up by the kernel, or holds the host's secrets");
    }
    None
}

fn further_name(text: &str) -> Option<&'static str> {
    if text.contains('*') {
        return Some("has a `*`, and stands for a file that is not there yet");
    }
    match path(text) {
        Err(why) => Some(why),
        Ok(path) => path_rules::target(&path)
            .is_err()
            .then_some("is a place of jailctl's own, or of the system's"),
    }
}

/// The source text of built-in rules.
pub(super) fn built_in(text: &str) -> Arc<SourceText> {
    Arc::new(SourceText {
        name: "the rules of jailctl".to_owned(),
        text: text.to_owned(),
    })
}
