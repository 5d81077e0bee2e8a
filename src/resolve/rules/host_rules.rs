//! Rules of the host: `/etc/jailctl/rules.d/*.toml`, each with the ownership checks of a spec.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::parse;
use super::rule::Rule;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::layout::RULES_DIR;
use crate::span::SourceText;
use crate::spec::{self, display::quote};

/// Reads the rules of the host, in the order of their file names. Errors in them, or in their
/// ownership, are added to `findings`.
pub(super) fn rules(view: &HostView, findings: &mut Vec<Finding>) -> Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    for name in view.list(Path::new(RULES_DIR))?.unwrap_or_default() {
        let path = Path::new(RULES_DIR).join(&name);
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let shown = view.display_path(&path);
        let bytes = match view.read_trusted(&path, spec::MAX as u64 + 1)? {
            None => continue,
            Some(Ok(bytes)) => bytes,
            Some(Err(writer)) => {
                findings.push(
                    Finding::new(format!(
                        "could not use the rules in `{}`",
                        shown.display().to_string().escape_debug()
                    ))
                    .why(writer.to_string())
                    .hint(format!(
                        "a rule decides which files of the host are copied into jails: run `{}`",
                        writer.fix_command(&path)
                    )),
                );
                continue;
            }
        };
        match spec::source(&shown.display().to_string(), bytes) {
            Ok(source) => rules.extend(read(&source, findings)?),
            Err(error) => findings.extend(error.findings),
        }
    }
    let mut seen: BTreeMap<&str, &Rule> = BTreeMap::new();
    for rule in &rules {
        if let Some(first) = seen.insert(&rule.name, rule) {
            findings.push(
                Finding::new(format!("two rules are called `{}`", quote(&rule.name)))
                    .why(format!("the other one is at {}", first.span))
                    .hint("give one of them another name")
                    .with_span(&rule.span, "the second"),
            );
        }
    }
    Ok(rules)
}

/// Parses the rules of one text. Errors in it are added to `findings`.
pub(super) fn read(source: &Arc<SourceText>, findings: &mut Vec<Finding>) -> Result<Vec<Rule>> {
    let document = spec::parse(source).map_err(|mut error: Error| {
        error.kind = ErrorKind::Spec;
        error
    })?;
    let mut wrong = Vec::new();
    let rules = parse::rules(&document, &mut wrong);
    // A text that is not TOML has syntax errors only: findings about its values would be guesses.
    if document.findings.is_empty() {
        findings.extend(wrong);
        Ok(rules)
    } else {
        findings.extend(document.findings);
        Ok(Vec::new())
    }
}
