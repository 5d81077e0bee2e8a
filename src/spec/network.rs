//! `[network]`: network of the sessions of a jail.

use jailctl_session::network::Port;

use super::access::AccessMethod;
use super::findings::Findings;
use super::typed_table::{Table, spanned};
use super::types::{NetworkSpec, PrivateNetwork};
use super::values::port;
use crate::error::Finding;
use crate::span::{Span, Spanned};

/// Keys that imply a private network.
const RULES: [&str; 2] = ["allow_in", "allow_out"];

/// Converts the merged table; without it, the default for the ways in.
pub(crate) fn build(
    table: Option<&Table>,
    access: &[AccessMethod],
    findings: &mut Findings,
) -> NetworkSpec {
    let mode = table.and_then(|table| table.text("mode"));
    let rules = RULES.map(|key| table.and_then(|table| table.entries.get(key)));
    let first = rules.iter().flatten().next();
    match (mode, first) {
        (Some(("private", span)), _) => private(table, span),
        (None, Some(rule)) => private(table, &rule.span),
        (mode, Some(_)) => {
            for (key, rule) in RULES.iter().zip(rules) {
                let Some(rule) = rule else { continue };
                findings.add(
                    Finding::new(format!("`network.{key}` has no effect in this jail"))
                        .why("only private networks have port rules, and `mode` is another")
                        .with_span(&rule.span, "")
                        .hint("write `mode = \"private\"`, or delete the line"),
                );
            }
            plain(mode.map(|(word, _)| word), access)
        }
        (mode, None) => plain(mode.map(|(word, _)| word), access),
    }
}

/// The network without port rules: that of `mode`, or the default for the ways in.
pub(crate) fn plain(mode: Option<&str>, access: &[AccessMethod]) -> NetworkSpec {
    match mode {
        Some("none") => NetworkSpec::None,
        Some(_) => NetworkSpec::Host,
        None if AccessMethod::can_need_network(access) => NetworkSpec::Host,
        None => NetworkSpec::None,
    }
}

fn private(table: Option<&Table>, span: &Span) -> NetworkSpec {
    let ports = |key: &str| {
        let mut ports: Vec<Spanned<Port>> = Vec::new();
        for (text, span) in table.map(|table| table.texts(key)).unwrap_or_default() {
            if let Some(port) = port(text)
                && ports.iter().all(|known| known.value != port)
            {
                ports.push(spanned(port, span));
            }
        }
        ports
    };
    NetworkSpec::Private(PrivateNetwork {
        span: span.clone(),
        allow_in: ports("allow_in"),
        allow_out: ports("allow_out"),
    })
}
