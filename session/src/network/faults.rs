//! Faults of the network of a jail while it has sessions: one comparison for `check`, `doctor`,
//! `plan` and `build`.

use std::fmt;

use super::addresses;
use super::guard;
use super::ip_forward::{guarded, not_forwarding};
use super::namespace::on_own_thread;
use super::nft_installed::{Condition, Conditions, Wanted, with_tables};
use super::registry::Registry;
use super::{nft_host_table, nft_jail_table};
use crate::Error;
use crate::policy::Network;

/// A difference between the network of a jail and its policy. Displayed as a clause after the name
/// of the jail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the table or interface.
    pub name: String,
    /// The difference, and its consequence.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.name, self.text)
    }
}

/// All faults of the network of the jail. Empty if the jail has no session, and if the state cannot
/// be read without root. Changes nothing.
///
/// # Errors
/// [`Error::System`], and [`Error::Busy`] if another process holds the lock of the networks for
/// five seconds.
pub fn faults(jail: &str, network: &Network) -> Result<Vec<Fault>, Error> {
    if !Registry::exists(jail) {
        return Ok(Vec::new());
    }
    on_own_thread(|| {
        let found = with_tables(jail, |_, tables, namespaces| {
            let host = addresses::of_host()?;
            let guarded = guarded()?;
            let wanted = Wanted::new(jail, network, &guarded, &host);
            let Conditions {
                host: of_host,
                jail: of_jail,
            } = tables.compare(&wanted, namespaces)?;
            let mut faults = Vec::new();
            faults.extend(table(
                &format!("ip {}", nft_host_table::name(jail)),
                "it is missing on the host: allowed packets do not pass",
                of_host,
            ));
            faults.extend(table(
                &format!("inet {}", nft_jail_table::TABLE),
                "it is missing in the jail's network namespace: no rules apply there",
                of_jail,
            ));
            if !host
                .iter()
                .any(|prefix| prefix.single() == Some(network.gateway))
            {
                faults.push(fault(
                    &network.link,
                    format!("it lacks the address {}: no packet passes", network.gateway),
                ));
            }
            for name in guard::incomplete(&guarded)? {
                let text = "its routing rules are missing: it forwards packets for others, not only for jails";
                faults.push(fault(&name, text.to_owned()));
            }
            let mut forwarding = guarded;
            forwarding.push(network.link.clone());
            for name in not_forwarding(&forwarding)? {
                let text =
                    format!("`net.ipv4.conf.{name}.forwarding` is 0: allowed packets do not pass");
                faults.push(fault(&name, text));
            }
            Ok(faults)
        })?;
        Ok(found.unwrap_or_default())
    })
}

fn fault(name: &str, text: String) -> Fault {
    Fault {
        name: name.to_owned(),
        text,
    }
}

fn table(name: &str, missing: &str, condition: Condition) -> Option<Fault> {
    let text = match condition {
        Condition::Current => return None,
        Condition::Missing => missing,
        Condition::Changed => "it was changed after it was loaded",
        Condition::Outdated => "its rules are older than the policy or the addresses of the host",
    };
    Some(fault(name, text.to_owned()))
}
