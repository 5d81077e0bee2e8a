//! `[network]`: what sessions of a jail reach, and what reaches them.

use jailctl_session::network::Port;

use super::AccessMethod;
use super::findings::Findings;
use super::lower::sited;
use super::typed_table::Table;
use crate::error::Finding;
use crate::span::{Span, Spanned};

/// `network.mode`, with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSpec {
    /// The host's.
    Host,
    /// A loopback of each session's own, with nothing on it.
    None,
    /// One of the jail's own, which its sessions share.
    Private(PrivateNetwork),
}

/// A network of the jail's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateNetwork {
    /// Where it is asked for.
    pub site: Span,
    /// `allow_in`, without doubles.
    pub allow_in: Vec<Spanned<Port>>,
    /// `allow_out`, without doubles.
    pub allow_out: Vec<Spanned<Port>>,
}

/// The keys that say what may pass: they make a network of the jail's own.
const RULES: [&str; 2] = ["allow_in", "allow_out"];

/// Of the merged tree; without the table, what is usual for these doors.
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
                        .why("only a network of its own has rules, and `mode` is another")
                        .with_span(&rule.site, "")
                        .hint("write `mode = \"private\"`, or take the line out"),
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

/// The port that `tcp/80` or `udp/53` names.
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
