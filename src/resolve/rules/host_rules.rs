//! The host's own rules: `/etc/jailctl/rules.d/*.toml`, each held to what a spec is held to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Rule, parse};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::layout::RULES_DIR;
use crate::span::SourceText;
use crate::spec::{self, display::quote};

/// The rules of the host's own, in the order of their files' names. What is wrong with them, or with who may write them, is added to `findings`.
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
            Some(Err(stranger)) => {
                findings.push(
                    Finding::new(format!(
                        "could not use the rules in `{}`",
                        shown.display().to_string().escape_debug()
                    ))
                    .why(stranger.to_string())
                    .hint(format!(
                        "who writes a rule decides what of the host gets into jails: run `{}`",
                        stranger.fix_command(&path)
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
                    .why(format!("the other one is at {}", first.site))
                    .hint("give one of them another name")
                    .with_span(&rule.site, "the second"),
            );
        }
    }
    Ok(rules)
}

/// The rules of one text; what is wrong with it is added to `findings`.
pub(super) fn read(source: &Arc<SourceText>, findings: &mut Vec<Finding>) -> Result<Vec<Rule>> {
    let document = spec::parse(source).map_err(|mut error: Error| {
        error.kind = ErrorKind::Spec;
        error
    })?;
    let mut wrong = Vec::new();
    let rules = parse::rules(&document, &mut wrong);
    // Of a text that is no TOML only that is worth saying: what follows would be guesses.
    if document.findings.is_empty() {
        findings.extend(wrong);
        Ok(rules)
    } else {
        findings.extend(document.findings);
        Ok(Vec::new())
    }
}
