//! The table of the host for a jail, as text for nft(8): checked by a build, loaded with the
//! network.
//!
//! It translates addresses and counts connections, and is a second barrier: flushing the rules of
//! the host removes it until pid 1 of a session loads it again, and
//! [`nft_jail_table`](super::nft_jail_table) applies until then. Each jail has one table; no other
//! table is changed. A packet has to pass all tables, so what the rules of the host drop stays
//! dropped.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use super::nft_rule_text::{PUBLIC, accept_known, link_local, port_rules};
use crate::Error;
use crate::policy::{IFNAME_PREFIX, Network};

/// Paths at which nft(8) may be installed.
pub const NFT: [&str; 3] = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];

/// Maximum number of open connections from a jail. Small hosts have room for some tens of
/// thousands, and the kernel takes longer to count more of them.
const CONNECTIONS: u32 = 4096;

/// Name of the table of a jail, of the family `ip`.
pub(super) fn name(jail: &str) -> String {
    format!("jailctl-{jail}")
}

/// Text of the table, which replaces an existing one. `guarded` are the interfaces that forward for
/// jails only.
pub(super) fn table(jail: &str, network: &Network, guarded: &[String]) -> String {
    let name = name(jail);
    let Network {
        link,
        address,
        allow_in,
        allow_out,
        ..
    } = network;
    // Two lines create and delete the table, so that it can exist or not: all in one transaction.
    let mut text = format!("table ip {name}\ndelete table ip {name}\ntable ip {name} {{\n");
    let mut chain = |title: &str, hook: &str, lines: &[String]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    chain {title} {{");
        if !hook.is_empty() {
            let _ = writeln!(text, "        type {hook}; policy accept;");
        }
        for line in lines {
            let _ = writeln!(text, "        {line}");
        }
        let _ = writeln!(text, "    }}");
    };
    // The sender in the jail gets an error at once instead of a timeout.
    let refused = "reject with icmp type admin-prohibited";
    let mut to_jail = vec![accept_known()];
    to_jail.extend(port_rules(allow_in, "accept"));
    to_jail.push("drop".to_owned());
    chain("to_jail", "", &to_jail);
    // The kernel has one table of connections, and drops packets for which it has no room.
    let lines = [
        format!("ct count over {CONNECTIONS} {refused}"),
        "accept".to_owned(),
    ];
    chain("begin", "", &lines);
    let mut from_jail = vec![
        format!("ip saddr != {address} drop"),
        accept_known(),
        link_local(allow_out, refused),
    ];
    from_jail.extend(port_rules(allow_out, "goto begin"));
    from_jail.push(refused.to_owned());
    chain("from_jail", "", &from_jail);
    let mut forward = vec![
        format!("iifname \"{link}\" jump from_jail"),
        format!("oifname \"{link}\" jump to_jail"),
    ];
    if !guarded.is_empty() {
        let list: Vec<String> = guarded.iter().map(|name| format!("\"{name}\"")).collect();
        forward.push(format!(
            "iifname {{ {} }} oifname != \"{IFNAME_PREFIX}*\" drop",
            list.join(", ")
        ));
    }
    chain("forward", "filter hook forward priority 0", &forward);
    // The host itself: its services are not open to the jail, and those of the jail are no more
    // open to the host than to others.
    chain(
        "input",
        "filter hook input priority 0",
        &[
            format!("iifname \"{link}\" {}", accept_known()),
            format!("iifname \"{link}\" {refused}"),
        ],
    );
    chain(
        "output",
        "filter hook output priority 0",
        &[format!("oifname \"{link}\" jump to_jail")],
    );
    // At addresses of the host; and from other jails, for which `PUBLIC` stands for these.
    let others = format!("iifname != \"{link}\" fib daddr type local");
    let jails = format!("iifname \"{IFNAME_PREFIX}*\" iifname != \"{link}\" ip daddr {PUBLIC}");
    let inwards: Vec<String> = [others, jails]
        .iter()
        .flat_map(|from| {
            port_rules(allow_in, &format!("dnat to {address}"))
                .into_iter()
                .map(move |rule| format!("{from} {rule}"))
        })
        .collect();
    chain("inwards", "nat hook prerouting priority -100", &inwards);
    let outwards = format!("ip saddr {address} oifname != \"{link}\" masquerade");
    chain("outwards", "nat hook postrouting priority 100", &[outwards]);
    text.push_str("}\n");
    text
}

/// Deletes the table of a jail, if it exists.
pub(super) fn unload(jail: &str) -> Result<(), Error> {
    let name = name(jail);
    let text = format!("table ip {name}\ndelete table ip {name}\n");
    Nft::start(&text, "delete the rules of the jail's network")?.finish()
}

/// Process of nft(8) in the network namespace in which it was started.
#[derive(Debug)]
pub(super) struct Nft {
    child: Child,
    what: &'static str,
}

impl Nft {
    /// Begins to load a table into the network namespace of the calling thread.
    pub(super) fn load(table: &str) -> Result<Self, Error> {
        Self::start(table, "load the rules of the jail's network")
    }

    fn start(text: &str, what: &'static str) -> Result<Self, Error> {
        let mut failed = Error::of(what)(rustix::io::Errno::NOENT);
        for program in NFT {
            #[expect(
                clippy::disallowed_methods,
                reason = "nft(8) is the interface to rules as text"
            )]
            let mut command = Command::new(program);
            let started = command
                .args(["-f", "-"])
                .env_clear()
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn();
            match started {
                Ok(mut child) => {
                    if let Some(mut stdin) = child.stdin.take() {
                        // If it does not read its input, its exit status is an error.
                        let _ = stdin.write_all(text.as_bytes());
                    }
                    return Ok(Self { child, what });
                }
                Err(error) => failed = Error::of_std(what)(error),
            }
        }
        Err(failed)
    }

    /// Waits for the end of the process. Its first message is the error.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Self { child, what } = self;
        let outcome = child.wait_with_output().map_err(Error::of_std(what))?;
        if outcome.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&outcome.stderr);
        let first = words.lines().next().unwrap_or("nft printed no error");
        let first: String = first.escape_debug().take(200).collect();
        Err(Error::Refused(format!("could not {what}: {first}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_may_pass() {
        let expected = r#"table ip jailctl-arkham
delete table ip jailctl-arkham
table ip jailctl-arkham {
    chain to_jail {
        ct state established,related accept
        tcp dport { 80 } accept
        drop
    }
    chain begin {
        ct count over 4096 reject with icmp type admin-prohibited
        accept
    }
    chain from_jail {
        ip saddr != 10.213.0.30 drop
        ct state established,related accept
        ip daddr 169.254.0.0/16 th dport != 53 reject with icmp type admin-prohibited
        tcp dport { 443 } goto begin
        udp dport { 53 } goto begin
        reject with icmp type admin-prohibited
    }
    chain forward {
        type filter hook forward priority 0; policy accept;
        iifname "jailctl7" jump from_jail
        oifname "jailctl7" jump to_jail
        iifname { "eth0", "wlan0" } oifname != "jailctl*" drop
    }
    chain input {
        type filter hook input priority 0; policy accept;
        iifname "jailctl7" ct state established,related accept
        iifname "jailctl7" reject with icmp type admin-prohibited
    }
    chain output {
        type filter hook output priority 0; policy accept;
        oifname "jailctl7" jump to_jail
    }
    chain inwards {
        type nat hook prerouting priority -100; policy accept;
        iifname != "jailctl7" fib daddr type local tcp dport { 80 } dnat to 10.213.0.30
        iifname "jailctl*" iifname != "jailctl7" ip daddr 192.0.0.8 tcp dport { 80 } dnat to 10.213.0.30
    }
    chain outwards {
        type nat hook postrouting priority 100; policy accept;
        ip saddr 10.213.0.30 oifname != "jailctl7" masquerade
    }
}
"#;
        let guarded = ["eth0".to_owned(), "wlan0".to_owned()];
        assert_eq!(table("arkham", &Network::example(), &guarded), expected);
    }

    #[test]
    fn without_ports_nothing_passes() {
        let mut network = Network::example();
        network.allow_in.clear();
        network.allow_out.clear();
        let table = table("arkham", &network, &[]);
        assert!(
            !table.contains("dport") && !table.contains("dnat"),
            "{table}"
        );
        assert_eq!(table.matches("drop\n").count(), 2, "{table}");
    }
}
