//! Match lines of sshd_config(5): their criteria, and whether they hold for a connection, as in
//! match_cfg_line() of servconf.c.

use super::address::{AddressList, Refusal, number};
use super::lexer::Reading;
use super::pattern::{PatternList, Verdict};

/// One criterion of a Match line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Criterion {
    /// `all`: every connection.
    All,
    /// `invalid-user` (OpenSSH 9.9): a name that no account has.
    InvalidUser,
    /// `User`: the login name.
    User(PatternList),
    /// `Group`: one of the account's groups.
    Group(PatternList),
    /// `Host`: the client's host name, or its address where `UseDNS` is off.
    Host(PatternList),
    /// `Address`: the client's address.
    Address(AddressList),
    /// `LocalAddress`: the address that was connected to.
    LocalAddress(AddressList),
    /// `LocalPort`: the port that was connected to.
    LocalPort(u16),
    /// `RDomain`: the routing domain, a VRF on Linux, in which the connection was received.
    RDomain(PatternList),
    /// `Version` (OpenSSH 10.0): the release of sshd, for example `OpenSSH_10.0p2`.
    Version(PatternList),
}

/// A connection specification of `sshd -T -C`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnSpec {
    /// Address of the client.
    pub address: String,
    /// Host name of the client.
    pub host: String,
    /// Address that the client connects to.
    pub local_address: String,
    /// Port that the client connects to.
    pub local_port: u16,
    /// Routing domain; empty for the default one.
    pub rdomain: String,
}

impl Default for ConnSpec {
    fn default() -> Self {
        Self {
            address: "127.0.0.1".to_owned(),
            host: "localhost".to_owned(),
            local_address: "127.0.0.1".to_owned(),
            local_port: 22,
            rdomain: String::new(),
        }
    }
}

/// Account of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'c> {
    /// Login name.
    pub(super) user: &'c str,
    /// Groups of the account; `None` if they are not known: each group then matches.
    pub(super) groups: Option<&'c [String]>,
}

/// Criteria of a Match line, all of which have to hold.
pub(super) type Criteria = Vec<Criterion>;

/// Criteria of a Match line in each of the `generations` of sshd that accepts it, without
/// repetition.
///
/// # Errors
/// The reason, if none accepts it, or if it depends on something that is not known here.
pub(super) fn readings(
    arguments: &str,
    generations: &[Reading],
    services: &dyn Fn(&str) -> Option<u16>,
) -> Result<Vec<Criteria>, String> {
    let mut found: Vec<Criteria> = Vec::new();
    let mut why = None;
    for reading in generations {
        match read(arguments, *reading, services) {
            Ok(criteria) if !found.contains(&criteria) => found.push(criteria),
            Ok(_) => {}
            Err(Refusal::Unknown(reason)) => return Err(reason),
            // The reason of the newest sshd is last.
            Err(Refusal::Invalid(reason)) => why = Some(reason),
        }
    }
    match why {
        Some(reason) if found.is_empty() => Err(reason),
        _ => Ok(found),
    }
}

/// Criteria of a Match line as one generation of sshd reads it.
///
/// # Errors
/// The reason why it is refused, or not known.
pub(super) fn read(
    arguments: &str,
    reading: Reading,
    services: &dyn Fn(&str) -> Option<u16>,
) -> Result<Criteria, Refusal> {
    let invalid = |reason: String| Err(Refusal::Invalid(reason));
    let Some(words) = reading.split(arguments) else {
        return invalid("a quote is not closed".to_owned());
    };
    let is_vector = reading == Reading::Vector;
    let mut words = words.into_iter();
    let mut criteria = Criteria::new();
    while let Some(word) = words.next() {
        if word.starts_with('#') {
            break;
        }
        if word.is_empty() && !is_vector {
            // The end, if no text follows.
            if words.next().is_some() {
                return invalid("a word is empty".to_owned());
            }
            break;
        }
        let lower = word.to_ascii_lowercase();
        if lower == "all" {
            criteria.push(Criterion::All);
            // One empty word may follow, and nothing or a comment after it.
            let is_alone = match words.next() {
                None => true,
                Some(next) if next.is_empty() => words.next().is_none(),
                Some(next) => next.starts_with('#'),
            };
            return if is_alone && criteria.len() == 1 {
                Ok(criteria)
            } else {
                invalid("`all` has other criteria beside it".to_owned())
            };
        }
        if is_vector && lower == "invalid-user" {
            criteria.push(Criterion::InvalidUser);
            continue;
        }
        let (name, value) = match lower.split_once('=') {
            Some((name, _)) if is_vector && NAMES.contains(&name) => {
                (name.to_owned(), Some(word[name.len() + 1..].to_owned()))
            }
            _ => (lower, words.next()),
        };
        let Some(value) = value.filter(|value| !value.is_empty() && !value.starts_with('#')) else {
            return invalid(format!("the criterion `{name}` has no value"));
        };
        criteria.push(criterion(&name, &value, is_vector, services)?);
    }
    if criteria.is_empty() {
        return invalid("it has no criterion".to_owned());
    }
    Ok(criteria)
}

/// Criteria that may be followed by `=` and their value from OpenSSH 9.9 on.
const NAMES: [&str; 8] = [
    "user",
    "group",
    "host",
    "address",
    "localaddress",
    "localport",
    "rdomain",
    "version",
];

fn criterion(
    name: &str,
    value: &str,
    is_vector: bool,
    services: &dyn Fn(&str) -> Option<u16>,
) -> Result<Criterion, Refusal> {
    let list = |lower| PatternList::new(value, lower);
    Ok(match name {
        "user" => Criterion::User(list(false)),
        "group" => Criterion::Group(list(false)),
        "host" => Criterion::Host(list(true)),
        "address" => Criterion::Address(AddressList::parse(value)?),
        "localaddress" => Criterion::LocalAddress(AddressList::parse(value)?),
        "localport" => {
            let port = number(value).and_then(|port| u16::try_from(port).ok());
            let Some(port) = port.or_else(|| services(value)) else {
                return Err(Refusal::Invalid(format!("`{value}` is not a port")));
            };
            Criterion::LocalPort(port)
        }
        "rdomain" => Criterion::RDomain(list(false)),
        "version" if is_vector => Criterion::Version(list(false)),
        _ => {
            return Err(Refusal::Invalid(format!(
                "the criterion `{name}` is not known"
            )));
        }
    })
}

impl Criterion {
    /// Whether the criterion holds for a connection of an existing account. [`Criterion::Version`]
    /// always holds: it is the same for all connections.
    pub(super) fn holds(&self, client: Client<'_>, sample: &ConnSpec) -> bool {
        let is_match = |list: &PatternList, text: &str| list.verdict(text) == Verdict::Match;
        match self {
            Self::All | Self::Version(_) => true,
            Self::InvalidUser => false,
            Self::User(list) => is_match(list, client.user),
            Self::Group(list) => client.groups.is_none_or(|groups| {
                let verdicts: Vec<Verdict> =
                    groups.iter().map(|group| list.verdict(group)).collect();
                verdicts.contains(&Verdict::Match) && !verdicts.contains(&Verdict::Negated)
            }),
            Self::Host(list) => is_match(list, &sample.host.to_ascii_lowercase()),
            Self::Address(list) => list.holds(&sample.address),
            Self::LocalAddress(list) => list.holds(&sample.local_address),
            Self::LocalPort(port) => *port == sample.local_port,
            Self::RDomain(list) => is_match(list, &sample.rdomain),
        }
    }

    /// Number, from 0 to 4, of the one property of a connection on which the criterion depends;
    /// `None` if it depends on the account only.
    pub(super) fn property(&self) -> Option<usize> {
        match self {
            Self::Address(_) => Some(0),
            Self::Host(_) => Some(1),
            Self::LocalAddress(_) => Some(2),
            Self::LocalPort(_) => Some(3),
            Self::RDomain(_) => Some(4),
            Self::All | Self::InvalidUser | Self::User(_) | Self::Group(_) | Self::Version(_) => {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<u16> {
        None
    }

    #[test]
    fn a_line_that_generations_read_in_different_ways_has_several_readings() {
        for (line, count) in [
            ("User bob", 1),
            ("Address=10.0.0.0/8", 1),
            ("user = bob", 1),
            ("User 'bob'", 2),
            ("User a\\ b", 1),
            ("User bob Version OpenSSH_10*", 1),
            ("User b#ob", 2),
        ] {
            let found = readings(line, &Reading::ALL, &none).expect(line);
            assert_eq!(found.len(), count, "{line}: {found:?}");
        }
    }

    #[test]
    fn what_no_sshd_reads_is_refused() {
        for (line, why) in [
            ("", "it has no criterion"),
            ("Tagged x", "the criterion `tagged` is not known"),
            ("!User bob", "the criterion `!user` is not known"),
            ("User", "the criterion `user` has no value"),
            ("User bob All", "`all` has other criteria beside it"),
            ("All User bob", "`all` has other criteria beside it"),
            ("all \"\" x", "`all` has other criteria beside it"),
            ("LocalPort ssh", "`ssh` is not a port"),
            (
                "Address 10.0.0.1/8",
                "the length of the prefix does not fit in `10.0.0.1/8`",
            ),
            (
                "Address fe80::1%eth0",
                "`fe80::1%eth0` depends on the network interfaces of the host",
            ),
            ("User \"bob", "a quote is not closed"),
        ] {
            assert_eq!(
                readings(line, &Reading::ALL, &none),
                Err(why.to_owned()),
                "{line}"
            );
        }
    }
}
