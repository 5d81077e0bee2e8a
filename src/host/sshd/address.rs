//! Address lists of Match lines: networks, or patterns for the text of an address, as in addr.c and
//! addrmatch.c of OpenSSH.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::pattern::matches;

/// Longest text that sshd accepts as an address (addr.c, `addrbuf[64]`).
const TEXT_LIMIT: usize = 63;
/// Most prefixes of addresses that [`examples`] distinguishes.
const PREFIXES: usize = 1024;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    is_v6: bool,
    /// The address, in the low 32 bits for IPv4.
    bits: u128,
    /// Length of the prefix, in bits.
    length: u32,
}

impl Network {
    fn width(self) -> u32 {
        if self.is_v6 { 128 } else { 32 }
    }

    fn host_mask(self) -> u128 {
        let free = self.width() - self.length;
        u128::MAX.checked_shr(128 - free).unwrap_or(0)
    }

    fn holds(self, address: IpAddr) -> bool {
        let (is_v6, bits) = bits(address);
        is_v6 == self.is_v6 && bits & !self.host_mask() == self.bits
    }

    /// First and last address of the network, and the addresses next to them.
    fn edges(self) -> impl Iterator<Item = IpAddr> {
        let last = self.bits | self.host_mask();
        let most = u128::MAX >> (128 - self.width());
        [
            Some(self.bits),
            Some(last),
            self.bits.checked_sub(1),
            Some(last).filter(|last| *last < most).map(|last| last + 1),
        ]
        .into_iter()
        .flatten()
        .map(move |bits| address(self.is_v6, bits))
    }
}

fn bits(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(address) => (false, u128::from(address.to_bits())),
        IpAddr::V6(address) => (true, address.to_bits()),
    }
}

fn address(is_v6: bool, bits: u128) -> IpAddr {
    if is_v6 {
        Ipv6Addr::from_bits(bits).into()
    } else {
        // Only the low 32 bits are set.
        Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX)).into()
    }
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Network(Network),
    Pattern(String),
}

impl Entry {
    fn holds(&self, address: IpAddr, text: &str) -> bool {
        match self {
            Self::Network(network) => network.holds(address),
            Self::Pattern(pattern) => matches(pattern, text),
        }
    }
}

/// A comma-separated list of networks and patterns, each of which `!` negates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AddressList {
    entries: Vec<(bool, Entry)>,
}

/// Reason why a list is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// sshd refuses it too.
    Invalid(String),
    /// sshd may accept it with a meaning that is not known here.
    Unknown(String),
}

impl AddressList {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut entries = Vec::new();
        for entry in text.split(',') {
            let (negated, entry) = match entry.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, entry),
            };
            if entry.is_empty() {
                return Err(Refusal::Invalid("an address is missing".to_owned()));
            }
            if entry.contains('%') {
                return Err(Refusal::Unknown(format!(
                    "`{entry}` depends on the network interfaces of the host"
                )));
            }
            entries.push((negated, network(entry)?));
        }
        Ok(Self { entries })
    }

    /// Whether a connection from the address `text` matches, as in addr_match_list(). A text that
    /// is no address matches nothing.
    pub(super) fn holds(&self, text: &str) -> bool {
        let Some(address) = numeric(text) else {
            return false;
        };
        let mut holds = false;
        for (negated, entry) in &self.entries {
            if entry.holds(address, text) {
                if *negated {
                    return false;
                }
                holds = true;
            }
        }
        holds
    }
}

/// An entry, as addr_pton_cidr() reads it: a network, or else a pattern.
fn network(entry: &str) -> Result<Entry, Refusal> {
    let pattern = || Ok(Entry::Pattern(entry.to_owned()));
    if entry.len() > TEXT_LIMIT {
        return pattern();
    }
    let (text, length) = match entry.split_once('/') {
        Some((text, length)) => match number(length) {
            Some(length) => (text, Some(length)),
            None => return pattern(),
        },
        None => (entry, None),
    };
    let Some(found) = numeric(text) else {
        return pattern();
    };
    let (is_v6, bits) = bits(found);
    let width = if is_v6 { 128 } else { 32 };
    let network = Network {
        is_v6,
        bits,
        length: length.unwrap_or(width),
    };
    if network.length > width || bits & network.host_mask() != 0 {
        return Err(Refusal::Invalid(format!(
            "the length of the prefix does not fit in `{entry}`"
        )));
    }
    Ok(Entry::Network(network))
}

/// A number from 0 to the largest `int`, as strtonum(3) reads it.
pub(super) fn number(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let number = digits
        .parse()
        .ok()
        .filter(|number| i32::try_from(*number).is_ok());
    number.filter(|_| !negative)
}

/// An address as getaddrinfo(3) reads it with `AI_NUMERICHOST`: IPv4 in the forms of inet_aton(3),
/// or IPv6.
fn numeric(text: &str) -> Option<IpAddr> {
    inet_aton(text)
        .map(IpAddr::V4)
        .or_else(|| text.parse().ok().map(IpAddr::V6))
}

fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let part = |text: &str| -> Option<u64> {
        let (digits, radix) = match text.as_bytes() {
            [b'0', b'x' | b'X', ..] => (&text[2..], 16),
            [b'0', _, ..] => (&text[1..], 8),
            _ => (text, 10),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u64::from_str_radix(digits, radix).ok()
    };
    let parts: Vec<u64> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 0xff) {
        return None;
    }
    let free = 32 - 8 * leading.len();
    if *last >= 1 << free {
        return None;
    }
    let high = leading.iter().fold(0, |bits, part| bits << 8 | part);
    let bits = if leading.is_empty() {
        *last
    } else {
        high << free | last
    };
    u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
}

/// Addresses that distinguish the entries of `lists`: for each set of entries that an address can
/// match at the same time, one that does.
///
/// # Errors
/// The pattern for which no address was found although one may match.
pub(super) fn examples(lists: &[&AddressList]) -> Result<Vec<String>, String> {
    let mut networks: Vec<Network> = Vec::new();
    let mut patterns: Vec<&str> = Vec::new();
    for (_, entry) in lists.iter().flat_map(|list| &list.entries) {
        match entry {
            Entry::Network(network) => networks.push(*network),
            Entry::Pattern(pattern) => patterns.push(pattern),
        }
    }
    networks.sort_unstable();
    networks.dedup();
    patterns.sort_unstable();
    patterns.dedup();
    // Networks contain one another or are apart: the addresses of one that are in none of those
    // within it begin or end next to an edge.
    let edges = networks.iter().flat_map(|network| network.edges());
    let mut texts: Vec<String> = edges.map(|address| address.to_string()).collect();
    if !patterns.is_empty() {
        let addresses = prefixes(&networks, &patterns).into_iter();
        texts.extend(addresses.map(|address| address.to_string()));
    }
    for pattern in patterns {
        let could_match = pattern
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b':' | b'.' | b'*' | b'?'));
        let fills = fills(pattern);
        if could_match && fills.is_empty() && !texts.iter().any(|text| matches(pattern, text)) {
            return Err(pattern.to_owned());
        }
        texts.extend(fills);
    }
    Ok(texts)
}

/// State after some octets of an address: the networks that still contain it, and the states of
/// each pattern.
type Known = (Vec<bool>, Vec<Vec<u16>>);

/// IPv4 addresses, one for each set of networks and patterns that an address can match, found octet
/// by octet: of those with the same state, the first.
fn prefixes(networks: &[Network], patterns: &[&str]) -> Vec<Ipv4Addr> {
    let networks: Vec<&Network> = networks.iter().filter(|network| !network.is_v6).collect();
    let start: Known = (
        vec![true; networks.len()],
        patterns
            .iter()
            .map(|pattern| super::pattern::start(pattern))
            .collect(),
    );
    let mut reached: BTreeMap<Known, u32> = BTreeMap::from([(start, 0)]);
    for index in 0..4 {
        let mut next: BTreeMap<Known, u32> = BTreeMap::new();
        for ((holding, states), prefix) in &reached {
            for octet in 0..=255_u32 {
                let bits = prefix << 8 | octet;
                let read = 8 * (index + 1);
                let holds = networks.iter().zip(holding).map(|(network, held)| {
                    let known = network.length.min(read);
                    let wanted = network.bits >> (32 - known);
                    *held && u128::from(bits >> (read - known)) == wanted
                });
                let end = if index == 3 { "" } else { "." };
                let text = format!("{octet}{end}");
                let states = patterns
                    .iter()
                    .zip(states)
                    .map(|(pattern, states)| super::pattern::steps(pattern, states, &text));
                if next.len() < PREFIXES {
                    next.entry((holds.collect(), states.collect()))
                        .or_insert(bits);
                }
            }
        }
        reached = next;
    }
    reached.into_values().map(Ipv4Addr::from_bits).collect()
}

/// IPv6 addresses that a pattern matches, found by inserting what addresses often contain.
fn fills(pattern: &str) -> Vec<String> {
    const FILLINGS: [&str; 7] = ["", "1", ":", "::", ":1", "::1", "db8::1"];
    let pattern = pattern.replace('?', "1");
    let mut texts = vec![String::new()];
    for (index, part) in pattern.split('*').enumerate() {
        let fillings: &[&str] = if index == 0 || index > 4 {
            &[""]
        } else {
            &FILLINGS
        };
        texts = texts
            .iter()
            .flat_map(|text| {
                fillings
                    .iter()
                    .map(move |filling| format!("{text}{filling}{part}"))
            })
            .collect();
    }
    texts.retain(|text| {
        let address: Option<Ipv6Addr> = text.parse().ok();
        address.is_some_and(|address| address.to_string() == *text)
    });
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> AddressList {
        AddressList::parse(text).expect("a good list")
    }

    #[test]
    fn addresses_are_read_as_the_c_library_reads_them() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.1", Some("10.0.0.1")),
            ("0x7f.1", Some("127.0.0.1")),
            ("010.0.0.1", Some("8.0.0.1")),
            ("10", Some("0.0.0.10")),
            ("1.2.3.4.5", None),
            ("256.0.0.1", None),
            ("09.0.0.1", None),
            ("0x.1", None),
            ("", None),
            ("fe80::1", Some("fe80::1")),
        ] {
            let found = numeric(text).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_list_holds_as_in_sshd() {
        for (text, address, holds) in [
            ("127.0.0.0/8,!127.0.0.0/24", "127.0.1.5", true),
            ("127.0.0.0/8,!127.0.0.0/24", "127.0.0.5", false),
            ("!127.0.0.0/24,127.0.*", "127.0.9.1", true),
            ("!127.0.0.0/24", "10.0.0.1", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "fe80::1", true),
            ("*", "::1", true),
        ] {
            assert_eq!(list(text).holds(address), holds, "{text} {address}");
        }
        for text in ["", "10.0.0.0/8,", "!", "10.0.0.1/8", "10.0.0.0/33", "::1/0"] {
            assert!(
                matches!(AddressList::parse(text), Err(Refusal::Invalid(_))),
                "{text}"
            );
        }
        assert!(matches!(
            AddressList::parse("fe80::1%eth0"),
            Err(Refusal::Unknown(_))
        ));
    }

    #[test]
    fn there_is_an_example_on_each_side_of_each_entry() {
        for text in [
            "10.0.0.0/8,!10.1.0.0/16",
            "127.0.0.0/8,!127.0.0.0/24",
            "!127.0.0.0/24,127.0.*",
            "10.*,!10.0.*,!10.1?.*",
            "2001:db8::/32,!2001:db8:1::/48",
            "192.168.0.0/16,fe80*",
            "2001:db8:*:1",
        ] {
            let list = list(text);
            let found = examples(&[&list]).expect("each can match");
            assert!(
                found.iter().any(|address| list.holds(address)),
                "{text} {found:?}"
            );
            assert!(
                found.iter().any(|address| !list.holds(address)),
                "{text} {found:?}"
            );
        }
        let odd = list("300.*");
        assert_eq!(examples(&[&odd]), Err("300.*".to_owned()));
    }
}
