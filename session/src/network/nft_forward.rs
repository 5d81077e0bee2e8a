//! Chains of other programs at the hook `forward` that drop packets which no rule accepts, so those
//! of a jail too: ufw, docker and firewalld load such chains.

use rustix::io::Errno;

use super::netlink::{Message, Netlink, attributes};
use super::nft_events::{BODY, kind};
use crate::Error;

/// Attributes of a chain and of a rule: `NFTA_CHAIN_TABLE`, and others of `nf_tables.h`.
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const HOOK_NUMBER: u16 = 1;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const IMMEDIATE_DATA: u16 = 2;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
/// `NF_INET_FORWARD`.
const FORWARD: u32 = 2;
/// `NF_DROP`.
const DROP: u32 = 0;
/// Beginning of the names of interfaces and tables of jails.
const JAILS: &[u8] = b"jailctl";

/// A chain at the hook `forward`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardChain {
    /// Family of its table, `ip` or `inet`.
    pub family: &'static str,
    /// Name of its table.
    pub table: String,
    /// Name of the chain.
    pub name: String,
}

/// Chains that drop forwarded packets of jails: their policy is `drop`, or their last rule drops or
/// rejects everything, and no rule of their table names interfaces of jails. Changes nothing; finds
/// none if the state cannot be read without root, and on a kernel without nftables.
///
/// # Errors
/// [`Error::System`].
pub fn dropping_forward_chains() -> Result<Vec<ForwardChain>, Error> {
    let failed = Error::of("read the chains of the host's packet filter");
    let mut netlink = Netlink::netfilter()?;
    let chains = match netlink.list(Message::dump(kind(libc::NFT_MSG_GETCHAIN), &[0; BODY])) {
        Ok(chains) => chains,
        Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(failed(errno)),
    };
    let mut found = Vec::new();
    for chain in &chains {
        let Some((family, is_dropping, one)) = forward_chain(chain) else {
            continue;
        };
        let mut table = one.table.clone().into_bytes();
        table.push(0);
        let request = Message::dump(kind(libc::NFT_MSG_GETRULE), &[family, 0, 0, 0]);
        let rules = netlink
            .list(request.with(RULE_TABLE, &table))
            .map_err(&failed)?;
        let names_jails = |rule: &Vec<u8>| rule.windows(JAILS.len()).any(|bytes| bytes == JAILS);
        let mut own = rules.iter().filter(|rule| is_in(rule, &one.name));
        let is_dropping = is_dropping || own.next_back().is_some_and(|rule| drops_all(rule));
        if is_dropping && !rules.iter().any(names_jails) {
            found.push(one);
        }
    }
    Ok(found)
}

/// Family of a base chain of another program at the hook `forward`, whether its policy is `drop`,
/// and the chain.
fn forward_chain(body: &[u8]) -> Option<(u8, bool, ForwardChain)> {
    let family = *body.first()?;
    let shown = match i32::from(family) {
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_INET => "inet",
        _ => return None,
    };
    let of = |kind| attribute(body.get(BODY..)?, kind);
    let hook = attribute(of(CHAIN_HOOK)?, HOOK_NUMBER).and_then(number)?;
    let table = text(of(CHAIN_TABLE)?);
    if hook != FORWARD || table.as_bytes().starts_with(JAILS) {
        return None;
    }
    let is_dropping = of(CHAIN_POLICY).and_then(number) == Some(DROP);
    let chain = ForwardChain {
        family: shown,
        table,
        name: text(of(CHAIN_NAME)?),
    };
    Some((family, is_dropping, chain))
}

/// Whether a rule belongs to the chain of this name in its table.
fn is_in(rule: &[u8], chain: &str) -> bool {
    let name = rule
        .get(BODY..)
        .and_then(|body| attribute(body, RULE_CHAIN));
    name.is_some_and(|name| text(name) == chain)
}

/// Whether a rule has no condition, and drops or rejects.
fn drops_all(rule: &[u8]) -> bool {
    let Some(list) = rule
        .get(BODY..)
        .and_then(|body| attribute(body, RULE_EXPRESSIONS))
    else {
        return false;
    };
    let mut is_final = false;
    for (_, expression) in attributes(list) {
        let name = attribute(expression, EXPRESSION_NAME).map(text);
        match name.as_deref() {
            Some("counter" | "log") => {}
            Some("reject") => is_final = true,
            Some("immediate") => is_final |= verdict(expression) == Some(DROP),
            _ => return false,
        }
    }
    is_final
}

/// The verdict of an expression `immediate`.
fn verdict(expression: &[u8]) -> Option<u32> {
    let data = attribute(expression, EXPRESSION_DATA)?;
    let data = attribute(attribute(data, IMMEDIATE_DATA)?, DATA_VERDICT)?;
    attribute(data, VERDICT_CODE).and_then(number)
}

fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = attributes(bytes);
    all.find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// Number in an attribute of nftables, in network byte order.
fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// Name in an attribute, without the NUL at its end.
fn text(value: &[u8]) -> String {
    let name = value.strip_suffix(&[0]).unwrap_or(value);
    String::from_utf8_lossy(name).into_owned()
}
