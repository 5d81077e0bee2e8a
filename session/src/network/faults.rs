//! What of a jail's network is not as it should be while somebody is in it: one comparison for `check`, `doctor`, `plan` and `build`.

use std::fmt;

use super::addresses;
use super::guard;
use super::installed::{Condition, Conditions, Wanted, with_tables};
use super::ip_forward::{guarded, idle};
use super::namespace::on_own_thread;
use super::registry::Registry;
use super::{filter, nft};
use crate::Error;
use crate::policy::Network;

/// One thing that is not as it should be. Displayed as a clause that follows the name of the jail or of what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which table or interface.
    pub name: String,
    /// What is wrong with it, and what comes of that.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.name, self.text)
    }
}

/// Everything that is not as it should be in the jail's network; nothing where nobody is in it, or where it cannot be known without being root. Changes nothing.
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
            } = tables.examine(&wanted, namespaces)?;
            let mut faults = Vec::new();
            faults.extend(table(
                &format!("ip {}", nft::name(jail)),
                "it is gone from the host: what is allowed does not pass",
                of_host,
            ));
            faults.extend(table(
                &format!("inet {}", filter::TABLE),
                "it is gone from the jail's own network: nothing there keeps to the rules",
                of_jail,
            ));
            if !host
                .iter()
                .any(|prefix| prefix.single() == Some(network.gateway))
            {
                faults.push(fault(
                    &network.link,
                    format!(
                        "the address {} is gone from it: nothing passes",
                        network.gateway
                    ),
                ));
            }
            for name in guard::lacking(&guarded)? {
                let text = "its routing rules are gone: it forwards packets for everybody, not for jails alone";
                faults.push(fault(&name, text.to_owned()));
            }
            let mut forwarding = guarded;
            forwarding.push(network.link.clone());
            for name in idle(&forwarding)? {
                let text = format!(
                    "`net.ipv4.conf.{name}.forwarding` is 0: what is allowed does not pass"
                );
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

fn table(name: &str, gone: &str, condition: Condition) -> Option<Fault> {
    let text = match condition {
        Condition::Whole => return None,
        Condition::Gone => gone,
        Condition::Changed => "it was changed since it was loaded",
        Condition::Outdated => "it has not the rules of the policy and of the host's addresses",
    };
    Some(fault(name, text.to_owned()))
}
