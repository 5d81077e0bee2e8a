//! Networks of jails, as data.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Prefix of the interfaces of jails on the host; a number follows.
pub const IFNAME_PREFIX: &str = "jailctl";

/// Network of a jail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Interface on the host: [`IFNAME_PREFIX`] and a number.
    pub link: String,
    /// Address of the host on that interface, and the default gateway of the jail.
    pub gateway: Ipv4Addr,
    /// Address of the jail.
    pub address: Ipv4Addr,
    /// Ports of the jail that are reachable from outside, also at the addresses of the host.
    pub allow_in: Vec<Port>,
    /// Ports of other hosts and jails that the jail may reach.
    pub allow_out: Vec<Port>,
}

/// Port of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    /// TCP port.
    Tcp(u16),
    /// UDP port.
    Udp(u16),
}

impl Network {
    /// Checks what the types do not express. The error is a clause about the policy.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let number = self.link.strip_prefix(IFNAME_PREFIX).unwrap_or_default();
        // The kernel limits names of interfaces to 15 characters.
        if !(1..=5).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("the interface of its network has an invalid name".to_owned());
        }
        let (gateway, address) = (u32::from(self.gateway), u32::from(self.address));
        if gateway % 4 != 1 || address != gateway + 1 || !self.address.is_private() {
            return Err("its network has invalid addresses".to_owned());
        }
        let is_port = |port: &Port| matches!(port, Port::Tcp(1..) | Port::Udp(1..));
        if !self.allow_in.iter().chain(&self.allow_out).all(is_port) {
            return Err("its network has a port 0".to_owned());
        }
        Ok(())
    }

    /// The network of a later policy if that is the same network, with other ports perhaps; this
    /// one otherwise.
    pub(crate) fn or_later(&self, later: Option<Self>) -> Self {
        later
            .filter(|later| later.link == self.link && later.address == self.address)
            .unwrap_or_else(|| self.clone())
    }
}

#[cfg(test)]
impl Network {
    /// An example for tests.
    pub(crate) fn example() -> Self {
        Self {
            link: "jailctl7".to_owned(),
            gateway: Ipv4Addr::new(10, 213, 0, 29),
            address: Ipv4Addr::new(10, 213, 0, 30),
            allow_in: vec![Port::Tcp(80)],
            allow_out: vec![Port::Tcp(443), Port::Udp(53)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_networks_are_refused() {
        assert_eq!(Network::example().validate(), Ok(()));
        let wrong: [fn(&mut Network); 7] = [
            |network| network.link = "eth0".to_owned(),
            |network| network.link = "jailctl".to_owned(),
            |network| network.link = "jailctl1;x".to_owned(),
            |network| network.gateway = Ipv4Addr::new(8, 8, 8, 9),
            |network| network.address = network.gateway,
            |network| network.address = Ipv4Addr::new(10, 213, 0, 31),
            |network| network.allow_in.push(Port::Udp(0)),
        ];
        for change in wrong {
            let mut network = Network::example();
            change(&mut network);
            assert!(network.validate().is_err(), "{network:?}");
        }
    }
}
