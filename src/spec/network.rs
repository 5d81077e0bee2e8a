//! `[network]`: network of the sessions of a jail.

use jailctl_session::network::Port;

use super::AccessMethod;
use super::findings::Findings;
use super::lower::sited;
use super::typed_table::Table;
use crate::error::Finding;
use crate::span::{Span, Spanned};

/// `network.mode` with its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSpec {
    /// Network of the host.
    Host,
    /// Network namespace per session, with only a loopback interface.
    None,
    /// Network namespace per jail, which its sessions share.
    Private(PrivateNetwork),
}

/// Private network of a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateNetwork {
    /// Span of the key that selects it.
    pub site: Span,
    /// `allow_in`, without duplicates.
    pub allow_in: Vec<Spanned<Port>>,
    /// `allow_out`, without duplicates.
    pub allow_out: Vec<Spanned<Port>>,
}

/// Keys that imply a private network.
const RULES: [&str; 2] = ["allow_in", "allow_out"];

/// Converts the merged table; without it, the default for the ways in.
pub(crate) fn build(
    table: Option<&Table>,
    doors: &[AccessMethod],
    findings: &mut Findings,
) -> NetworkSpec {
    let mode = table.and_then(|table| table.text("mode"));
    let rules = RULES.map(|key| table.and_then(|table| table.entries.get(key)));
    let first = rules.iter().flatten().next();
    match (mode, first) {
        (Some(("private", site)), _) => private(table, site),
        (None, Some(rule)) => private(table, &rule.site),
        (mode, Some(_)) => {
            for (key, rule) in RULES.iter().zip(rules) {
                let Some(rule) = rule else { continue };
                findings.add(
                    Finding::new(format!("`network.{key}` has no effect in this jail"))
                        .why("only private networks have port rules, and `mode` is another")
                        .with_span(&rule.site, "")
                        .hint("write `mode = \"private\"`, or delete the line"),
                );
            }
            plain(mode.map(|(word, _)| word), doors)
        }
        (mode, None) => plain(mode.map(|(word, _)| word), doors),
    }
}

fn plain(mode: Option<&str>, doors: &[AccessMethod]) -> NetworkSpec {
    match mode {
        Some("none") => NetworkSpec::None,
        Some(_) => NetworkSpec::Host,
        None if AccessMethod::is_sftp_only(doors) => NetworkSpec::None,
        None => NetworkSpec::Host,
    }
}

fn private(table: Option<&Table>, site: &Span) -> NetworkSpec {
    let ports = |key: &str| {
        let mut ports: Vec<Spanned<Port>> = Vec::new();
        for (text, site) in table.map(|table| table.texts(key)).unwrap_or_default() {
            if let Some(port) = port(text)
                && ports.iter().all(|known| known.value != port)
            {
                ports.push(sited(port, site));
            }
        }
        ports
    };
    NetworkSpec::Private(PrivateNetwork {
        site: site.clone(),
        allow_in: ports("allow_in"),
        allow_out: ports("allow_out"),
    })
}

/// Parses `tcp/80` or `udp/53`.
pub(crate) fn port(text: &str) -> Option<Port> {
    let (protocol, number) = text.split_once('/')?;
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number
        .parse()
        .ok()
        .filter(|number| *number > 0 && is_plain)?;
    match protocol {
        "tcp" => Some(Port::Tcp(number)),
        "udp" => Some(Port::Udp(number)),
        _ => None,
    }
}
